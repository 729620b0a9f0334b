// Pages of an account's registrations. By id: ranks of the `ids` index. By any other key: a walk over all of
// them in slices, each a loop turn or more of its own, keeping only what the page can show. Blocks neither
// Redis nor the loop; a walk is no snapshot: what is written meanwhile may or may not be seen.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/top.h"

#include <errno.h>
#include <stdlib.h>

#define SLICE      200   // registrations asked for at once
#define FREE_SLICE 20000 // of what a deep page kept in mind, a turn

struct page_call {
    struct store *s;
    struct store_later later;
    store_page_fn *fn;
    void *arg;
    char *account;
    uint64_t offset, limit;
    bool descending;
    store_sort_key_fn *sort_key;
    store_sort_key_with_fn *sort_key_with;
    const void *sort_arg;

    uint64_t *ids; // those still to be read: the filter's, a slice of the walk, then the page's
    size_t id_count, id_next;
    bool filtered;      // ids came from the filter: they are all there is to walk
    bool walking;       // read to sort, else to answer
    uint64_t walk_from; // the walk goes on above this id
    struct top *top;

    struct store_record *records;
    size_t record_count;
    uint64_t total;
    size_t pending; // answers still to come
    struct error err;
};

static bool sorts_by_key(const struct page_call *c)
{
    return c->sort_key || c->sort_key_with;
}

static void answer(struct page_call *c);
static void read_slice(struct page_call *c);

static void answer_later(struct store_later *l)
{
    answer(container_of(l, struct page_call, later));
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
        c->fn(c->arg, 0, c->records, c->record_count, c->total, NULL);
    for (size_t i = 0; i < c->record_count; i++) {
        registration_done(&c->records[i].reg);
        free((void *)(uintptr_t)c->records[i].status.p);
    }
    free(c->records);
    free(c->ids);
    free(c->account);
    free_slice(&c->later);
}

static void set_ids(struct page_call *c, uint64_t *take_ids, size_t count)
{
    free(c->ids);
    c->ids = take_ids;
    c->id_count = count;
    c->id_next = 0;
}

static void read_page(struct page_call *c)
{
    c->walking = false;
    c->records = mem_array(c->id_count + 1, sizeof *c->records);
    read_slice(c);
}

static void walk_on(struct page_call *c);

static void all_read(struct page_call *c)
{
    if (c->walking && !c->filtered)
        walk_on(c);
    else if (c->walking) {
        uint64_t *ids;
        size_t count = top_page(c->top, c->offset, &ids);
        set_ids(c, ids, count);
        read_page(c);
    } else {
        answer(c);
    }
}

static void keep_record(struct page_call *c, const struct store_record *read)
{
    struct store_record *kept = &c->records[c->record_count++];
    *kept = *read;
    kept->status.p = read->status.n ? str_dup(read->status) : NULL;
}

static void offer(struct page_call *c, struct store_record *read)
{
    bool is_number = false;
    char *key = c->sort_key_with ? c->sort_key_with(c->sort_arg, &read->reg, &is_number)
                                 : c->sort_key(&read->reg, &is_number);
    top_offer(c->top, read->reg.id, key, is_number);
    registration_done(&read->reg);
    c->total++;
}

static void take_record(struct page_call *c, const struct redis_value *v)
{
    uint64_t id = c->ids[c->id_next - c->pending]; // answers come in the order of the questions
    struct store_record record = {0};
    struct error err;
    int rc = record_read(v, str_of(c->account), id, &record, &err);
    if (rc == -ENOENT)
        return; // deleted since its id was read
    if (rc)
        c->err = err;
    else if (c->walking)
        offer(c, &record);
    else
        keep_record(c, &record);
}

static void on_record(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err)
        (void)store_error(&c->err, err);
    if (!c->err.code)
        take_record(c, v);
    if (--c->pending)
        return;
    if (c->err.code)
        answer(c);
    else
        read_slice(c);
}

static void read_slice(struct page_call *c)
{
    size_t left = c->id_count - c->id_next;
    if (!left) {
        all_read(c);
        return;
    }
    c->pending = left < SLICE ? left : SLICE;
    size_t from = c->id_next;
    c->id_next += c->pending;
    for (size_t i = from; i < c->id_next; i++)
        record_fetch(c->s->reads.redis, str_of(c->account), c->ids[i], !c->walking, on_record, c);
}

static uint64_t *ids_of(const struct redis_value *v, size_t *ret_count)
{
    *ret_count = redis_count(v);
    uint64_t *ids = mem_array(*ret_count + 1, sizeof *ids);
    for (size_t i = 0; i < *ret_count; i++)
        ids[i] = (uint64_t)redis_int(redis_at(v, i));
    return ids;
}

// ---- by id

static void on_ranks(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err)
        (void)store_error(&c->err, err);
    if (c->err.code) {
        answer(c);
        return;
    }
    size_t count;
    uint64_t *ids = ids_of(v, &count);
    set_ids(c, ids, count);
    read_page(c);
}

static void on_total(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err)
        (void)store_error(&c->err, err);
    else
        c->total = (uint64_t)redis_int(v);
}

