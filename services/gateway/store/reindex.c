// Registrations written before there were indexes: one at a time under its own. Which ones is for
// services/gateway/jobs to go through.
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/registration/status.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/terms.h"

#include <stdlib.h>

struct index_call {
    struct store_write w;
    store_done_fn *fn;
    void *arg;
    struct buf key, id, account, terms, until;
};

static void index_finish(struct store_write *w)
{
    struct index_call *c = container_of(w, struct index_call, w);
    c->fn(c->arg, w->err.code, w->err.code ? &w->err : NULL);
    buf_done(&c->key);
    buf_done(&c->id);
    buf_done(&c->account);
    buf_done(&c->terms);
    buf_done(&c->until);
    free(c);
}

static void on_indexed(void *arg, const struct redis_value *v, const struct error *err)
{
    struct index_call *c = arg;
    (void)v;
    if (err)
        (void)store_error(&c->w.err, err);
    store_write_answered(&c->w);
}

static void send_index(struct store_write *w)
{
    struct index_call *c = container_of(w, struct index_call, w);
    const struct str argv[] = {buf_str(&c->key), buf_str(&c->id), buf_str(&c->account), buf_str(&c->terms),
                               buf_str(&c->until)};
    redis_script(store_writer(w->s), &w->s->index, on_indexed, c, 1, ARRAY_LEN(argv), argv);
}

static uint64_t bound_until_ms(struct str status)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    struct status s;
    if (!status.n || json_parse(status, NULL, &root, NULL) || status_read(root, &s, NULL))
        return 0;
    uint64_t until = status_bound_until_ms(&s);
    status_done(&s);
    return until;
}

void store_index(struct store *s, const struct store_record *record, store_done_fn *fn, void *arg)
{
    const struct registration *r = &record->reg;
    struct index_call *c = mem_alloc(sizeof *c);
    c->w = (struct store_write){.s = s, .send = send_index, .finish = index_finish};
    c->fn = fn;
    c->arg = arg;
    key_registration(&c->key, store_shard(str_of(r->account)), r->id);
    buf_add_u64(&c->id, r->id);
    buf_add_cstr(&c->account, r->account);
    terms_of(&c->terms, r);
    buf_add_u64(&c->until, bound_until_ms(record->status));
    store_write_begin(&c->w);
}
