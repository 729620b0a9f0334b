// See scan.h.
#include "services/gateway/store/scan.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/registration/status.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLICE     200  // ids looked at in one go
#define FEW_LIVE  2000 // so few live ones are listed rather than looked for among all
#define FEW_RATIO 4

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void set_list(struct scan *x, const uint64_t *ids, size_t count)
{
    uint64_t *list = mem_array(count + 1, sizeof *list);
    if (count)
        memcpy(list, ids, count * sizeof *list);
    qsort(list, count, sizeof *list, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!kept || list[kept - 1] != list[i])
            list[kept++] = list[i];
    free(x->list);
    x->list = list;
    x->list_count = kept;
    x->listed = true;
    x->end = !kept;
}

static void add_set(struct scan *x, struct buf *take_key, enum scan_rule rule)
{
    x->sets = mem_resize(x->sets, x->set_count + 1, sizeof *x->sets);
    x->sets[x->set_count++] = (struct scan_set){.key = buf_steal(take_key), .rule = rule};
}

static void add_index(struct scan *x, const char *field, struct str value, enum scan_rule rule)
{
    struct buf key = BUF_INIT;
    key_account(&key, str_of(x->account), "by:");
    term_add(&key, field, value);
    add_set(x, &key, rule);
}

// `registered` has no index: it is what stands under no other state.
static void add_registered(struct scan *x)
{
    for (size_t i = 0; i < x->set_count; i++)
        if (x->sets[i].rule == SCAN_NOT_IN)
            return; // asked for twice
    for (int state = STATE_DISABLED; state <= STATE_UNREGISTERED; state++)
        if (state != STATE_REGISTERED)
            add_index(x, "state", str_of(status_state_name((enum status_state)state)), SCAN_NOT_IN);
}

static void add_term(struct scan *x, const struct store_term *term)
{
    if (!strcmp(term->field, "name")) {
        x->names = mem_resize(x->names, x->name_count + 1, sizeof *x->names);
        x->names[x->name_count++] = str_dup(term->value);
    } else if (!strcmp(term->field, "state") && str_eq_cstr(term->value, "registered")) {
        add_registered(x);
    } else {
        add_index(x, term->field, term->value, SCAN_IN);
    }
}

void scan_init(struct scan *x, struct store *s, const struct store_query *q, bool descending)
{
    *x = (struct scan){.s = s, .account = str_dup(q->account), .descending = descending};
    x->ids = mem_array(SLICE, sizeof *x->ids);
    x->slice = q->slice && q->slice < SLICE ? q->slice : SLICE;
    struct buf key = BUF_INIT;
    key_account(&key, q->account, "ids");
    add_set(x, &key, SCAN_IN);
    for (size_t i = 0; i < q->term_count; i++)
        add_term(x, &q->terms[i]);
    if (q->live_only) {
        key_account(&key, q->account, "live");
        add_set(x, &key, SCAN_LIVE);
    }
    if (q->ids)
        set_list(x, q->ids, q->id_count);
}

void scan_done(struct scan *x)
{
    for (size_t i = 0; i < x->set_count; i++)
        free(x->sets[i].key);
    for (size_t i = 0; i < x->name_count; i++)
        free(x->names[i]);
    free(x->sets);
    free(x->names);
    free(x->list);
    free(x->ids);
    free(x->account);
    *x = (struct scan){0};
}

// ---- the plan

static void on_live(void *arg, const struct redis_value *v, const struct error *err)
{
    struct scan *x = arg;
    if (err)
        (void)store_error(&x->err, err);
    size_t count = redis_count(v);
    uint64_t *ids = mem_array(count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint64_t)redis_int(redis_at(v, i));
    if (!err)
        set_list(x, ids, count);
    free(ids);
    x->done(x);
}

