// See board.h.
#include "services/registrant/sip/board.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_US 1000000u
#define PART      100 // of the thread's time

struct sheet {
    struct registrar_view items[BOARD_REGISTRARS], rest;
    size_t count;
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

void board_update(struct board *b, const struct engine *e)
{
    const struct moment now = {.us = clock_monotonic_us(), .wall_ms = clock_wall_ms()};
    if (now.us < b->due_us)
        return;
    struct sheet *sheet = b->drafted;
    sheet->count = engine_registrars(e, now, sheet->items, BOARD_REGISTRARS, &sheet->rest);
    (void)pthread_mutex_lock(&b->lock);
    b->drafted = b->shown;
    b->shown = sheet;
    (void)pthread_mutex_unlock(&b->lock);
    uint64_t end_us = clock_monotonic_us(), pause_us = (end_us - now.us) * PART;
    b->due_us = end_us + (pause_us > PERIOD_US ? pause_us : PERIOD_US);
}

size_t board_read(struct board *b, struct registrar_view *ret, size_t max, struct registrar_view *ret_rest)
{
    (void)pthread_mutex_lock(&b->lock);
    const struct sheet *sheet = b->shown;
    size_t count = sheet->count < max ? sheet->count : max;
    memcpy(ret, sheet->items, count * sizeof(*ret));
    *ret_rest = sheet->rest;
    for (size_t i = count; i < sheet->count; i++)
        registrar_view_merge(ret_rest, &sheet->items[i]);
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}
