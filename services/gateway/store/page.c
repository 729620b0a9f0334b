// Pages of an account's registrations. By id over one index: its ranks. Else a walk in slices, each a loop
// turn or more of its own, keeping only what the page can show. Blocks neither Redis nor the loop; a walk is
// no snapshot: what is written meanwhile may or may not be seen.
#include "common/base/mem.h"
#include "services/gateway/store/fetch.h"
#include "services/gateway/store/scan.h"
#include "services/gateway/store/top.h"

#include <errno.h>
#include <stdlib.h>

#define FREE_SLICE 20000 // of what a deep page kept in mind, a turn

struct page_call {
    struct store *s;
    struct store_later later;
    struct fair_ticket slice;
    store_page_fn *fn;
    void *arg;
    struct scan scan;
    struct fetch fetch;
    uint64_t offset, limit;
    bool descending;
    store_sort_key_fn *sort_key;
    store_sort_key_with_fn *sort_key_with;
    const void *sort_arg;
    bool (*keep)(const void *arg, const struct store_record *record);
    const void *keep_arg;
    bool keep_reads_status;
    bool total_given; // by the indexes, or nobody asks: a full page ends the walk

    struct top *top;
    uint64_t *ids; // the page's
    size_t id_count, id_size;
    void (*each)(void *arg, const struct store_record *record);
    size_t told; // to each
    struct store_record *records;
    size_t record_count;
    uint64_t seen, total;
    struct error err;
};

static bool sorts_by_key(const struct page_call *c)
{
    return c->sort_key || c->sort_key_with;
}

static void free_slice(struct store_later *l)
{
    struct page_call *c = container_of(l, struct page_call, later);
    if (c->top && !top_shrink(c->top, FREE_SLICE)) {
        store_run_later(c->s, &c->later, free_slice);
        return;
    }
    top_free(c->top);
    free(c);
}

static void answer(struct page_call *c)
{
    if (c->err.code)
        c->fn(c->arg, c->err.code, NULL, 0, 0, &c->err);
    else
        c->fn(c->arg, 0, c->records, c->each ? c->told : c->record_count, c->total, NULL);
    for (size_t i = 0; i < c->record_count; i++) {
        registration_done(&c->records[i].reg);
        free((void *)(uintptr_t)c->records[i].status.p);
    }
    free(c->records);
    free(c->ids);
    scan_done(&c->scan);
    free_slice(&c->later);
}

static void answer_later(struct store_later *l)
{
    answer(container_of(l, struct page_call, later));
}

// ---- the page itself

static void keep_record(struct fetch *f, struct store_record *take_record)
{
    struct page_call *c = container_of(f, struct page_call, fetch);
    if (c->each) {
        c->each(c->arg, take_record);
        registration_done(&take_record->reg);
        c->told++;
        return;
    }
    struct store_record *kept = &c->records[c->record_count++];
    *kept = *take_record;
    kept->status.p = take_record->status.n ? str_dup(take_record->status) : NULL;
}

static void page_read(struct fetch *f)
{
    struct page_call *c = container_of(f, struct page_call, fetch);
    c->err = f->err;
    answer(c);
}

static void read_records(struct page_call *c, const uint64_t *ids, size_t count, bool with_status,
                         void (*take)(struct fetch *f, struct store_record *take_record),
                         void (*done)(struct fetch *f))
{
    c->fetch = (struct fetch){.s = c->s,
                              .account = str_of(c->scan.account),
                              .ids = ids,
                              .count = count,
                              .with_status = with_status,
                              .take = take,
                              .done = done};
    fetch_begin(&c->fetch);
}

static void read_page(struct page_call *c)
{
    if (c->top)
        c->id_count = top_page(c->top, c->offset, &c->ids);
    if (!c->each)
        c->records = mem_array(c->id_count + 1, sizeof *c->records);
    read_records(c, c->ids, c->id_count, true, keep_record, page_read);
}

static void add_id(struct page_call *c, uint64_t id)
{
    if (c->id_count == c->id_size) {
        c->id_size = c->id_size ? 2 * c->id_size : 64;
        c->ids = mem_resize(c->ids, c->id_size, sizeof *c->ids);
    }
    c->ids[c->id_count++] = id;
}

// ---- one index: by rank

static void on_ranks(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err)
        (void)store_error(&c->err, err);
    if (c->err.code) {
        answer(c);
        return;
    }
    for (size_t i = 0; i < redis_count(v); i++)
        add_id(c, (uint64_t)redis_int(redis_at(v, i)));
    read_page(c);
}

static void on_total(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err)
        (void)store_error(&c->err, err); // and the ranks fail for the same reason
    else
        c->total = (uint64_t)redis_int(v);
}

