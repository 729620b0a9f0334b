// UpdateSipRegistration, BindSipRegistration, DeleteSipRegistration (contract voximplant 3.2 to 3.4).
#include "common/base/mem.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/catalogue.h"
#include "services/gateway/voximplant/handlers.h"
#include "services/gateway/voximplant/write.h"

#include <errno.h>
#include <stdlib.h>

#define UNBIND_SLICE 200 // registrations of one batch, where a user is taken off all

// Reads sip_registration_id into the call. False: the call was answered.
static bool read_id(struct call *c, bool required)
{
    struct fault fault;
    if (!vox_params_id(&c->params, "sip_registration_id", &c->id, &fault))
        vox_answer_fault(c, &fault);
    else if (required && !c->id)
        vox_answer_error(c, CODE_REQUIRED_IS_EMPTY,
                         "The required parameter 'sip_registration_id' is missing or empty.");
    else
        return true;
    return false;
}

static void written(struct call *c, const struct store_record *record)
{
    (void)record;
    vox_answer_done(c);
}

// ---- update, and binding of one

// w->after as it is to be. False: the call was answered.
static bool change(struct call *c, struct write *w)
{
    struct facts f cleanup(vox_facts_done);
    struct fault fault;
    vox_facts_of(&f, &w->after);
    bool wanted = vox_facts_want_enabled(&f);
    bool good = vox_model_apply(c->vox->shared, &w->asked, &w->after, &f, &fault);
    if (good) {
        if (w->unbinds)
            vox_binding_remove(&f.binding, &w->binding);
        else
            vox_binding_merge(&f.binding, &w->binding);
        vox_model_settle(wanted, &f, &w->after);
        good = vox_model_check(&w->after, &fault);
    }
    if (!good)
        vox_answer_fault(c, &fault);
    return good;
}

static void on_target(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    struct write *w = c->work;
    if (rc) {
        vox_answer_failure(c, rc, err);
        return;
    }
    vox_write_take(w, &record->reg);
    if (change(c, w))
        vox_write_submit(c);
}

static void begin(struct call *c)
{
    store_get(vox_call_store(c), vox_call_account(c), c->id, on_target, c);
}

static void run(struct call *c, struct write *w)
{
    w->again = begin;
    w->written = written;
    begin(c);
}

void vox_update_run(struct call *c)
{
    if (!read_id(c, true))
        return;
    struct write *w = vox_write_begin(c, true);
    if (w)
        run(c, w);
}

// ---- a user taken off every registration

static void unbind_slice(struct call *c);

static void on_unbound(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                       const struct error *err)
{
    struct call *c = arg;
    (void)failed;
    (void)records;
    bool between = rc == -ESTALE || rc == -ENOENT;
    if (between && !vox_write_try_again(c, err))
        return;
    if (rc && !between)
        vox_answer_failure(c, rc, err);
    else if (between || count == UNBIND_SLICE)
        unbind_slice(c);
    else
        vox_answer_done(c);
}

static void unbind_all(struct call *c, const struct store_record *records, size_t count)
{
    const struct write *w = c->work;
    const struct store_write_context context = dialect_write_context(&c->base);
    struct registration *unbound = mem_array(count, sizeof(*unbound));
    struct store_item *items = mem_array(count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        vox_write_unbound(&unbound[i], &records[i].reg, &w->binding);
        items[i] =
            (struct store_item){.kind = STORE_ITEM_UPDATE, .before = &records[i].reg, .after = &unbound[i]};
    }
    store_batch(vox_call_store(c), vox_call_account(c), items, count, NULL, 0, &context, on_unbound, c);
    for (size_t i = 0; i < count; i++)
        registration_done(&unbound[i]);
    free(unbound);
    free(items);
}

static void on_bound(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    (void)total;
    if (rc)
        vox_answer_failure(arg, rc, err);
    else if (!count)
        vox_answer_done(arg);
    else
        unbind_all(arg, records, count);
}

static bool holds_user(const void *arg, const struct store_record *record)
{
    const struct binding *asked = arg;
    struct facts f cleanup(vox_facts_done);
    vox_facts_of(&f, &record->reg);
    for (size_t i = 0; i < TARGET_COUNT; i++)
        if (vox_target_is_set(&asked->of[i]) && !vox_target_equals(&asked->of[i], &f.binding.of[i]))
            return false;
    return true;
}

// A user that only a name identifies is known to no index without its application.
static void unbind_slice(struct call *c)
{
    const struct write *w = c->work;
    struct buf key cleanup(buf_done) = BUF_INIT;
    vox_binding_user_key(&w->binding, &key);
    bool indexed = w->binding.of[TARGET_USER].id || vox_target_is_set(&w->binding.of[TARGET_APPLICATION]);
    const struct store_term term = {FACTS_USER_FIELD, buf_str(&key)};
    const struct store_query q = {.account = vox_call_account(c),
                                  .limit = UNBIND_SLICE,
                                  .terms = &term,
                                  .term_count = indexed ? 1 : 0,
                                  .keep = holds_user,
                                  .keep_arg = &w->binding,
                                  .without_total = true};
    store_page(vox_call_store(c), &q, on_bound, c);
}

// ---- bind

void vox_bind_run(struct call *c)
{
    bool bind = true;
    struct fault fault;
    if (!vox_params_flag(&c->params, "bind", &bind, &fault)) {
        vox_answer_fault(c, &fault);
        return;
    }
    if (!read_id(c, bind))
        return;
    struct write *w = vox_write_begin(c, bind);
    if (!w)
        return;
    w->asked = (struct asked){.clears_auth_user = false}; // it changes nothing but the binding
    w->unbinds = !bind;
    if (c->id)
        run(c, w);
    else if (vox_target_is_set(&w->binding.of[TARGET_USER]))
        unbind_slice(c);
    else
        vox_answer_error(c, CODE_REQUIRED_IS_EMPTY,
                         "The parameter 'sip_registration_id', 'user_id' or 'user_name' is required.");
}

// ---- delete

static void on_deleted(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    (void)record;
    if (rc)
        vox_answer_failure(arg, rc, err);
    else
        vox_answer_done(arg);
}

void vox_delete_run(struct call *c)
{
    if (!read_id(c, true))
        return;
    const struct store_write_context context = dialect_write_context(&c->base);
    store_delete(vox_call_store(c), vox_call_account(c), c->id, 0, &context, on_deleted, c);
}
