// Which accounts have ever had something here. Their names alone: who may use the API is said elsewhere.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

struct accounts_call {
    struct store_later later;
    store_accounts_fn *fn;
    void *arg;
    char **names;
    size_t count;
    unsigned answered;
    struct error err; // the first one
};

static void accounts_end(struct accounts_call *c)
{
    bool failed = c->err.code;
    c->fn(c->arg, c->err.code, c->names, failed ? 0 : c->count, failed ? &c->err : NULL);
    for (size_t i = 0; i < c->count; i++)
        free(c->names[i]);
    free(c->names);
    free(c);
}

static void on_shard(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct accounts_call *c = arg;
    if (redis_err && !c->err.code)
        (void)store_error(&c->err, redis_err);
    c->names = mem_resize(c->names, c->count + redis_count(v) + 1, sizeof *c->names);
    for (size_t i = 0; i < redis_count(v); i++)
        c->names[c->count++] = str_dup(redis_str(redis_at(v, i)));
    if (++c->answered == STORE_SHARDS)
        accounts_end(c);
}

static void accounts_closing(struct store_later *l)
{
    struct accounts_call *c = container_of(l, struct accounts_call, later);
    (void)error_set(&c->err, -ENOTCONN, "the store is closing");
    accounts_end(c);
}

void store_accounts(struct store *s, store_accounts_fn *fn, void *arg)
{
    struct accounts_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, accounts_closing);
        return;
    }
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++) {
        struct buf key cleanup(buf_done) = BUF_INIT;
        key_shard(&key, shard, "accounts");
        redis_commandl(s->reads.redis, on_shard, c, STR_LIT("SMEMBERS"), buf_str(&key));
    }
}
