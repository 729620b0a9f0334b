// See objects.h.
#include "services/gateway/yeti/objects.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <stdlib.h>

void object_done(struct object *o)
{
    free(o->name);
    free(o->rpc_endpoint);
    *o = (struct object){0};
}

void objects_done(struct objects *o)
{
    for (size_t i = 0; i < o->count; i++)
        object_done(&o->items[i]);
    free(o->items);
    *o = (struct objects){.items = NULL};
}

const struct object *objects_find(const struct objects *o, int64_t id)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->items[i].id == id)
            return &o->items[i];
    return NULL;
}

static char *text_of(const struct json *v)
{
    return json_is(v, JSON_STRING) ? str_dup(json_str(v)) : NULL;
}

static bool read_object(struct object *ret, const struct store_object *stored)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    if (!stored->id || stored->id > INT64_MAX || json_parse(stored->json, NULL, &root, NULL) ||
        !json_is(json_get(root, "name"), JSON_STRING))
        return false;
    *ret = (struct object){
        .id = (int64_t)stored->id,
        .name = text_of(json_get(root, "name")),
        .rpc_endpoint = text_of(json_get(root, "rpc_endpoint")),
        .pop = json_i64_or(json_get(root, "pop"), 0),
    };
    return true;
}

void objects_read(struct objects *o, const struct store_object *stored, size_t count)
{
    *o = (struct objects){.items = mem_array(count + 1, sizeof(*o->items))};
    for (size_t i = 0; i < count; i++)
        o->count += read_object(&o->items[o->count], &stored[i]);
}

void objects_write(struct buf *out, const struct object *object)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_cstr(&w, "name", object->name);
    if (object->rpc_endpoint)
        json_kv_cstr(&w, "rpc_endpoint", object->rpc_endpoint);
    if (object->pop)
        json_kv_i64(&w, "pop", object->pop);
    json_end_object(&w);
}

const struct objects *objects_transports(void)
{
    static char udp[] = "UDP", tcp[] = "TCP", tls[] = "TLS", ws[] = "WS";
    static struct object items[] = {
        {.id = 1, .name = udp},
        {.id = 2, .name = tcp},
        {.id = 3, .name = tls},
        {.id = 5, .name = ws},
    };
    static const struct objects transports = {.items = items, .count = ARRAY_LEN(items)};
    return &transports;
}
