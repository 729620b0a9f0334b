// See call.h.
#include "services/gateway/yeti/call.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/routes.h"

#include <stdlib.h>

#define VALUES_MAX            10000 // of a body, which is read for its token before anybody knows whose it is
#define OPERATIONS_VALUES_MAX 250000

void call_free(struct call *c)
{
    if (c->work)
        c->work_free(c->work);
    buf_done(&c->id_text);
    http_pairs_done(&c->params);
    json_free(c->body);
    buf_done(&c->base);
    query_done(&c->query);
    objects_done(&c->pops);
    objects_done(&c->nodes);
    errors_done(&c->errors);
    dialect_call_end(&c->call, c);
}

struct store *call_store(const struct call *c)
{
    return c->yeti->params.shared->store;
}

struct str call_account(const struct call *c)
{
    return str_of(c->call.account->name);
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
        store_objects(call_store(c), "nodes", on_nodes, c);
    else if (c->wants_pops && !c->pops_loaded)
        store_objects(call_store(c), "pops", on_pops, c);
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
    bool good = query_read(&c->query, type, scope, c->yeti->params.strict, &c->params, &c->errors);
    if (!good)
        answer_errors(c);
    return good;
}

void call_parse_body(struct call *c, struct str text)
{
    bool is_atomic = c->route->flags & ROUTE_ATOMIC;
    const struct json_limits limits = {.max_bytes = SIZE_MAX, // the server bounds the size
                                       .max_depth = 64,
                                       .max_values = is_atomic ? OPERATIONS_VALUES_MAX : VALUES_MAX};
    if (str_trim(text).n && json_parse(text, &limits, &c->body, &c->body_error))
        c->body = NULL;
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