static void ask_live(struct scan *x, const struct scan_set *live)
{
    struct buf now cleanup(buf_done) = BUF_INIT;
    buf_addf(&now, "(%llu", (unsigned long long)clock_wall_ms());
    redis_commandl(x->s->reads.redis, on_live, x, STR_LIT("ZRANGEBYSCORE"), str_of(live->key), buf_str(&now),
                   STR_LIT("+inf"));
}

static void choose(struct scan *x)
{
    const struct scan_set *live = NULL;
    x->source = 0;
    for (size_t i = 0; i < x->set_count; i++) {
        if (x->sets[i].rule == SCAN_LIVE)
            live = &x->sets[i];
        else if (x->sets[i].rule == SCAN_IN && x->sets[i].size < x->sets[x->source].size)
            x->source = i;
    }
    if (!x->listed && live && live->size <= FEW_LIVE && live->size * FEW_RATIO < x->sets[x->source].size)
        ask_live(x, live);
    else
        x->done(x);
}

// Only the holder of the name is left of the list.
static void keep_named(struct scan *x, const struct redis_value *v)
{
    uint64_t id = (uint64_t)redis_int(v);
    bool found = redis_type(v) == REDIS_STRING && !x->listed;
    for (size_t i = 0; x->listed && i < x->list_count; i++)
        found = found || (redis_type(v) == REDIS_STRING && x->list[i] == id);
    set_list(x, &id, found);
}

static void on_planned(void *arg, const struct redis_value *v, const struct error *err)
{
    struct scan *x = arg;
    size_t at = x->asked - x->pending--;
    if (err)
        (void)store_error(&x->err, err);
    else if (at < x->name_count)
        keep_named(x, v);
    else
        x->sets[at - x->name_count].size = (uint64_t)redis_int(v);
    if (x->pending)
        return;
    if (x->err.code)
        x->done(x);
    else
        choose(x);
}

void scan_plan(struct scan *x, void (*done)(struct scan *x))
{
    x->done = done;
    x->asked = x->pending = x->name_count + x->set_count;
    struct redis *redis = x->s->reads.redis;
    struct buf names cleanup(buf_done) = BUF_INIT, now cleanup(buf_done) = BUF_INIT;
    key_account(&names, str_of(x->account), "names");
    buf_addf(&now, "(%llu", (unsigned long long)clock_wall_ms());
    for (size_t i = 0; i < x->name_count; i++)
        redis_commandl(redis, on_planned, x, STR_LIT("HGET"), buf_str(&names), str_of(x->names[i]));
    for (size_t i = 0; i < x->set_count; i++) {
        if (x->sets[i].rule == SCAN_LIVE)
            redis_commandl(redis, on_planned, x, STR_LIT("ZCOUNT"), str_of(x->sets[i].key), buf_str(&now),
                           STR_LIT("+inf"));
        else
            redis_commandl(redis, on_planned, x, STR_LIT("ZCARD"), str_of(x->sets[i].key));
    }
}

bool scan_is_ranked(const struct scan *x)
{
    return !x->listed && !x->name_count &&
           (x->set_count == 1 || (x->set_count == 2 && x->sets[1].rule == SCAN_IN));
}

// The sets of states exclude one another.
bool scan_knows_total(const struct scan *x, uint64_t *ret_total)
{
    uint64_t total = x->sets[0].size, not_in = 0;
    if (x->listed)
        return false;
    for (size_t i = 1; i < x->set_count; i++) {
        if (x->sets[i].rule != SCAN_NOT_IN)
            return false;
        not_in += x->sets[i].size;
    }
    *ret_total = not_in < total ? total - not_in : 0;
    return true;
}

// ---- slices

static bool passes(enum scan_rule rule, const struct redis_value *score, uint64_t now_ms)
{
    bool there = redis_type(score) == REDIS_STRING;
    if (rule == SCAN_LIVE)
        return there && redis_int(score) > (int64_t)now_ms;
    return there == (rule == SCAN_IN);
}

