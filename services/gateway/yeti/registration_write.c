// Create and update of registrations (contract 2, 4). PUT is PATCH: members left out stay as they are.
#include "services/gateway/yeti/registration_write.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/conditional.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/registrations.h"
#include "services/gateway/yeti/validate.h"

#include <errno.h>
#include <stdlib.h>

struct write {
    struct body body;
    written_fn *written;
};

static void begin(struct call *c, const struct body *body, written_fn *written, call_fn *next)
{
    struct write *w = mem_alloc(sizeof(*w));
    *w = (struct write){.body = *body, .written = written};
    c->work = w;
    c->work_free = free;
    const struct type *t = type_of(TYPE_REGISTRATIONS);
    bool place = false;
    for (size_t i = 0; i < t->relation_count; i++)
        place = place || (body->linkages[i].given && t->relations[i].target != TYPE_TRANSPORT_PROTOCOLS);
    registrations_load(c, place, place, next);
}

// What failed in the store; the name is judged there, where no other write can come between.
static void fail(struct call *c, int rc, const struct error *err)
{
    if (rc != -EEXIST) {
        answer_failure(c, rc, err);
        return;
    }
    errors_add_invalid(&c->errors, POINTER_ATTRIBUTE, attribute_at(ATTRIBUTE_NAME)->name, MESSAGE_TAKEN);
    answer_errors(c);
}

// The draft as a registration, `r` being what was there before. False: the call was answered.
static bool make(struct call *c, struct draft *d, struct registration *r)
{
    const struct write *w = c->work;
    draft_apply(d, &w->body, !c->yeti->params.clear_passwords);
    bool good =
        draft_check(d, c->pops_loaded ? &c->pops : NULL, c->nodes_loaded ? &c->nodes : NULL, &c->errors);
    good = good && draft_to(d, r, &c->errors);
    if (!good)
        answer_errors(c);
    return good;
}

static void finish(struct call *c, const struct store_record *record)
{
    const struct write *w = c->work;
    w->written(c, record);
}

// ---- create

static void refuse_key(struct call *c, enum problem problem)
{
    errors_add_header(&c->errors, problem, http_header(c->call.http, "idempotency-key"), "idempotency-key");
    answer_errors(c);
}

static void on_created(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    if (rc == -EALREADY)
        refuse_key(arg, PROBLEM_KEY_REUSED);
    else if (rc == -ENOENT) // deleted since: a create that is sent again must not bring it back
        refuse_key(arg, PROBLEM_KEY_SPENT);
    else if (rc)
        fail(arg, rc, err);
    else
        finish(arg, record);
}

static void create(struct call *c)
{
    struct draft d cleanup(draft_done) = {.has_password = false};
    struct registration r cleanup(registration_done);
    registration_init(&r);
    r.account = str_dup(call_account(c));
    values_init(&d.values);
    if (!make(c, &d, &r))
        return;
    struct buf digest cleanup(buf_done) = BUF_INIT;
    struct store_write_context context = dialect_write_context(&c->call);
    if (!conditional_read_key(c, &context, &digest))
        return;
    store_create(call_store(c), &r, &context, on_created, c);
}

static void answer_created(struct call *c, const struct store_record *record)
{
    registrations_answer(c, 201, record);
}

void registrations_create(struct call *c)
{
    const struct json *root;
    struct body body;
    const struct body_params params = {.type = c->type, .strict = c->yeti->params.strict};
    if (!call_read_query(c, c->type, QUERY_WRITE) || !call_read_body(c, &root))
        return;
    if (body_read(&body, root, &params, &c->errors))
        begin(c, &body, answer_created, create);
    else
        answer_errors(c);
}

// ---- update

static void update(struct call *c);

static void on_updated(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc == -ESTALE && ++c->attempts < REGISTRATIONS_ATTEMPTS_MAX)
        update(c);
    else if (rc)
        fail(c, rc, err);
    else
        finish(c, record);
}

static void on_before(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    if (!registrations_pass(c, record))
        return;
    const struct registration *before = &record->reg;
    struct draft d cleanup(draft_done);
    struct registration after cleanup(registration_done);
    draft_of(&d, before);
    registration_copy(&after, before);
    if (!make(c, &d, &after))
        return;
    const struct store_write_context context = dialect_write_context(&c->call);
    store_update(call_store(c), before, &after, &context, on_updated, c);
}

static void update(struct call *c)
{
    store_get(call_store(c), call_account(c), c->id, on_before, c);
}

void registration_write_update(struct call *c, const struct body *body, written_fn *written)
{
    begin(c, body, written, update);
}

static void answer_updated(struct call *c, const struct store_record *record)
{
    registrations_answer(c, 200, record);
}

void registrations_update(struct call *c)
{
    const struct json *root;
    struct body body;
    if (!call_read_query(c, c->type, QUERY_WRITE) || !call_read_body(c, &root))
        return;
    const struct body_params params = {
        .type = c->type, .url_id = buf_str(&c->id_text), .strict = c->yeti->params.strict};
    if (!body_read(&body, root, &params, &c->errors))
        answer_errors(c);
    else if (call_parse_id(c, false))
        registration_write_update(c, &body, answer_updated);
}