static void ask_ranks(struct page_call *c)
{
    struct buf first cleanup(buf_done) = BUF_INIT, last cleanup(buf_done) = BUF_INIT;
    struct str key = str_of(c->scan.sets[c->scan.set_count - 1].key);
    bool none = !c->limit; // "0 -1" would be all
    buf_add_u64(&first, none ? 1 : c->offset);
    buf_add_u64(&last, none ? 0 : c->offset + c->limit - 1);
    redis_commandl(c->s->reads.redis, on_total, c, STR_LIT("ZCARD"), key);
    redis_commandl(c->s->reads.redis, on_ranks, c, c->descending ? STR_LIT("ZREVRANGE") : STR_LIT("ZRANGE"),
                   key, buf_str(&first), buf_str(&last));
}

// ---- a walk

static void on_slice(struct scan *x);

static void begin_slice(struct fair_ticket *t)
{
    struct page_call *c = container_of(t, struct page_call, slice);
    if (!c->s->closing) {
        scan_next(&c->scan, on_slice);
        return;
    }
    (void)error_set(&c->err, -ENOTCONN, "the store is closing");
    fair_give_back(t);
    answer(c);
}

static void walk_on(struct page_call *c)
{
    bool full = c->total_given && c->id_count >= c->limit && !c->top;
    if (!full && !c->scan.end) {
        store_slice_begin(c->s, &c->slice, str_of(c->scan.account), begin_slice);
        return;
    }
    if (c->seen > c->total)
        c->total = c->seen;
    read_page(c);
}

static void count_id(struct page_call *c, uint64_t id)
{
    uint64_t rank = c->seen++;
    if (rank >= c->offset && c->id_count < c->limit)
        add_id(c, id);
}

static void judge(struct fetch *f, struct store_record *take_record)
{
    struct page_call *c = container_of(f, struct page_call, fetch);
    struct registration *r = &take_record->reg;
    if (c->keep && !c->keep(c->keep_arg, take_record)) {
        registration_done(r);
        return;
    }
    if (c->top) {
        bool is_number = false;
        char *key =
            c->sort_key_with ? c->sort_key_with(c->sort_arg, r, &is_number) : c->sort_key(r, &is_number);
        top_offer(c->top, r->id, key, is_number);
        c->seen++;
    } else {
        count_id(c, r->id);
    }
    registration_done(r);
}

static void end_slice(struct page_call *c)
{
    if (c->err.code)
        answer(c);
    else
        walk_on(c);
}

static void slice_judged(struct fetch *f)
{
    struct page_call *c = container_of(f, struct page_call, fetch);
    c->err = f->err;
    end_slice(c);
}

static void on_slice(struct scan *x)
{
    struct page_call *c = container_of(x, struct page_call, scan);
    c->err = x->err;
    fair_give_back(&c->slice);
    if (!c->err.code && (c->keep || c->top)) {
        read_records(c, x->ids, x->count, c->keep_reads_status, judge, slice_judged);
        return;
    }
    for (size_t i = 0; !c->err.code && i < x->count; i++)
        count_id(c, x->ids[i]);
    end_slice(c);
}

static void on_planned(struct scan *x)
{
    struct page_call *c = container_of(x, struct page_call, scan);
    c->err = x->err;
    if (c->err.code) {
        answer(c);
    } else {
        if (!c->keep && !c->top)
            c->total_given = scan_knows_total(x, &c->total) || c->total_given;
        walk_on(c);
    }
}

static struct page_call *page_call_new(struct store *s, const struct store_query *q, store_page_fn *fn,
                                       void *arg)
{
    const uint64_t far = INT64_MAX / 4; // beyond any rank, and sums stay in range
    struct page_call *c = mem_alloc(sizeof *c);
    c->s = s;
    c->fn = fn;
    c->arg = arg;
    c->offset = q->offset < far ? q->offset : far;
    c->limit = q->limit < far ? q->limit : far;
    c->descending = q->descending;
    c->sort_key = q->sort_key;
    c->sort_key_with = q->sort_key_with;
    c->sort_arg = q->sort_arg;
    c->keep = q->keep;
    c->keep_arg = q->keep_arg;
    c->keep_reads_status = q->keep && q->keep_reads_status;
    c->total_given = q->without_total;
    c->each = q->each;
    scan_init(&c->scan, s, q, q->descending && !sorts_by_key(c));
    if (sorts_by_key(c))
        c->top = top_new(c->offset + c->limit, c->descending);
    return c;
}

void store_page(struct store *s, const struct store_query *q, store_page_fn *fn, void *arg)
{
    struct page_call *c = page_call_new(s, q, fn, arg);
    if (s->closing) {
        (void)error_set(&c->err, -ENOTCONN, "the store is closing");
        store_run_later(s, &c->later, answer_later);
    } else if (!c->keep && !c->top && scan_is_ranked(&c->scan)) {
        ask_ranks(c);
    } else {
        scan_plan(&c->scan, on_planned);
    }
}
