// Writes of one registration: create, update, delete.
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/registration/status.h"
#include "services/gateway/store/secrets.h"
#include "services/gateway/store/write_call.h"

#include <errno.h>
#include <stdlib.h>

struct single {
    store_record_fn *fn;
    void *arg;
};

// What an idempotency key made before, as it stands now.
static void on_replayed(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct single *one = arg;
    struct store_record again;
    if (record) {
        again = *record;
        again.replayed = true;
        record = &again;
    }
    one->fn(one->arg, rc, record, err);
    free(one);
}

static void answer(struct write_call *c)
{
    struct single *one = c->arg;
    const struct store_record record = {.reg = c->items[0].reg, .status = str_of(c->items[0].status)};
    if (!c->w.err.code && c->replayed) {
        store_get(c->w.s, str_of(c->account), c->replayed, on_replayed, one);
        return;
    }
    if (c->w.err.code)
        one->fn(one->arg, c->w.err.code, NULL, &c->w.err);
    else
        one->fn(one->arg, 0, c->items[0].kind == STORE_ITEM_DELETE ? NULL : &record, NULL);
    free(one);
}

static struct write_call *single_new(struct store *s, struct str account, int kind,
                                     const struct store_write_context *context, store_record_fn *fn,
                                     void *arg)
{
    struct single *one = mem_alloc(sizeof *one);
    *one = (struct single){.fn = fn, .arg = arg};
    struct write_call *c = write_call_new(s, account, 1, context);
    c->answer = answer;
    c->arg = one;
    c->items[0].kind = kind;
    return c;
}

void store_create(struct store *s, const struct registration *reg, const struct store_write_context *context,
                  store_record_fn *fn, void *arg)
{
    struct write_call *c = single_new(s, str_of(reg->account), STORE_ITEM_CREATE, context, fn, arg);
    registration_copy(&c->items[0].given, reg);
    if (context->idempotency_key.n) {
        terms_digest(context->idempotency_key, c->key_digest);
        terms_digest(context->fingerprint, c->fingerprint);
    }
    write_call_begin(c);
}

void store_update(struct store *s, const struct registration *before, const struct registration *after,
                  const struct store_write_context *context, store_record_fn *fn, void *arg)
{
    struct write_call *c = single_new(s, str_of(before->account), STORE_ITEM_UPDATE, context, fn, arg);
    write_item_update(c, 0, before, after);
    write_call_begin(c);
}

void store_delete(struct store *s, struct str account, uint64_t id, uint64_t revision,
                  const struct store_write_context *context, store_record_fn *fn, void *arg)
{
    struct write_call *c = single_new(s, account, STORE_ITEM_DELETE, context, fn, arg);
    c->items[0].reg.id = id;
    c->items[0].expected = revision;
    write_call_begin(c);
}

struct reseal {
    store_done_fn *fn;
    void *arg;
};

static void answer_reseal(struct write_call *c)
{
    struct reseal *one = c->arg;
    one->fn(one->arg, c->w.err.code, c->w.err.code ? &c->w.err : NULL);
    free(one);
}

void store_reseal(struct store *s, const struct store_record *record, const struct key_ring *ring,
                  store_done_fn *fn, void *arg)
{
    const struct store_write_context nobody = {.actor = STR_LIT("")};
    struct reseal *one = mem_alloc(sizeof *one);
    *one = (struct reseal){.fn = fn, .arg = arg};
    struct write_call *c = write_call_new(s, str_of(record->reg.account), 1, &nobody);
    struct write_item *item = &c->items[0];
    c->answer = answer_reseal;
    c->arg = one;
    item->kind = STORE_ITEM_UPDATE;
    item->quiet = item->sealed = true;
    write_item_update(c, 0, &record->reg, &record->reg);
    if (secrets_reseal(ring, &item->reg, &c->w.err))
        write_call_fail(c);
    else
        write_call_begin(c);
}

bool store_is_sealed_with(const struct store_record *record, const char *key_id, bool reported)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    struct status status;
    if (!reported)
        return secrets_are_with(&record->reg, key_id);
    if (!record->status.n)
        return true;
    if (json_parse(record->status, NULL, &root, NULL) || status_read(root, &status, NULL))
        return false;
    bool with = !status.has_bound || secrets_are_with(&status.bound.sent, key_id);
    status_done(&status);
    return with;
}
