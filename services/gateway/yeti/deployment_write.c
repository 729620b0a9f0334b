// Writing pops and nodes (contract 9). Whether a name is free is read before the write and not with it: two
// writes at the same moment may both get it, which harms nothing, since ids alone are referred to.
#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/conditional.h"
#include "services/gateway/yeti/deployment.h"
#include "services/gateway/yeti/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
    struct body body;
    bool creates;
    bool answers_document; // else 204
    struct object object;  // as it is to be written
};

static void work_free(void *arg)
{
    struct work *w = arg;
    object_done(&w->object);
    free(w);
}

static struct work *begin(struct call *c, const struct body *body, bool creates, bool answers_document)
{
    struct work *w = mem_alloc(sizeof(*w));
    *w = (struct work){.body = *body, .creates = creates, .answers_document = answers_document};
    c->work = w;
    c->work_free = work_free;
    return w;
}

// ---- validation

static void add_attribute(struct call *c, const char *name, const char *message)
{
    errors_add_invalid(&c->errors, POINTER_ATTRIBUTE, name, message);
}

static void check_id(struct call *c, struct work *w)
{
    struct integer id = {.set = false};
    const char *refused = w->body.id ? coerce_integer(w->body.id, &id) : NULL;
    if (refused)
        add_attribute(c, "id", refused);
    else if (!id.set)
        add_attribute(c, "id", MESSAGE_BLANK);
    else if (id.value <= 0)
        add_attribute(c, "id", "must be greater than 0");
    else if (objects_find(deployment_objects(c, c->type->id), id.value))
        add_attribute(c, "id", MESSAGE_TAKEN);
    else
        w->object.id = id.value;
}

static bool is_taken(struct call *c, const struct work *w, const struct attribute *a, const char *text)
{
    const struct objects *all = deployment_objects(c, c->type->id);
    for (size_t i = 0; i < all->count; i++) {
        const char *other = *(char *const *)(const void *)((const char *)&all->items[i] + a->offset);
        if (all->items[i].id != w->object.id && other && !strcmp(other, text))
            return true;
    }
    return false;
}

static void check_attribute(struct call *c, struct work *w, const struct attribute *a)
{
    char **text = (char **)(void *)((char *)&w->object + a->offset);
    const struct json *v = json_get(w->body.attributes, a->name);
    const char *refused = v ? a->coerce(v, text) : NULL;
    if (refused)
        add_attribute(c, a->name, refused);
    else if (coerce_is_blank(str_of(*text)))
        add_attribute(c, a->name, MESSAGE_BLANK);
    else if (strlen(*text) > REGISTRATION_MAX_TEXT_BYTES)
        add_attribute(c, a->name, MESSAGE_TOO_LONG);
    else if (is_taken(c, w, a, *text))
        add_attribute(c, a->name, MESSAGE_TAKEN);
}

static void check_pop(struct call *c, struct work *w)
{
    if (w->body.linkages[0].given)
        w->object.pop = w->body.linkages[0].id;
    if (objects_find(&c->pops, w->object.pop))
        return;
    errors_add_invalid(&c->errors, POINTER_RELATIONSHIP, "pop", MESSAGE_EXIST);
    if (!w->object.pop)
        errors_add_invalid(&c->errors, POINTER_RELATIONSHIP, "pop", MESSAGE_BLANK);
}

// The order is Yeti's: relationship, id, then attributes from the last to the first.
static bool check(struct call *c, struct work *w)
{
    if (c->type->relation_count)
        check_pop(c, w);
    if (w->creates)
        check_id(c, w);
    for (size_t i = c->type->attribute_count; i > 0; i--)
        check_attribute(c, w, &c->type->attributes[i - 1]);
    return c->errors.count == 0;
}

// ---- create and update

static void on_put(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    const struct work *w = c->work;
    if (rc == -EEXIST) {
        add_attribute(c, "id", MESSAGE_TAKEN);
        answer_errors(c);
    } else if (rc) {
        answer_failure(c, rc, err);
    } else if (w->answers_document) {
        deployment_answer(c, w->creates ? 201 : 200, &w->object);
    } else {
        answer_no_content(c);
    }
}

