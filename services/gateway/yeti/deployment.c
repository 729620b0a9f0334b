// Reading the deployment's objects: pops, nodes, transport protocols (contract 9). One machinery for the
// three.
#include "services/gateway/yeti/deployment.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/conditional.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/sorting.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

const struct objects *deployment_objects(const struct call *c, enum type_id type)
{
    switch (type) {
    case TYPE_POPS:
        return &c->pops;
    case TYPE_NODES:
        return &c->nodes;
    case TYPE_TRANSPORT_PROTOCOLS:
    case TYPE_REGISTRATIONS:
    case TYPE_STATUSES:
    case TYPE_COUNT:
        break;
    }
    return objects_transports();
}

// The objects of the call's type, and what the query includes.
static void load(struct call *c, call_fn *next)
{
    bool pops = c->type->id == TYPE_POPS || c->query.include & INCLUDE_NODE_POP;
    call_load(c, pops, c->type->id == TYPE_NODES, next);
}

const struct object *deployment_find(struct call *c)
{
    const struct object *o = objects_find(deployment_objects(c, c->type->id), (int64_t)c->id);
    if (!o)
        answer_no_record(c);
    return o;
}

// ---- list

struct sorted {
    char *key;
    const struct object *object;
};

static int compare(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : x->object->id < y->object->id ? -1 : x->object->id > y->object->id;
}

static struct sorted *sort_matching(const struct call *c, size_t *ret_count)
{
    const struct objects *all = deployment_objects(c, c->type->id);
    struct sorting sorting = sorting_of(&c->query);
    struct sorted *rows = mem_array(all->count + 1, sizeof(*rows));
    *ret_count = 0;
    for (size_t i = 0; i < all->count; i++)
        if (conditions_hold(&c->query, &all->items[i]))
            rows[(*ret_count)++] =
                (struct sorted){.key = sorting_key(&sorting, &all->items[i]), .object = &all->items[i]};
    qsort(rows, *ret_count, sizeof(*rows), compare);
    return rows;
}

static void index_page(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    size_t total, count = 0;
    struct sorted *rows = sort_matching(c, &total);
    const void **page = mem_array(total + 1, sizeof(*page));
    uint64_t before = c->query.page_number - 1;
    size_t from = before > total / c->query.page_size ? total : (size_t)(before * c->query.page_size);
    for (size_t i = from; i < total && count < c->query.page_size; i++)
        page[count++] = rows[i].object;
    struct document d = call_document(c);
    document_write_list(&body, &d, c->type, page, count, total);
    for (size_t i = 0; i < total; i++)
        free(rows[i].key);
    free(rows);
    free(page);
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

void deployment_index(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_INDEX))
        load(c, index_page);
}

// ---- one

bool deployment_passes(struct call *c, const struct object *object)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct document d = call_document(c);
    if (!conditional_asks(c))
        return true;
    if (c->relation)
        document_write_linkage(&body, &d, c->type, object->id, c->relation, object->pop);
    else
        document_write_one(&body, &d, c->type, object);
    return conditional_passes(c, buf_str(&body));
}

void deployment_answer(struct call *c, int status, const struct object *object)
{
    struct buf body cleanup(buf_done) = BUF_INIT, location cleanup(buf_done) = BUF_INIT;
    struct document d = call_document(c);
    document_write_one(&body, &d, c->type, object);
    if (status == 201)
        document_add_self(&location, &d, c->type, object->id);
    answer_document(c, status, buf_str(&body), buf_str(&location));
}

static void show(struct call *c)
{
    const struct object *o = deployment_find(c);
    if (o)
        deployment_answer(c, 200, o);
}

void deployment_show(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_SHOW) && call_parse_id(c, true))
        load(c, show);
}

// ---- the pop of a node

static void related(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    const struct object *o = deployment_find(c);
    if (!o)
        return;
    struct document d = call_document(c);
    document_write_one(&body, &d, type_of(TYPE_POPS), objects_find(&c->pops, o->pop));
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

void deployment_related(struct call *c)
{
    if (call_read_query(c, type_of(c->relation->target), QUERY_INDEX) && call_parse_id(c, true))
        call_load(c, true, true, related);
}

static void linkage(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    const struct object *o = deployment_find(c);
    if (!o)
        return;
    struct document d = call_document(c);
    document_write_linkage(&body, &d, c->type, o->id, c->relation, o->pop);
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

void deployment_linkage(struct call *c)
{
    if (call_parse_id(c, true))
        call_load(c, false, true, linkage);
}
