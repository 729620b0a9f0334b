// See call.h.
#include "services/gateway/yeti/call.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/body.h"

#include <stdlib.h>

void call_free(struct call *c)
{
    struct yeti *y = c->yeti;
    TAILQ_REMOVE(&y->calls, c, link);
    if (c->work)
        c->work_free(c->work);
    buf_done(&c->id_text);
    http_pairs_done(&c->params);
    json_free(c->body);
    principals_unref(c->principals);
    buf_done(&c->base);
    query_done(&c->query);
    objects_done(&c->pops);
    objects_done(&c->nodes);
    errors_done(&c->errors);
    free(c);
    if (y->closing && TAILQ_EMPTY(&y->calls))
        free(y);
}

struct str call_account(const struct call *c)
{
    return str_of(c->principal->account->name);
}

// W3C Trace Context 3.2.2. What is not of this form is no trace, and must not reach a record's headers.
static bool is_traceparent(struct str text)
{
    static const char form[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    bool good = text.n == sizeof(form) - 1;
    for (size_t i = 0; good && i < text.n; i++) {
        char c = text.p[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        good = form[i] == '-' ? c == '-' : is_hex;
    }
    return good;
}

struct store_write_context call_context(const struct call *c)
{
    struct str traceparent = http_header(c->http, "traceparent");
    return (struct store_write_context){
        .traceparent = is_traceparent(traceparent) ? traceparent : STR_NONE,
        .actor = str_of(c->principal->username),
    };
}

struct document call_document(const struct call *c)
{
    return (struct document){
        .base = buf_str(&c->base),
        .query = &c->query,
        .pops = c->pops_loaded ? &c->pops : NULL,
        .nodes = c->nodes_loaded ? &c->nodes : NULL,
    };
}

// False: the call was answered.
static bool take_objects(struct call *c, struct objects *into, int rc, const struct store_object *objects,
                         size_t count, const struct error *err)
{
    if (rc) {
        answer_failure(c, rc, err);
        return false;
    }
    objects_done(into);
    objects_read(into, objects, count);
    return true;
}

static void load_on(struct call *c);

static void on_pops(void *arg, int rc, const struct store_object *objects, size_t count,
                    const struct error *err)
{
    struct call *c = arg;
    if (!take_objects(c, &c->pops, rc, objects, count, err))
        return;
    c->pops_loaded = true;
    load_on(c);
}

static void on_nodes(void *arg, int rc, const struct store_object *objects, size_t count,
                     const struct error *err)
{
    struct call *c = arg;
    if (!take_objects(c, &c->nodes, rc, objects, count, err))
        return;
    c->nodes_loaded = true;
    load_on(c);
}

static void load_on(struct call *c)
{
    if (c->wants_nodes && !c->nodes_loaded)
        store_objects(c->yeti->params.store, "nodes", on_nodes, c);
    else if (c->wants_pops && !c->pops_loaded)
        store_objects(c->yeti->params.store, "pops", on_pops, c);
    else
        c->next(c);
}

void call_load(struct call *c, bool pops, bool nodes, call_fn *next)
{
    c->wants_pops = pops;
    c->wants_nodes = nodes;
    c->next = next;
    load_on(c);
}

bool call_parse_id(struct call *c, bool strict)
{
    struct str text = strict ? str_trim(buf_str(&c->id_text)) : buf_str(&c->id_text);
    bool digits = text.n > 0;
    for (size_t i = 0; i < text.n; i++)
        digits = digits && text.p[i] >= '0' && text.p[i] <= '9';
    if (digits && str_to_u64(text, &c->id) == 0 && c->id && c->id <= INT64_MAX)
        return true;
    c->id = 0; // 0, or beyond what an id can be: prints as it was written
    if (digits || !strict)
        answer_no_record(c);
    else
        answer_error(c, PROBLEM_INVALID_ID, buf_str(&c->id_text), STR_NONE);
    return false;
}

bool call_read_query(struct call *c, const struct type *type, enum query_scope scope)
{
    bool good = query_read(&c->query, type, scope, &c->params, &c->errors);
    if (!good)
        answer_errors(c);
    return good;
}

bool call_read_body(struct call *c, const struct json **ret)
{
    *ret = c->body;
    if (c->body_error.code) {
        answer_error(c, PROBLEM_BAD_REQUEST, str_of(c->body_error.text), STR_NONE);
        return false;
    }
    if (c->body && !json_is(c->body, JSON_OBJECT)) {
        answer_error(c, PROBLEM_BAD_REQUEST, STR_LIT("Request must be a hash"), STR_NONE);
        return false;
    }
    return true;
}

bool call_read_linkage(struct call *c, struct linkage *ret)
{
    const struct json *root;
    if (!call_read_body(c, &root))
        return false;
    bool good = body_read_linkage(ret, root, c->relation, &c->errors);
    if (!good)
        answer_errors(c);
    return good;
}