static void ask_ranks(struct page_call *c)
{
    struct buf key cleanup(buf_done) = BUF_INIT, first cleanup(buf_done) = BUF_INIT,
                   last cleanup(buf_done) = BUF_INIT;
    key_account(&key, str_of(c->account), "ids");
    bool none = !c->limit; // "0 -1" would be all
    buf_add_u64(&first, none ? 1 : c->offset);
    buf_add_u64(&last, none ? 0 : c->offset + c->limit - 1);
    redis_commandl(c->s->reads.redis, on_total, c, STR_LIT("ZCARD"), buf_str(&key));
    redis_commandl(c->s->reads.redis, on_ranks, c, c->descending ? STR_LIT("ZREVRANGE") : STR_LIT("ZRANGE"),
                   buf_str(&key), buf_str(&first), buf_str(&last));
}

// ---- only some ids

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static size_t sort_unique(uint64_t *ids, size_t count)
{
    qsort(ids, count, sizeof *ids, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!kept || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    return kept;
}

static void begin_walk(struct page_call *c)
{
    c->walking = true;
    c->total = 0;
    c->top = top_new(c->offset + c->limit, c->descending);
}

// The page's part of the ids that exist.
static void cut_page(struct page_call *c)
{
    size_t count = c->offset < c->id_count ? c->id_count - c->offset : 0;
    if (count > c->limit)
        count = c->limit;
    uint64_t *page = mem_array(count + 1, sizeof *page);
    for (size_t i = 0; i < count; i++) {
        size_t rank = c->offset + i;
        page[i] = c->ids[c->descending ? c->id_count - 1 - rank : rank];
    }
    set_ids(c, page, count);
}

static void on_scores(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err) {
        (void)store_error(&c->err, err);
        answer(c);
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < c->id_count; i++)
        if (redis_type(redis_at(v, i)) == REDIS_STRING)
            c->ids[kept++] = c->ids[i];
    c->id_count = kept;
    if (sorts_by_key(c)) {
        begin_walk(c);
        read_slice(c);
        return;
    }
    c->total = kept;
    cut_page(c);
    read_page(c);
}

static void ask_scores(struct page_call *c)
{
    struct buf key cleanup(buf_done) = BUF_INIT, texts cleanup(buf_done) = BUF_INIT;
    key_account(&key, str_of(c->account), "ids");
    struct str *argv = mem_array(2 + c->id_count, sizeof *argv);
    size_t *ends = mem_array(c->id_count, sizeof *ends);
    for (size_t i = 0; i < c->id_count; i++) {
        buf_add_u64(&texts, c->ids[i]);
        ends[i] = texts.n;
    }
    argv[0] = STR_LIT("ZMSCORE");
    argv[1] = buf_str(&key);
    for (size_t i = 0; i < c->id_count; i++)
        argv[2 + i] = str_slice(buf_str(&texts), i ? ends[i - 1] : 0, ends[i]);
    redis_command(c->s->reads.redis, on_scores, c, 2 + c->id_count, argv);
    free(ends);
    free(argv);
}

// ---- by another key

static void on_walk(void *arg, const struct redis_value *v, const struct error *err)
{
    struct page_call *c = arg;
    if (err) {
        (void)store_error(&c->err, err);
        answer(c);
        return;
    }
    size_t count;
    uint64_t *ids = ids_of(v, &count);
    set_ids(c, ids, count);
    if (count)
        c->walk_from = ids[count - 1];
    else
        c->filtered = true; // all is walked: what follows is the page
    read_slice(c);
}

static void walk_on(struct page_call *c)
{
    struct buf key cleanup(buf_done) = BUF_INIT, from cleanup(buf_done) = BUF_INIT,
                   slice cleanup(buf_done) = BUF_INIT;
    key_account(&key, str_of(c->account), "ids");
    buf_addf(&from, "(%llu", (unsigned long long)c->walk_from);
    buf_add_u64(&slice, SLICE);
    redis_commandl(c->s->reads.redis, on_walk, c, STR_LIT("ZRANGEBYSCORE"), buf_str(&key), buf_str(&from),
                   STR_LIT("+inf"), STR_LIT("LIMIT"), STR_LIT("0"), buf_str(&slice));
}

static struct page_call *page_call_new(struct store *s, const struct store_query *q, store_page_fn *fn,
                                       void *arg)
{
    const uint64_t far = INT64_MAX / 4; // beyond any rank, and sums stay in range
    struct page_call *c = mem_alloc(sizeof *c);
    c->s = s;
    c->fn = fn;
    c->arg = arg;
    c->account = str_dup(q->account);
    c->offset = q->offset < far ? q->offset : far;
    c->limit = q->limit < far ? q->limit : far;
    c->descending = q->descending;
    c->sort_key = q->sort_key;
    c->sort_key_with = q->sort_key_with;
    c->sort_arg = q->sort_arg;
    c->filtered = q->ids;
    if (!q->ids)
        return c;
    uint64_t *ids = mem_array(q->id_count + 1, sizeof *ids);
    for (size_t i = 0; i < q->id_count; i++)
        ids[i] = q->ids[i];
    set_ids(c, ids, sort_unique(ids, q->id_count));
    return c;
}

void store_page(struct store *s, const struct store_query *q, store_page_fn *fn, void *arg)
{
    struct page_call *c = page_call_new(s, q, fn, arg);
    if (s->closing)
        (void)error_set(&c->err, -ENOTCONN, "the store is closing");
    if (s->closing || (c->filtered && !c->id_count)) {
        store_run_later(s, &c->later, answer_later);
    } else if (c->filtered) {
        ask_scores(c);
    } else if (sorts_by_key(c)) {
        begin_walk(c);
        walk_on(c);
    } else {
        ask_ranks(c);
    }
}