static void put(struct call *c)
{
    struct work *w = c->work;
    struct buf json cleanup(buf_done) = BUF_INIT;
    if (!check(c, w)) {
        answer_errors(c);
        return;
    }
    c->id = (uint64_t)w->object.id;
    objects_write(&json, &w->object);
    store_object_put(call_store(c), c->type->name, c->id, w->creates, buf_str(&json), on_put, c);
}

static void put_over(struct call *c)
{
    struct work *w = c->work;
    const struct object *before = deployment_find(c);
    if (!before || !deployment_passes(c, before))
        return;
    w->object = (struct object){.id = before->id,
                                .name = mem_dup_cstr(before->name),
                                .rpc_endpoint = mem_dup_cstr(before->rpc_endpoint),
                                .pop = before->pop};
    put(c);
}

// All pops are needed to judge a node, and all of the kind to judge names.
static void load_all(struct call *c, call_fn *next)
{
    call_load(c, true, c->type->id == TYPE_NODES, next);
}

void deployment_create(struct call *c)
{
    const struct json *root;
    struct body body;
    if (!call_read_query(c, c->type, QUERY_WRITE) || !call_read_body(c, &root))
        return;
    const struct body_params params = {.type = c->type, .client_ids = true};
    if (!body_read(&body, root, &params, &c->errors)) {
        answer_errors(c);
        return;
    }
    begin(c, &body, true, true);
    load_all(c, put);
}

void deployment_update(struct call *c)
{
    const struct json *root;
    struct body body;
    if (!call_read_query(c, c->type, QUERY_WRITE) || !call_read_body(c, &root))
        return;
    const struct body_params params = {.type = c->type, .url_id = buf_str(&c->id_text)};
    if (!body_read(&body, root, &params, &c->errors)) {
        answer_errors(c);
        return;
    }
    if (!call_parse_id(c, false))
        return;
    begin(c, &body, false, true);
    load_all(c, put_over);
}

// ---- relationships

static void write_linkage(struct call *c, struct linkage linkage)
{
    struct body body = {.attributes = NULL};
    body.linkages[c->relation - c->type->relations] = linkage;
    if (!call_parse_id(c, false))
        return;
    begin(c, &body, false, false);
    load_all(c, put_over);
}

void deployment_relink(struct call *c)
{
    struct linkage linkage;
    if (call_read_linkage(c, &linkage))
        write_linkage(c, linkage);
}

void deployment_unlink(struct call *c)
{
    write_linkage(c, (struct linkage){.given = true});
}

// ---- delete

static void refuse_delete(struct call *c, const char *dependent)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_addf(&text, "Cannot delete record because dependent %s exist", dependent);
    errors_add_invalid(&c->errors, POINTER_RECORD, "", text.p);
    answer_errors(c);
}

static void on_deleted(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else
        answer_no_content(c);
}

static void on_used(void *arg, int rc, bool used)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, NULL);
    else if (used)
        refuse_delete(c, "registrations");
    else
        store_object_delete(call_store(c), c->type->name, c->id, on_deleted, c);
}

static bool has_nodes(const struct call *c)
{
    for (size_t i = 0; i < c->nodes.count; i++)
        if (c->nodes.items[i].pop == (int64_t)c->id)
            return true;
    return false;
}

static void destroy(struct call *c)
{
    char place[REGISTRATION_PLACE_BYTES];
    bool is_pop = c->type->id == TYPE_POPS;
    const struct object *object = deployment_find(c);
    if (!object || !deployment_passes(c, object))
        return;
    if (is_pop && has_nodes(c)) {
        refuse_delete(c, "nodes");
        return;
    }
    (void)snprintf(place, sizeof(place), "%s-%llu", is_pop ? "pop" : "node", (unsigned long long)c->id);
    store_place_in_use(call_store(c), place, on_used, c);
}

// Of the query only a condition needs anything: which representation it is about.
void deployment_destroy(struct call *c)
{
    if ((!conditional_asks(c) || call_read_query(c, c->type, QUERY_WRITE)) && call_parse_id(c, true))
        call_load(c, c->type->id == TYPE_POPS || c->query.include, true, destroy);
}
