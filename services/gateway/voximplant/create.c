// CreateSipRegistration (contract voximplant 3.1).
#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/catalogue.h"
#include "services/gateway/voximplant/handlers.h"
#include "services/gateway/voximplant/write.h"

static void written(struct call *c, const struct store_record *record)
{
    struct terms terms = vox_catalogue_terms(c->base.account);
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_kv_i64(&w, "result", 1);
    json_kv_u64(&w, "sip_registration_id", record->reg.id);
    json_key(&w, "account_info");
    json_begin_object(&w);
    json_kv_u64(&w, "account_id", c->base.account->number);
    json_key(&w, "balance");
    json_put_raw(&w, terms.balance);
    json_kv_str(&w, "currency", terms.currency);
    json_kv_bool(&w, "frozen", terms.frozen);
    json_end_object(&w);
    json_end_object(&w);
    vox_answer_json(c, buf_str(&body));
}

// False: the call was answered.
static bool make(struct call *c, struct registration *r)
{
    const struct write *w = c->work;
    struct facts f cleanup(vox_facts_done) = {.is_persistent = true};
    struct fault fault;
    registration_init(r);
    r->account = str_dup(vox_call_account(c));
    vox_binding_copy(&f.binding, &w->binding);
    bool good = vox_params_flag(&c->params, "is_persistent", &f.is_persistent, &fault) &&
                vox_model_apply(c->vox->shared, &w->asked, r, &f, &fault);
    if (good) {
        vox_model_name(r);
        vox_model_settle(true, &f, r);
        good = vox_model_check(r, &fault);
    }
    if (!good)
        vox_answer_fault(c, &fault);
    return good;
}

static void on_count(void *arg, int rc, uint64_t count, const struct error *err)
{
    struct call *c = arg;
    uint64_t most = vox_catalogue_terms(c->base.account).max_registrations;
    if (rc)
        vox_answer_failure(c, rc, err);
    else if (count >= most)
        vox_answer_error(c, CODE_REGISTRATIONS_COUNT_EXCEEDED,
                         "The account may have at most %llu SIP registrations.", (unsigned long long)most);
    else
        vox_write_submit(c);
}

void vox_create_run(struct call *c)
{
    struct write *w = vox_write_begin(c, true);
    if (!w)
        return;
    struct terms terms = vox_catalogue_terms(c->base.account);
    w->creates = true;
    w->again = vox_write_submit;
    w->written = written;
    if (!w->asked.sip_username.n || !w->asked.proxy.n)
        vox_answer_error(c, CODE_REQUIRED_IS_EMPTY, "The required parameter '%s' is missing or empty.",
                         w->asked.sip_username.n ? "proxy" : "sip_username");
    else if (!make(c, &w->after))
        return;
    else if (terms.too_poor)
        vox_answer_error(c, CODE_INSUFFICIENT_MONEY, "The balance does not cover the subscription price.");
    else if (terms.max_registrations)
        store_count(vox_call_store(c), vox_call_account(c), false, on_count, c);
    else
        vox_write_submit(c);
}
