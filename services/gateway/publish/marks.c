// See marks.h.
#include "services/gateway/publish/marks.h"

#include "common/base/mem.h"
#include "common/event/timer.h"
#include "services/gateway/publish/hub.h"
#include "services/gateway/publish/writeback.h"
#include "services/gateway/store/keys.h"

#include <event2/event.h>
#include <stdlib.h>

#define WATCH_MS 500

struct marks_call {
    struct hub *hub;
    marks_fn *fn;
    void *arg;
    unsigned left;
    struct buf replication_id;
    uint64_t last_id;
    struct marks found;
    struct error err; // the first one
};

static struct marks_call *call_new(struct hub *h, struct str replication_id, marks_fn *fn, void *arg)
{
    struct marks_call *c = mem_alloc(sizeof(*c));
    c->hub = h;
    c->fn = fn;
    c->arg = arg;
    buf_add_str(&c->replication_id, replication_id);
    return c;
}

static void finish(struct marks_call *take)
{
    bool ok = !take->err.code;
    take->fn(take->arg, ok ? &take->found : NULL, ok ? NULL : &take->err);
    buf_done(&take->replication_id);
    free(take);
}

// Whether it was the last.
static bool is_answered(struct marks_call *c, const struct error *err)
{
    if (err && !c->err.code)
        c->err = *err;
    return --c->left == 0;
}

// ---- reading

static void take_mark(struct marks_call *c, const struct redis_value *mark)
{
    c->found.missing = c->found.missing || redis_type(mark) == REDIS_NIL;
    c->found.checked = c->found.checked && str_eq(redis_str(mark), buf_str(&c->replication_id));
}

// While a gateway works it sweeps, so the last sweep that a shard knows of tells how old it is: after a long
// outage, or from a backup, ten minutes before now would not reach back to what was lost.
static void on_shard(void *arg, const struct redis_value *v, const struct error *err)
{
    struct marks_call *c = arg;
    if (!err) {
        uint64_t at = (uint64_t)redis_int(redis_at(v, 0)), last = (uint64_t)redis_int(redis_at(v, 2));
        take_mark(c, redis_at(v, 1));
        c->found.emptied = c->found.emptied || (!at && redis_type(redis_at(v, 1)) == REDIS_NIL);
        if (at && (!c->found.alive_ms || at < c->found.alive_ms))
            c->found.alive_ms = at;
        if (last > c->found.last_id)
            c->found.last_id = last;
    }
    if (is_answered(c, err))
        finish(c);
}

static void on_deployment(void *arg, const struct redis_value *v, const struct error *err)
{
    struct marks_call *c = arg;
    if (!err) {
        bool sequence = redis_type(redis_at(v, 1)) != REDIS_NIL;
        take_mark(c, redis_at(v, 0));
        c->found.missing = c->found.missing || !sequence;
        c->found.emptied = c->found.emptied || !sequence;
    }
    if (is_answered(c, err))
        finish(c);
}

void marks_read(struct hub *h, struct str replication_id, marks_fn *fn, void *arg)
{
    struct marks_call *c = call_new(h, replication_id, fn, arg);
    c->left = STORE_SHARDS + 1;
    c->found.checked = true;
    struct buf mark cleanup(buf_done) = BUF_INIT, seq cleanup(buf_done) = BUF_INIT;
    key_global(&mark, "replid");
    key_global(&seq, "seq");
    redis_commandl(h->redis, on_deployment, c, STR_LIT("MGET"), buf_str(&mark), buf_str(&seq));
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++) {
        struct buf sweep cleanup(buf_done) = BUF_INIT;
        key_shard(&sweep, shard, "sweep");
        redis_commandl(h->redis, on_shard, c, STR_LIT("HMGET"), buf_str(&sweep), STR_LIT("at"),
                       STR_LIT("replid"), STR_LIT("last"));
    }
}

// ---- setting

static void on_all_set(void *arg, const struct redis_value *v, const struct error *err)
{
    struct marks_call *c = arg;
    if (err)
        c->err = *err;
    finish(c);
}

static void set_deployment(struct marks_call *c)
{
    struct buf seq cleanup(buf_done) = BUF_INIT, mark cleanup(buf_done) = BUF_INIT;
    struct buf last cleanup(buf_done) = BUF_INIT;
    key_global(&seq, "seq");
    key_global(&mark, "replid");
    buf_add_u64(&last, c->last_id);
    const struct str argv[] = {buf_str(&seq), buf_str(&mark), buf_str(&last), buf_str(&c->replication_id)};
    redis_script(c->hub->redis, &c->hub->scripts.approve, on_all_set, c, 2, ARRAY_LEN(argv), argv);
}

static void on_set(void *arg, const struct redis_value *v, const struct error *err)
{
    struct marks_call *c = arg;
    if (!is_answered(c, err))
        return;
    if (c->err.code)
        finish(c);
    else
        set_deployment(c);
}

void marks_set(struct hub *h, struct str replication_id, uint64_t last_id, marks_fn *fn, void *arg)
{
    struct marks_call *c = call_new(h, replication_id, fn, arg);
    c->left = STORE_SHARDS;
    c->last_id = last_id;
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++) {
        struct buf sweep cleanup(buf_done) = BUF_INIT;
        key_shard(&sweep, shard, "sweep");
        redis_commandl(h->redis, on_set, c, STR_LIT("HSET"), buf_str(&sweep), STR_LIT("replid"),
                       replication_id);
    }
}

// ---- the watch

struct marks_watch {
    struct hub *hub;
    struct event *turn;
    bool reading;
};

static void on_read(void *arg, const struct marks *m, const struct error *err)
{
    struct marks_watch *w = arg;
    w->reading = false;
    if (!err && m->missing)
        writeback_lost(w->hub->writeback);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct marks_watch *w = arg;
    if (w->reading || w->hub->stopping || !hub_redis_usable(w->hub))
        return;
    w->reading = true;
    marks_read(w->hub, STR_NONE, on_read, w);
}

struct marks_watch *marks_watch_new(struct hub *h)
{
    struct marks_watch *w = mem_alloc(sizeof(*w));
    w->hub = h;
    w->turn = event_new(h->base, -1, EV_PERSIST, on_turn, w);
    timer_in_ms(w->turn, WATCH_MS);
    return w;
}

void marks_watch_free(struct marks_watch *w)
{
    event_free(w->turn);
    free(w);
}
