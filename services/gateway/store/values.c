// Values that expire: sessions, revoked tokens. Nothing is known of what they mean.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

static void add_value_key(struct buf *out, unsigned shard, const char *kind, struct str key)
{
    key_shard(out, shard, kind);
    buf_add_char(out, ':');
    buf_add_str(out, key);
}

struct get_call {
    struct store_later later;
    store_value_fn *fn;
    void *arg;
};

static void on_get(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct get_call *c = arg;
    struct error err = {0};
    if (redis_err)
        (void)store_error(&err, redis_err);
    else if (redis_type(v) == REDIS_NIL)
        (void)error_set(&err, -ENOENT, "there is no such value, or it has expired");
    c->fn(c->arg, err.code, redis_str(v), err.code ? &err : NULL);
    free(c);
}

static void get_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    on_get(container_of(l, struct get_call, later), NULL, &err);
}

void store_value_get(struct store *s, unsigned shard, const char *kind, struct str key, uint64_t lifetime_ms,
                     store_value_fn *fn, void *arg)
{
    struct get_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, get_closing);
        return;
    }
    struct buf name cleanup(buf_done) = BUF_INIT, ms cleanup(buf_done) = BUF_INIT;
    add_value_key(&name, shard, kind, key);
    buf_add_u64(&ms, lifetime_ms);
    if (lifetime_ms)
        redis_commandl(s->reads.redis, on_get, c, STR_LIT("GETEX"), buf_str(&name), STR_LIT("PX"),
                       buf_str(&ms));
    else
        redis_commandl(s->reads.redis, on_get, c, STR_LIT("GET"), buf_str(&name));
}

struct value_call {
    struct store_write w;
    store_done_fn *fn;
    void *arg;
    struct buf key, value, lifetime; // lifetime empty: delete
};

static void value_finish(struct store_write *w)
{
    struct value_call *c = container_of(w, struct value_call, w);
    c->fn(c->arg, w->err.code, w->err.code ? &w->err : NULL);
    buf_done(&c->key);
    if (c->value.p)
        mem_wipe(c->value.p, c->value.n); // may be a session's secret
    buf_done(&c->value);
    buf_done(&c->lifetime);
    free(c);
}

static void on_value(void *arg, const struct redis_value *v, const struct error *err)
{
    struct value_call *c = arg;
    if (err)
        (void)store_error(&c->w.err, err);
    store_write_answered(&c->w);
}

static void send_value(struct store_write *w)
{
    struct value_call *c = container_of(w, struct value_call, w);
    struct redis *redis = store_writer(w->s);
    if (c->lifetime.n)
        redis_commandl(redis, on_value, c, STR_LIT("SET"), buf_str(&c->key), buf_str(&c->value),
                       STR_LIT("PX"), buf_str(&c->lifetime));
    else
        redis_commandl(redis, on_value, c, STR_LIT("DEL"), buf_str(&c->key));
}

static struct value_call *value_call_new(struct store *s, unsigned shard, const char *kind, struct str key,
                                         store_done_fn *fn, void *arg)
{
    struct value_call *c = mem_alloc(sizeof *c);
    c->w = (struct store_write){.s = s, .send = send_value, .finish = value_finish};
    c->fn = fn;
    c->arg = arg;
    add_value_key(&c->key, shard, kind, key);
    return c;
}

void store_value_set(struct store *s, unsigned shard, const char *kind, struct str key, struct str value,
                     uint64_t lifetime_ms, store_done_fn *fn, void *arg)
{
    struct value_call *c = value_call_new(s, shard, kind, key, fn, arg);
    buf_add_str(&c->value, value);
    buf_add_u64(&c->lifetime, lifetime_ms ? lifetime_ms : 1); // 0 is an error to Redis
    store_write_begin(&c->w);
}

void store_value_delete(struct store *s, unsigned shard, const char *kind, struct str key, store_done_fn *fn,
                        void *arg)
{
    store_write_begin(&value_call_new(s, shard, kind, key, fn, arg)->w);
}
