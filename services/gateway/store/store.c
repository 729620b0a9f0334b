// The store's life: connections, the gate, answers on the next turn. Knows no key and no script's answer.
#include "services/gateway/store/store.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/gateway/fair/company.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/scripts.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>

#define COMMAND_TIMEOUT_MS    5000
#define RECORDS_BESIDE_OTHERS 6

uint64_t store_replication_hash(struct str replication_id)
{
    uint64_t hash = 1469598103934665603u; // FNV-1a
    for (size_t i = 0; i < replication_id.n; i++)
        hash = (hash ^ (unsigned char)replication_id.p[i]) * 1099511628211u;
    return hash ? hash : 1;
}

static void link_up(void *arg, struct str replication_id)
{
    struct store_link *l = arg;
    l->gate->links_away -= !l->replication_hash;
    l->replication_hash = store_replication_hash(replication_id);
}

static void link_down(void *arg, const struct error *why)
{
    struct store_link *l = arg;
    l->gate->links_away += l->replication_hash != 0;
    l->replication_hash = 0;
}

static int link_open(struct store_link *l, const struct store_params *p, uint32_t timeout_ms,
                     struct error *err)
{
    const struct redis_params params = {
        .base = p->base,
        .url = p->redis_url,
        .password = p->redis_password,
        .options = p->redis_options,
        .command_timeout_ms = timeout_ms,
        .arg = l,
        .on_up = link_up,
        .on_down = link_down,
    };
    int rc = redis_new(&params, &l->redis, err);
    if (rc)
        return rc;
    l->gate = p->gate;
    l->gate->links_away++;
    return 0;
}

static void link_close(struct store_link *l)
{
    if (!l->redis)
        return;
    redis_free(l->redis);
    l->gate->links_away -= !l->replication_hash;
}

static void run_turn(evutil_socket_t fd, short what, void *arg)
{
    struct store *s = arg;
    struct store_laters due = STAILQ_HEAD_INITIALIZER(due);
    STAILQ_CONCAT(&due, &s->later); // what these ask for waits for the next turn
    struct store_later *l;
    while ((l = STAILQ_FIRST(&due))) {
        STAILQ_REMOVE_HEAD(&due, link);
        l->run(l);
    }
}

void store_run_later(struct store *s, struct store_later *l, void (*run)(struct store_later *l))
{
    l->run = run;
    STAILQ_INSERT_TAIL(&s->later, l, link);
    if (!s->closing)
        event_active(s->turn, 0, 0);
}

static void open_fair(struct store *s)
{
    s->fair = s->params.fair;
    if (s->fair)
        return;
    s->own_company = company_new();
    struct fair_params params = {.base = s->params.base, .now_us = clock_monotonic_us};
    params.limits[FAIR_SLICES] =
        (struct fair_limits){.share = 1, .alone = 2, .all = 2, .queue = UINT_MAX, .company = s->own_company};
    params.limits[FAIR_LINES] = (struct fair_limits){
        .share = 2, .alone = 64, .all = 128, .queue = UINT_MAX, .company = s->own_company};
    s->fair = s->own_fair = fair_new(&params);
}

void store_slice_begin(struct store *s, struct fair_ticket *t, struct str account,
                       void (*run)(struct fair_ticket *t))
{
    if (fair_ask(s->fair, t, FAIR_SLICES, account, 1, run) == FAIR_FULL)
        run(t); // it is closed, and so will the store be
}

void store_turn(struct store *s, struct fair_ticket *t, struct str account,
                void (*run)(struct fair_ticket *t))
{
    if (fair_ask(s->fair, t, FAIR_LINES, account, FAIR_WRITE, run) == FAIR_FULL)
        run(t); // as above
}

size_t store_slice_records(const struct fair_ticket *t)
{
    bool alone = t->state == FAIR_RUNS && fair_is_alone(t);
    return alone ? STORE_SLICE_RECORDS : RECORDS_BESIDE_OTHERS;
}

int store_new(const struct store_params *p, struct store **ret, struct error *err)
{
    struct store *s = mem_alloc(sizeof *s);
    s->params = *p;
    s->source = mem_dup_cstr(p->source);
    STAILQ_INIT(&s->later);
    STAILQ_INIT(&s->held);
    STAILQ_INIT(&s->committing);
    redis_script_init(&s->write, "write", script_write());
    redis_script_init(&s->raise, "raise", script_raise());
    redis_script_init(&s->object, "object", script_object());
    redis_script_init(&s->index, "index", script_index());
    redis_script_init(&s->ids_take, "ids_take", script_ids_take());
    redis_script_init(&s->account_read, "account_read", script_account_read());
    redis_script_init(&s->account_change, "account_change", script_account_change());
    redis_script_init(&s->job_claim, "job_claim", script_job_claim());
    redis_script_init(&s->job_save, "job_save", script_job_save());
    s->turn = event_new(p->base, -1, 0, run_turn, s);
    open_fair(s);

    int rc = link_open(&s->reads, p, COMMAND_TIMEOUT_MS, err);
    if (!rc && p->wait_replicas)
        rc = link_open(&s->waits, p, COMMAND_TIMEOUT_MS + p->wait_timeout_ms, err);
    if (rc) {
        store_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    s->closing = true;
    if (s->own_fair)
        fair_close(s->own_fair);
    link_close(&s->waits);
    link_close(&s->reads);
    store_commit_close(s);
    while (!STAILQ_EMPTY(&s->later)) // also what these answers ask for in turn
        run_turn(-1, 0, s);
    fair_free(s->own_fair);
    company_free(s->own_company);
    event_free(s->turn);
    free(s->source);
    free(s);
}

bool store_is_up(const struct store *s)
{
    return redis_is_up(s->reads.redis) && (!s->waits.redis || redis_is_up(s->waits.redis));
}

struct redis *store_writer(struct store *s)
{
    return s->waits.redis ? s->waits.redis : s->reads.redis;
}

int store_writable(const struct store *s, struct error *err)
{
    if (s->closing)
        return error_set(err, -ENOTCONN, "the store is closing");
    if (!store_is_up(s))
        return error_set(err, -ENOTCONN, "Redis is away");
    uint64_t approved = s->params.gate->approved;
    if (s->reads.replication_hash != approved || (s->waits.redis && s->waits.replication_hash != approved))
        return error_set(err, -EBUSY, "writes wait until what this Redis may have lost is written back");
    return 0;
}

void store_damaged(struct store *s, uint64_t id, const struct error *why)
{
    if (s->params.on_damaged)
        s->params.on_damaged(s->params.arg);
    for (size_t i = 0; i < STORE_DAMAGED_KEPT; i++)
        if (s->damaged[i] == id)
            return;
    s->damaged[s->damaged_next++ % STORE_DAMAGED_KEPT] = id;
    log_line(LOG_ERROR, "store", id, "%s", why->text);
}

int store_error(struct error *ret, const struct error *from_redis)
{
    *ret = *from_redis;
    ret->code = redis_error_passes(from_redis) ? -ENOTCONN : -EIO;
    return ret->code;
}
