// See write.h.
#include "services/gateway/voximplant/write.h"

#include "common/base/mem.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/catalogue.h"

#include <errno.h>
#include <stdlib.h>

// Of one write among many to the same record: one of them gets through each time.
#define ATTEMPTS_MAX 100

// More than one only where the index is older than this rule.
#define HOLDERS_MAX 50

static void write_free(void *work)
{
    struct write *w = work;
    vox_binding_done(&w->binding);
    registration_done(&w->before);
    registration_done(&w->after);
    free(w);
}

struct write *vox_write_begin(struct call *c, bool needs_application)
{
    struct write *w = mem_alloc(sizeof(*w));
    struct fault fault;
    c->work = w;
    c->work_free = write_free;
    w->asked = vox_asked_read(&c->params);
    if (vox_binding_read(&c->params, needs_application, &w->binding, &fault) &&
        vox_catalogue_resolve(c->base.account, &w->binding, &fault))
        return w;
    vox_answer_fault(c, &fault);
    return NULL;
}

void vox_write_take(struct write *w, const struct registration *before)
{
    registration_done(&w->before);
    registration_done(&w->after);
    registration_copy(&w->before, before);
    registration_copy(&w->after, before);
}

void vox_write_unbound(struct registration *ret, const struct registration *r, const struct binding *binding)
{
    struct facts f cleanup(vox_facts_done);
    registration_copy(ret, r);
    vox_facts_of(&f, r);
    bool wanted = vox_facts_want_enabled(&f);
    vox_binding_remove(&f.binding, binding);
    vox_model_settle(wanted, &f, ret);
}

bool vox_write_try_again(struct call *c, const struct error *err)
{
    if (++c->attempts < ATTEMPTS_MAX)
        return true;
    vox_answer_failure(c, -ESTALE, err);
    return false;
}

static void user_key(const struct registration *r, struct buf *out)
{
    struct facts f cleanup(vox_facts_done);
    vox_facts_of(&f, r);
    vox_binding_user_key(&f.binding, out);
}

// ---- what came of it

static void rename_and_submit(struct call *c)
{
    struct write *w = c->work;
    vox_model_name(&w->after);
    vox_write_submit(c);
}

static void finish(struct call *c, int rc, const struct store_record *record, const struct error *err)
{
    const struct write *w = c->work;
    bool taken = rc == -EEXIST && w->creates; // the name, which is made up
    if (!rc)
        w->written(c, record);
    else if (!taken && rc != -ESTALE)
        vox_answer_failure(c, rc, err);
    else if (!vox_write_try_again(c, err))
        return;
    else if (taken)
        rename_and_submit(c);
    else
        w->again(c);
}

static void on_written(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    finish(arg, rc, record, err);
}

// The record in question is the first of the batch. Another one that is gone holds nobody any more: look
// again.
static void on_batch(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                     const struct error *err)
{
    (void)count;
    bool other_is_gone = rc == -ENOENT && failed != 0;
    finish(arg, other_is_gone ? -ESTALE : rc, rc ? NULL : &records[0], err);
}

// ---- writing

static void write_one(struct call *c)
{
    const struct write *w = c->work;
    const struct store_write_context context = dialect_write_context(&c->base);
    if (w->creates)
        store_create(vox_call_store(c), &w->after, &context, on_written, c);
    else
        store_update(vox_call_store(c), &w->before, &w->after, &context, on_written, c);
}

// The registration and all others that hold its user.
static void write_batch(struct call *c, const struct store_record *holders, size_t count)
{
    const struct write *w = c->work;
    const struct store_write_context context = dialect_write_context(&c->base);
    struct buf key cleanup(buf_done) = BUF_INIT;
    struct facts f cleanup(vox_facts_done);
    struct registration *unbound = mem_array(count + 1, sizeof(*unbound));
    struct store_item *items = mem_array(count + 1, sizeof(*items));
    size_t item_count = 1;
    vox_facts_of(&f, &w->after);
    const struct binding user = {.of[TARGET_USER] = f.binding.of[TARGET_USER]};
    items[0] = (struct store_item){.kind = w->creates ? STORE_ITEM_CREATE : STORE_ITEM_UPDATE,
                                   .before = w->creates ? NULL : &w->before,
                                   .after = &w->after};
    for (size_t i = 0; i < count; i++) {
        if (!w->creates && holders[i].reg.id == w->after.id)
            continue;
        vox_write_unbound(&unbound[i], &holders[i].reg, &user);
        items[item_count++] =
            (struct store_item){.kind = STORE_ITEM_UPDATE, .before = &holders[i].reg, .after = &unbound[i]};
    }
    vox_binding_user_key(&f.binding, &key);
    const struct store_term unique = {FACTS_USER_FIELD, buf_str(&key)};
    store_batch(vox_call_store(c), vox_call_account(c), items, item_count, &unique, 1, &context, on_batch, c);
    for (size_t i = 0; i < count; i++)
        registration_done(&unbound[i]);
    free(unbound);
    free(items);
}

static void on_holders(void *arg, int rc, const struct store_record *holders, size_t count, uint64_t total,
                       const struct error *err)
{
    (void)total;
    if (rc)
        vox_answer_failure(arg, rc, err);
    else
        write_batch(arg, holders, count);
}

void vox_write_submit(struct call *c)
{
    const struct write *w = c->work;
    struct buf key cleanup(buf_done) = BUF_INIT, held cleanup(buf_done) = BUF_INIT;
    user_key(&w->after, &key);
    if (!w->creates)
        user_key(&w->before, &held);
    if (!key.n || str_eq(buf_str(&key), buf_str(&held))) {
        write_one(c);
        return;
    }
    const struct store_term term = {FACTS_USER_FIELD, buf_str(&key)};
    const struct store_query q = {.account = vox_call_account(c),
                                  .limit = HOLDERS_MAX,
                                  .terms = &term,
                                  .term_count = 1,
                                  .without_total = true};
    store_page(vox_call_store(c), &q, on_holders, c);
}
