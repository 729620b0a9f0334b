// The whole of what a query leaves, slice by slice at its reader's pace. Holds one slice in memory.
#include "common/base/mem.h"
#include "services/gateway/store/fetch.h"
#include "services/gateway/store/scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SLICE_TURNS 2 // of Redis, to read a slice

enum walk_state {
    WALK_WAITING, // for store_walk_next
    WALK_READING, // an answer of Redis or the next loop turn is awaited
    WALK_TELLING, // in fn
    WALK_OVER,    // the end or an error was told
};

struct store_walk {
    struct store *s;
    struct store_later later;
    struct fair_ticket slice;
    store_page_fn *fn;
    void *arg;
    struct scan scan;
    size_t most; // ids of a slice
    struct fetch fetch;
    bool (*keep)(const void *arg, const struct store_record *record);
    const void *keep_arg;
    enum walk_state state;
    bool dropped; // store_walk_end was called while it could not be freed
    struct store_record *records;
    size_t record_count;
    uint64_t seen;
    struct error err;
};

static void walk_free(struct store_walk *w)
{
    scan_done(&w->scan);
    free(w);
}

static void records_free(struct store_walk *w)
{
    for (size_t i = 0; i < w->record_count; i++) {
        registration_done(&w->records[i].reg);
        free((void *)(uintptr_t)w->records[i].status.p);
    }
    free(w->records);
    w->records = NULL;
    w->record_count = 0;
}

static void tell(struct store_walk *w)
{
    bool over = w->err.code || !w->record_count;
    w->state = WALK_TELLING;
    if (!w->dropped)
        w->fn(w->arg, w->err.code, w->err.code ? NULL : w->records, w->err.code ? 0 : w->record_count,
              w->seen, w->err.code ? &w->err : NULL);
    records_free(w);
    if (w->state != WALK_TELLING)
        return; // fn asked for more
    if (w->dropped)
        walk_free(w);
    else
        w->state = over ? WALK_OVER : WALK_WAITING;
}

static void tell_later(struct store_later *l)
{
    tell(container_of(l, struct store_walk, later));
}

static void on_slice(struct scan *x);

// What its reader makes of a slice is one turn of the loop.
static void begin_slice(struct fair_ticket *t)
{
    struct store_walk *w = container_of(t, struct store_walk, slice);
    if (w->s->closing)
        (void)error_set(&w->err, -ENOTCONN, "the store is closing");
    if (!w->err.code && !w->dropped) {
        size_t most = SLICE_TURNS * store_slice_records(t);
        w->scan.slice = w->most < most ? w->most : most;
        scan_next(&w->scan, on_slice);
        return;
    }
    fair_give_back(t);
    tell(w);
}

static void next_slice(struct store_walk *w)
{
    w->state = WALK_READING;
    store_slice_begin(w->s, &w->slice, str_of(w->scan.account), begin_slice);
}

// Nothing of a slice was kept: the reader waits for the next one that has something.
static void read_on(struct store_walk *w)
{
    w->state = WALK_READING;
    if (w->s->closing)
        (void)error_set(&w->err, -ENOTCONN, "the store is closing");
    if (w->err.code || w->scan.end || w->dropped)
        tell(w);
    else
        next_slice(w);
}

static void keep_record(struct fetch *f, struct store_record *take_record)
{
    struct store_walk *w = container_of(f, struct store_walk, fetch);
    if (w->dropped || (w->keep && !w->keep(w->keep_arg, take_record))) {
        registration_done(&take_record->reg);
        return;
    }
    struct store_record *kept = &w->records[w->record_count++];
    *kept = *take_record;
    kept->status.p = take_record->status.n ? str_dup(take_record->status) : NULL;
    w->seen++;
}

static void slice_read(struct fetch *f)
{
    struct store_walk *w = container_of(f, struct store_walk, fetch);
    w->err = f->err;
    if (w->err.code || w->record_count) {
        tell(w);
        return;
    }
    records_free(w);
    read_on(w);
}

static void on_slice(struct scan *x)
{
    struct store_walk *w = container_of(x, struct store_walk, scan);
    w->err = x->err;
    fair_give_back(&w->slice);
    if (w->err.code || w->dropped) {
        tell(w);
        return;
    }
    w->records = mem_array(x->count + 1, sizeof *w->records);
    w->fetch = (struct fetch){.s = w->s,
                              .account = str_of(x->account),
                              .ids = x->ids,
                              .count = x->count,
                              .with_status = true,
                              .take = keep_record,
                              .done = slice_read};
    fetch_begin(&w->fetch);
}

static void on_planned(struct scan *x)
{
    struct store_walk *w = container_of(x, struct store_walk, scan);
    w->err = x->err;
    if (w->err.code)
        tell(w);
    else
        read_on(w);
}

static void tell_closing(struct store_walk *w)
{
    (void)error_set(&w->err, -ENOTCONN, "the store is closing");
    w->state = WALK_READING;
    store_run_later(w->s, &w->later, tell_later);
}

struct store_walk *store_walk_begin(struct store *s, const struct store_query *q, store_page_fn *fn,
                                    void *arg)
{
    struct store_walk *w = mem_alloc(sizeof *w);
    w->s = s;
    w->fn = fn;
    w->arg = arg;
    w->keep = q->keep;
    w->keep_arg = q->keep_arg;
    w->state = WALK_READING;
    scan_init(&w->scan, s, q, false);
    w->most = w->scan.slice;
    if (s->closing)
        tell_closing(w);
    else
        scan_plan(&w->scan, on_planned);
    return w;
}

void store_walk_next(struct store_walk *w)
{
    assert(w->state == WALK_WAITING || w->state == WALK_TELLING);
    if (w->s->closing) {
        tell_closing(w);
    } else if (w->scan.end) {
        w->state = WALK_READING;
        store_run_later(w->s, &w->later, tell_later);
    } else {
        next_slice(w);
    }
}

void store_walk_end(struct store_walk *w)
{
    if (!w)
        return;
    w->dropped = true;
    if (w->state == WALK_WAITING || w->state == WALK_OVER)
        walk_free(w);
}