// An index holds none that is not in `ids`; a list may.
static bool needs_check(const struct scan *x, size_t set)
{
    return x->listed || (set && set != x->source);
}

// What a check drops is 0 until all checks are answered, so that answers match what was asked.
static void on_check(void *arg, const struct redis_value *v, const struct error *err)
{
    struct scan *x = arg;
    if (err)
        (void)store_error(&x->err, err);
    while (!needs_check(x, x->check))
        x->check++;
    const struct scan_set *set = &x->sets[x->check++];
    uint64_t now_ms = clock_wall_ms();
    for (size_t i = 0; !err && i < x->count; i++)
        if (!passes(set->rule, redis_at(v, i), now_ms))
            x->ids[i] = 0;
    if (--x->pending)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < x->count; i++)
        if (x->ids[i])
            x->ids[kept++] = x->ids[i];
    x->count = kept;
    x->done(x);
}

static void ask_check(struct scan *x, const struct scan_set *set, const struct str *ids)
{
    struct str argv[2 + SLICE] = {STR_LIT("ZMSCORE"), str_of(set->key)};
    memcpy(argv + 2, ids, x->count * sizeof *ids);
    redis_command(x->s->reads.redis, on_check, x, 2 + x->count, argv);
}

static void check_slice(struct scan *x)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    size_t ends[SLICE];
    struct str ids[SLICE];
    for (size_t i = 0; i < x->count; i++) {
        buf_add_u64(&text, x->ids[i]);
        ends[i] = text.n;
    }
    for (size_t i = 0; i < x->count; i++)
        ids[i] = str_slice(buf_str(&text), i ? ends[i - 1] : 0, ends[i]);
    x->pending = x->check = 0;
    for (size_t i = 0; i < x->set_count; i++)
        x->pending += needs_check(x, i);
    if (!x->pending || !x->count) {
        x->done(x);
        return;
    }
    for (size_t i = 0; i < x->set_count; i++)
        if (needs_check(x, i))
            ask_check(x, &x->sets[i], ids);
}

static void on_slice(void *arg, const struct redis_value *v, const struct error *err)
{
    struct scan *x = arg;
    if (err) {
        (void)store_error(&x->err, err);
        x->done(x);
        return;
    }
    x->count = redis_count(v) < x->slice ? redis_count(v) : x->slice;
    for (size_t i = 0; i < x->count; i++)
        x->ids[i] = (uint64_t)redis_int(redis_at(v, i));
    x->end = x->count < x->slice;
    if (x->count)
        x->from = x->ids[x->count - 1];
    check_slice(x);
}

static void next_of_list(struct scan *x)
{
    size_t left = x->list_count - x->list_next;
    x->count = left < x->slice ? left : x->slice;
    for (size_t i = 0; i < x->count; i++, x->list_next++)
        x->ids[i] = x->list[x->descending ? x->list_count - 1 - x->list_next : x->list_next];
    x->end = x->list_next == x->list_count;
    check_slice(x);
}

void scan_next(struct scan *x, void (*done)(struct scan *x))
{
    x->done = done;
    if (x->listed) {
        next_of_list(x);
        return;
    }
    struct buf from cleanup(buf_done) = BUF_INIT, slice cleanup(buf_done) = BUF_INIT;
    if (x->begun)
        buf_addf(&from, "(%llu", (unsigned long long)x->from);
    else
        buf_add_cstr(&from, x->descending ? "+inf" : "-inf");
    x->begun = true;
    buf_add_u64(&slice, x->slice);
    redis_commandl(x->s->reads.redis, on_slice, x,
                   x->descending ? STR_LIT("ZREVRANGEBYSCORE") : STR_LIT("ZRANGEBYSCORE"),
                   str_of(x->sets[x->source].key), buf_str(&from),
                   x->descending ? STR_LIT("-inf") : STR_LIT("+inf"), STR_LIT("LIMIT"), STR_LIT("0"),
                   buf_str(&slice));
}
