// See document.h.
#include "services/gateway/yeti/document.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

// ---- values

static void put_time(struct json_writer *w, uint64_t wall_ms)
{
    char text[ENCODE_TIME_BYTES];
    if (!wall_ms) {
        json_put_null(w);
        return;
    }
    encode_time(text, wall_ms);
    json_put_cstr(w, text);
}

static void put_texts(struct json_writer *w, const struct texts *t)
{
    if (!t->items) {
        json_put_null(w);
        return;
    }
    json_begin_array(w);
    for (size_t i = 0; i < t->count; i++)
        json_put_cstr(w, t->items[i]);
    json_end_array(w);
}

static void put_integer(struct json_writer *w, const struct integer *i)
{
    if (i->set)
        json_put_i64(w, i->value);
    else
        json_put_null(w);
}

static void put_json(struct json_writer *w, const char *text)
{
    if (text)
        json_put_raw(w, str_of(text));
    else
        json_put_null(w);
}

void document_put_value(struct json_writer *w, enum kind kind, const void *at)
{
    switch (kind) {
    case KIND_TEXT:
        json_put_cstr(w, *(char *const *)at);
        break;
    case KIND_FLAG:
        json_put_bool(w, *(const bool *)at);
        break;
    case KIND_INTEGER:
        put_integer(w, at);
        break;
    case KIND_TEXTS:
        put_texts(w, at);
        break;
    case KIND_TIME:
        put_time(w, *(const uint64_t *)at);
        break;
    case KIND_JSON:
        put_json(w, *(char *const *)at);
        break;
    case KIND_ID:
        put_integer(w, &(struct integer){.set = *(const int64_t *)at != 0, .value = *(const int64_t *)at});
        break;
    }
}

// ---- links

// A registration's status is addressed below it, all else by its type.
void document_add_self(struct buf *out, const struct document *d, const struct type *type, int64_t id)
{
    bool is_status = type->id == TYPE_STATUSES;
    buf_add_str(out, d->base);
    buf_add_char(out, '/');
    buf_add_cstr(out, is_status ? type_of(TYPE_REGISTRATIONS)->name : type->name);
    buf_add_char(out, '/');
    buf_add_u64(out, (uint64_t)id);
    if (is_status)
        buf_add_cstr(out, "/status");
}

static void put_self(struct json_writer *w, const struct document *d, const struct type *type, int64_t id)
{
    struct buf url cleanup(buf_done) = BUF_INIT;
    document_add_self(&url, d, type, id);
    json_kv_str(w, "self", buf_str(&url));
}

static void put_relation_links(struct json_writer *w, const struct document *d, const struct type *type,
                               int64_t id, const struct relation *r)
{
    struct buf self cleanup(buf_done) = BUF_INIT, related cleanup(buf_done) = BUF_INIT;
    document_add_self(&self, d, type, id);
    buf_add_str(&related, buf_str(&self));
    buf_addf(&self, "/relationships/%s", r->name);
    buf_addf(&related, "/%s", r->name);
    json_key(w, "links");
    json_begin_object(w);
    if (!r->addition)
        json_kv_str(w, "self", buf_str(&self));
    json_kv_str(w, "related", buf_str(&related));
    json_end_object(w);
}

static void put_linkage(struct json_writer *w, enum type_id type, int64_t id)
{
    char text[24];
    json_key(w, "data");
    if (!id) {
        json_put_null(w);
        return;
    }
    (void)snprintf(text, sizeof(text), "%lld", (long long)id);
    json_begin_object(w);
    json_kv_cstr(w, "type", type_of(type)->name);
    json_kv_cstr(w, "id", text);
    json_end_object(w);
}

// ---- one resource

static int64_t target_id(const struct relation *r, const void *item)
{
    return *(const int64_t *)(const void *)((const char *)item + r->offset);
}

static const void *find_target(const struct document *d, const struct relation *r, const void *item,
                               size_t index)
{
    int64_t id = target_id(r, item);
    switch (r->target) {
    case TYPE_TRANSPORT_PROTOCOLS:
        return objects_find(objects_transports(), id);
    case TYPE_POPS:
        return d->pops ? objects_find(d->pops, id) : NULL;
    case TYPE_NODES:
        return d->nodes ? objects_find(d->nodes, id) : NULL;
    case TYPE_STATUSES:
        return d->statuses ? (const char *)d->statuses + index * d->status_bytes : NULL;
    case TYPE_REGISTRATIONS:
    case TYPE_COUNT:
        break;
    }
    return NULL;
}

