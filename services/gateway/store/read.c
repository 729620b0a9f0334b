// Reading one registration by id or name, counting, and opening secrets.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/secrets.h"

#include <errno.h>
#include <stdlib.h>

struct get_call {
    struct store_later later;
    struct store *s;
    store_record_fn *fn;
    void *arg;
    char *account;
    uint64_t id;
};

static struct get_call *get_call_new(struct store *s, struct str account, store_record_fn *fn, void *arg)
{
    struct get_call *c = mem_alloc(sizeof *c);
    c->s = s;
    c->fn = fn;
    c->arg = arg;
    c->account = str_dup(account);
    return c;
}

static void get_fail(struct get_call *c, const struct error *err)
{
    c->fn(c->arg, err->code, NULL, err);
    free(c->account);
    free(c);
}

static void on_hash(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct get_call *c = arg;
    struct store_record record = {0};
    struct error err;
    int rc =
        redis_err ? store_error(&err, redis_err) : record_read(v, str_of(c->account), c->id, &record, &err);
    if (rc == -EIO) { // of another type
        err.code = rc = -EBADMSG;
        error_prefix(&err, "what Redis holds of registration %llu is damaged", (unsigned long long)c->id);
    }
    if (rc == -EBADMSG)
        store_damaged(c->s, c->id, &err);
    if (rc) {
        get_fail(c, &err);
        return;
    }
    c->fn(c->arg, 0, &record, NULL);
    registration_done(&record.reg);
    free(c->account);
    free(c);
}

static void get_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    get_fail(container_of(l, struct get_call, later), &err);
}

void store_get(struct store *s, struct str account, uint64_t id, store_record_fn *fn, void *arg)
{
    struct get_call *c = get_call_new(s, account, fn, arg);
    c->id = id;
    if (s->closing)
        store_run_later(s, &c->later, get_closing);
    else
        record_fetch(s->reads.redis, account, id, true, on_hash, c);
}

static void on_holder(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct get_call *c = arg;
    struct error err;
    if (redis_err || redis_type(v) != REDIS_STRING) {
        if (redis_err)
            (void)store_error(&err, redis_err);
        else
            (void)error_set(&err, -ENOENT, "no registration of that name in this account");
        get_fail(c, &err);
        return;
    }
    c->id = (uint64_t)redis_int(v);
    record_fetch(c->s->reads.redis, str_of(c->account), c->id, true, on_hash, c);
}

void store_find(struct store *s, struct str account, struct str name, store_record_fn *fn, void *arg)
{
    struct get_call *c = get_call_new(s, account, fn, arg);
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_account(&key, account, "names");
    if (s->closing)
        store_run_later(s, &c->later, get_closing);
    else
        redis_commandl(s->reads.redis, on_holder, c, STR_LIT("HGET"), buf_str(&key), name);
}

struct count_call {
    struct store_later later;
    store_count_fn *fn;
    void *arg;
};

static void on_count(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct count_call *c = arg;
    struct error err;
    if (redis_err)
        c->fn(c->arg, store_error(&err, redis_err), 0, &err);
    else
        c->fn(c->arg, 0, (uint64_t)redis_int(v), NULL);
    free(c);
}

static void count_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    on_count(container_of(l, struct count_call, later), NULL, &err);
}

void store_count(struct store *s, struct str account, bool live_only, store_count_fn *fn, void *arg)
{
    struct count_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    struct buf key cleanup(buf_done) = BUF_INIT, now cleanup(buf_done) = BUF_INIT;
    key_account(&key, account, live_only ? "live" : "ids");
    buf_addf(&now, "(%llu", (unsigned long long)clock_wall_ms());
    if (s->closing)
        store_run_later(s, &c->later, count_closing);
    else if (live_only)
        redis_commandl(s->reads.redis, on_count, c, STR_LIT("ZCOUNT"), buf_str(&key), buf_str(&now),
                       STR_LIT("+inf"));
    else
        redis_commandl(s->reads.redis, on_count, c, STR_LIT("ZCARD"), buf_str(&key));
}

int store_open_secret(const struct store *s, const struct registration *r, size_t credential, char **ret,
                      struct error *err)
{
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(s->params.keys);
    return secrets_open(ring, r, credential, ret, err);
}

bool store_keep_secrets(const struct store *s, const struct registration *before, struct registration *after)
{
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(s->params.keys);
    return secrets_keep(ring, before, after);
}
