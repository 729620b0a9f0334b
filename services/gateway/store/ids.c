// The ids of an account, a few at a time. Reads no registration.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

struct ids_call {
    struct store_later later;
    store_ids_fn *fn;
    void *arg;
};

static void on_ids(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct ids_call *c = arg;
    if (redis_err) {
        struct error err;
        c->fn(c->arg, store_error(&err, redis_err), NULL, 0, &err);
        free(c);
        return;
    }
    size_t count = redis_count(v);
    uint64_t *ids = mem_array(count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint64_t)redis_int(redis_at(v, i));
    c->fn(c->arg, 0, ids, count, NULL);
    free(ids);
    free(c);
}

static void ids_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    on_ids(container_of(l, struct ids_call, later), NULL, &err);
}

void store_ids(struct store *s, struct str account, uint64_t after, size_t limit, store_ids_fn *fn, void *arg)
{
    struct ids_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, ids_closing);
        return;
    }
    struct buf key cleanup(buf_done) = BUF_INIT, from cleanup(buf_done) = BUF_INIT;
    struct buf most cleanup(buf_done) = BUF_INIT;
    key_account(&key, account, "ids");
    buf_add_char(&from, '(');
    buf_add_u64(&from, after);
    buf_add_u64(&most, limit);
    redis_commandl(s->reads.redis, on_ids, c, STR_LIT("ZRANGEBYSCORE"), buf_str(&key), buf_str(&from),
                   STR_LIT("+inf"), STR_LIT("LIMIT"), STR_LIT("0"), buf_str(&most));
}