// A target that is included but gone is null, as if it had not been set.
static void put_relation(struct json_writer *w, const struct document *d, const struct type *type,
                         const struct relation *r, const void *item)
{
    bool included = d->query->include & r->include;
    json_key(w, r->name);
    json_begin_object(w);
    put_relation_links(w, d, type, type_item_id(item), r);
    if (r->linked)
        put_linkage(w, r->target, target_id(r, item));
    else if (included)
        put_linkage(w, r->target, find_target(d, r, item, 0) ? target_id(r, item) : 0);
    json_end_object(w);
}

static bool shows_relation(const struct document *d, const struct type *type, size_t index)
{
    const struct relation *r = &type->relations[index];
    bool asked = !r->addition || d->query->include & r->include;
    return asked && query_shows_relation(d->query, type, index);
}

// The member is left out where nothing is in it.
static void begin_member(struct json_writer *w, const char *name, bool *open)
{
    if (*open)
        return;
    json_key(w, name);
    json_begin_object(w);
    *open = true;
}

static void put_attributes(struct json_writer *w, const struct document *d, const struct type *type,
                           const void *item)
{
    bool open = false;
    for (size_t i = 0; i < type->attribute_count; i++) {
        const struct attribute *a = &type->attributes[i];
        if (!query_shows_attribute(d->query, type, i))
            continue;
        begin_member(w, "attributes", &open);
        json_key(w, a->name);
        document_put_value(w, a->kind, (const char *)item + a->offset);
    }
    if (open)
        json_end_object(w);
}

static void put_relations(struct json_writer *w, const struct document *d, const struct type *type,
                          const void *item)
{
    bool open = false;
    for (size_t i = 0; i < type->relation_count; i++) {
        if (!shows_relation(d, type, i))
            continue;
        begin_member(w, "relationships", &open);
        put_relation(w, d, type, &type->relations[i], item);
    }
    if (open)
        json_end_object(w);
}

static void begin_resource(struct json_writer *w, const struct type *type, const void *item)
{
    char id[24];
    (void)snprintf(id, sizeof(id), "%lld", (long long)type_item_id(item));
    json_begin_object(w);
    json_kv_cstr(w, "id", id);
    json_kv_cstr(w, "type", type->name);
}

static void put_resource(struct json_writer *w, const struct document *d, const struct type *type,
                         const void *item)
{
    begin_resource(w, type, item);
    json_key(w, "links");
    json_begin_object(w);
    put_self(w, d, type, type_item_id(item));
    json_end_object(w);
    put_attributes(w, d, type, item);
    put_relations(w, d, type, item);
    json_end_object(w);
}

// ---- included

// Grouped by type, types in the order in which they were first seen.
struct included {
    enum type_id order[TYPE_COUNT];
    size_t type_count;
    struct {
        const void **items;
        size_t count;
    } of[TYPE_COUNT];
};

static void included_done(struct included *in)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        free(in->of[i].items);
}

static void add_included(struct included *in, enum type_id type, const void *item)
{
    size_t count = in->of[type].count;
    for (size_t i = 0; type != TYPE_STATUSES && i < count; i++) // each registration has its own status
        if (in->of[type].items[i] == item)
            return;
    in->of[type].items = mem_resize(in->of[type].items, count + 1, sizeof(void *));
    in->of[type].items[in->of[type].count++] = item;
}

static void see_type(struct included *in, enum type_id type)
{
    for (size_t i = 0; i < in->type_count; i++)
        if (in->order[i] == type)
            return;
    in->order[in->type_count++] = type;
}

// As Yeti's library does it: a type takes its place before what its resources lead to, a resource takes its
// place among its type behind that, and fields that hide a relationship do not hide what it leads to.
static void collect(struct included *in, const struct document *d, const struct type *type, const void *item,
                    size_t index)
{
    for (size_t i = 0; i < type->relation_count; i++) {
        const struct relation *r = &type->relations[i];
        const void *target = d->query->include & r->include ? find_target(d, r, item, index) : NULL;
        if (!target)
            continue;
        see_type(in, r->target);
        collect(in, d, type_of(r->target), target, 0);
        add_included(in, r->target, target);
    }
}

