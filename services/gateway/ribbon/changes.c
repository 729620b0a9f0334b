// See changes.h.
#include "services/gateway/ribbon/changes.h"

#include "common/base/mem.h"
#include "services/gateway/ribbon/envelope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define INLINE_ENTRIES 20 // brought in step before the answer; what is more is the job's

void changes_done(struct changes *ch)
{
    for (size_t i = 0; i < ch->count; i++)
        free(ch->items[i].json);
    free(ch->items);
    *ch = (struct changes){.count = 0};
}

static struct change *add(struct changes *ch, const char *kind, struct row_id key)
{
    ch->items = mem_resize(ch->items, ch->count + 1, sizeof(*ch->items));
    struct change *one = &ch->items[ch->count++];
    *one = (struct change){.json = NULL};
    (void)snprintf(one->kind, KIND_BYTES, "%s", kind);
    if (key.row)
        (void)envelope_id_text(key, one->key);
    return one;
}

void changes_set(struct changes *ch, const char *kind, struct row_id key, const struct fieldset *v)
{
    struct buf json = BUF_INIT;
    fieldset_write(&json, v);
    add(ch, kind, key)->json = buf_steal(&json);
}

void changes_remove(struct changes *ch, const char *kind, struct row_id key)
{
    (void)add(ch, kind, key);
}

void changes_refer(struct changes *ch, struct row_id server, const struct fieldset *before,
                   const struct fieldset *v)
{
    static const size_t references[] = {SERVER_CONTACT_TABLE, SERVER_AUTH_TABLE};
    char kind[KIND_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        const struct field *f = &resource_of(STR_LIT("sipserver"))->fields[references[i]];
        uint64_t old = before ? fieldset_number(before, references[i]) : 0;
        uint64_t new = v ? fieldset_number(v, references[i]) : 0;
        if (old && old != new) {
            kind_of_referrers(kind, f, old);
            changes_remove(ch, kind, server);
        }
        if (new) {
            kind_of_referrers(kind, f, new);
            changes_set(ch, kind, server, v);
        }
    }
}

static void answer(struct call *c)
{
    if (http_method(c->call.http) == HTTP_DELETE)
        envelope_done(c);
    else
        envelope_item(c, &c->values, NULL, 0);
}

// Whatever became of it: the job sees to what is left.
static void on_synced(void *arg, int rc, struct str cursor, const struct error *err)
{
    struct call *c = arg;
    (void)err;
    if (rc || cursor.n)
        jobs_wake(c->ribbon->params.shared->jobs);
    answer(c);
}

static void on_changed(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc == -ESTALE) {
        ribbon_call_write_again(c);
        return;
    }
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    if (c->scope.kind == SCOPE_NONE) {
        answer(c);
        return;
    }
    const struct store_write_context context = dialect_write_context(&c->call);
    sync_slice(&c->ribbon->params, str_of(call_account(c)), &c->scope, STR_NONE, INLINE_ENTRIES, &context,
               on_synced, c);
}

void changes_send(struct call *c, const struct changes *ch, uint64_t version)
{
    struct buf args cleanup(buf_done) = BUF_INIT;
    struct store_object_change *items = mem_array(ch->count + 1, sizeof(*items));
    for (size_t i = 0; i < ch->count; i++)
        items[i] = (struct store_object_change){
            .kind = ch->items[i].kind,
            .key = str_of(ch->items[i].key),
            .json = ch->items[i].json ? str_of(ch->items[i].json) : STR_NONE,
        };
    scope_write(&args, &c->scope);
    const struct store_job job = {.kind = SYNC_JOB, .args = buf_str(&args)};
    store_account_change(call_store(c), str_of(call_account(c)), version, items, ch->count,
                         c->scope.kind == SCOPE_NONE ? NULL : &job, on_changed, c);
    free(items);
}
