// See board.h.
#include "services/registrant/sip/board.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_US 1000000u
#define STEP_US   10000u // between two calls of one pass

struct sheet {
    struct registrar_view items[BOARD_REGISTRARS];
    struct registrar_ranking ranking;
};

struct board {
    pthread_mutex_t lock;
    struct sheet *shown;
    struct sheet *drafted; // the SIP thread's
    uint64_t due_us;       // the SIP thread's
};

struct board *board_new(void)
{
    struct board *b = mem_alloc(sizeof(*b));
    b->shown = mem_alloc(sizeof(*b->shown));
    b->drafted = mem_alloc(sizeof(*b->drafted));
    if (pthread_mutex_init(&b->lock, NULL) != 0)
        abort();
    return b;
}

void board_free(struct board *b)
{
    if (!b)
        return;
    (void)pthread_mutex_destroy(&b->lock);
    free(b->shown);
    free(b->drafted);
    free(b);
}

void board_update(struct board *b, struct engine *e)
{
    const struct moment now = {.us = clock_monotonic_us(), .wall_ms = clock_wall_ms()};
    if (now.us < b->due_us)
        return;
    struct sheet *sheet = b->drafted;
    sheet->ranking.items = sheet->items;
    sheet->ranking.max = BOARD_REGISTRARS;
    bool whole = engine_registrars(e, now, &sheet->ranking);
    b->due_us = now.us + (whole ? PERIOD_US : STEP_US);
    if (!whole)
        return;
    (void)pthread_mutex_lock(&b->lock);
    b->drafted = b->shown;
    b->shown = sheet;
    (void)pthread_mutex_unlock(&b->lock);
}

size_t board_read(struct board *b, struct registrar_view *ret, size_t max, struct registrar_view *ret_rest)
{
    (void)pthread_mutex_lock(&b->lock);
    const struct sheet *sheet = b->shown;
    size_t count = sheet->ranking.count < max ? sheet->ranking.count : max;
    memcpy(ret, sheet->items, count * sizeof(*ret));
    *ret_rest = sheet->ranking.rest;
    for (size_t i = count; i < sheet->ranking.count; i++)
        registrar_view_merge(ret_rest, &sheet->items[i]);
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}
