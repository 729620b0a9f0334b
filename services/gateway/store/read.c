// Reading one registration, and opening its secrets.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/secrets.h"

#include <errno.h>
#include <stdlib.h>

struct get_call {
    struct store_later later;
    store_record_fn *fn;
    void *arg;
    char *account;
    uint64_t id;
};

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
    struct get_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    c->account = str_dup(account);
    c->id = id;
    if (s->closing)
        store_run_later(s, &c->later, get_closing);
    else
        record_fetch(s->reads.redis, account, id, true, on_hash, c);
}

int store_open_secret(const struct store *s, const struct registration *r, size_t credential, char **ret,
                      struct error *err)
{
    return secrets_open(s->params.ring, r, credential, ret, err);
}