static void put_included(struct json_writer *w, const struct document *d, const struct included *in)
{
    if (!in->type_count)
        return;
    json_key(w, "included");
    json_begin_array(w);
    for (size_t t = 0; t < in->type_count; t++)
        for (size_t i = 0; i < in->of[in->order[t]].count; i++)
            put_resource(w, d, type_of(in->order[t]), in->of[in->order[t]].items[i]);
    json_end_array(w);
}

// ---- whole documents

void document_write_one(struct buf *out, const struct document *d, const struct type *type, const void *item)
{
    struct included in cleanup(included_done) = {.type_count = 0};
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_key(&w, "data");
    if (item) {
        put_resource(&w, d, type, item);
        collect(&in, d, type, item, 0);
    } else {
        json_put_null(&w);
    }
    put_included(&w, d, &in);
    json_end_object(&w);
}

static void put_page_link(struct json_writer *w, const struct document *d, const struct type *type,
                          const char *name, uint64_t number)
{
    struct buf url cleanup(buf_done) = BUF_INIT;
    buf_add_str(&url, d->base);
    buf_addf(&url, "/%s?", type->name);
    query_page_string(&url, d->query, number);
    json_kv_str(w, name, buf_str(&url));
}

static void put_page_links(struct json_writer *w, const struct document *d, const struct type *type,
                           uint64_t total)
{
    uint64_t number = d->query->page_number, size = d->query->page_size;
    uint64_t last = total ? (total + size - 1) / size : 1;
    json_key(w, "links");
    json_begin_object(w);
    put_page_link(w, d, type, "first", 1);
    if (number > 1)
        put_page_link(w, d, type, "prev", number - 1);
    if (number < last)
        put_page_link(w, d, type, "next", number + 1);
    put_page_link(w, d, type, "last", last);
    json_end_object(w);
}

void document_list_begin(struct document_list *l, struct buf *out, const struct type *type)
{
    *l = (struct document_list){
        .w = json_writer(out), .type = type, .included = mem_alloc(sizeof *l->included)};
    json_begin_object(&l->w);
    json_key(&l->w, "data");
    json_begin_array(&l->w);
}

void document_list_add(struct document_list *l, const struct document *d, const void *item)
{
    put_resource(&l->w, d, l->type, item);
    collect(l->included, d, l->type, item, l->count++);
}

void document_list_end(struct document_list *l, const struct document *d, uint64_t total)
{
    json_end_array(&l->w);
    put_included(&l->w, d, l->included);
    json_key(&l->w, "meta");
    json_begin_object(&l->w);
    json_kv_u64(&l->w, "total-count", total);
    json_end_object(&l->w);
    put_page_links(&l->w, d, l->type, total);
    json_end_object(&l->w);
}

void document_list_done(struct document_list *l)
{
    if (l->included)
        included_done(l->included);
    free(l->included);
    l->included = NULL;
}

void document_write_list(struct buf *out, const struct document *d, const struct type *type,
                         const void *const *items, size_t count, uint64_t total)
{
    struct document_list l cleanup(document_list_done);
    document_list_begin(&l, out, type);
    for (size_t i = 0; i < count; i++)
        document_list_add(&l, d, items[i]);
    document_list_end(&l, d, total);
}

void document_write_linkage(struct buf *out, const struct document *d, const struct type *type, int64_t id,
                            const struct relation *relation, int64_t target)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    put_linkage(&w, relation->target, target);
    put_relation_links(&w, d, type, id, relation);
    json_end_object(&w);
}

void document_write_resource(struct buf *out, const struct document *d, const struct type *type,
                             const void *item)
{
    struct json_writer w = json_writer(out);
    put_resource(&w, d, type, item);
}

void document_write_bare(struct buf *out, const struct document *d, const struct type *type, const void *item)
{
    struct json_writer w = json_writer(out);
    bool open = false;
    begin_resource(&w, type, item);
    put_attributes(&w, d, type, item);
    for (size_t i = 0; i < type->relation_count; i++) {
        const struct relation *r = &type->relations[i];
        if (!shows_relation(d, type, i))
            continue;
        begin_member(&w, "relationships", &open);
        json_key(&w, r->name);
        json_begin_object(&w);
        put_linkage(&w, r->target, target_id(r, item));
        json_end_object(&w);
    }
    if (open)
        json_end_object(&w);
    json_end_object(&w);
}
