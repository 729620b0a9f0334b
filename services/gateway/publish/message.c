// See message.h.
#include "services/gateway/publish/message.h"

#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>

const char *message_op_name(enum store_op op)
{
    static const char *const names[] = {[STORE_OP_DESIRED] = "desired",
                                        [STORE_OP_REMOVE] = "remove",
                                        [STORE_OP_MOVED] = "moved",
                                        [STORE_OP_DELETED] = "deleted"};
    return names[op];
}

void message_write_change(struct buf *out, const struct store_change *c)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_i64(&w, "v", 1);
    json_kv_u64(&w, "id", c->id);
    json_kv_cstr(&w, "account", c->account);
    json_kv_u64(&w, "revision", c->revision);
    json_kv_cstr(&w, "op", message_op_name(c->op));
    if (c->spec) {
        json_key(&w, "spec");
        json_put_raw(&w, str_of(c->spec));
    }
    if (c->status) {
        json_key(&w, "status");
        json_put_raw(&w, str_of(c->status));
    }
    if (c->twin)
        json_kv_bool(&w, "twin", true);
    if (c->stray)
        json_kv_bool(&w, "stray", true);
    json_end_object(&w);
}

static void add(struct message_headers *h, const char *name, const char *value)
{
    h->items[h->count++] = (struct kafka_header){.name = name, .value = str_of(value)};
}

void message_headers(struct message_headers *ret, const struct cloud_event *e)
{
    ret->count = 0;
    (void)snprintf(ret->subject, sizeof(ret->subject), "%" PRIu64, e->subject);
    encode_time(ret->time, e->wall_ms);
    add(ret, "ce_specversion", "1.0");
    add(ret, "ce_id", e->id);
    add(ret, "ce_type", e->type);
    add(ret, "ce_source", e->source);
    add(ret, "ce_subject", ret->subject);
    add(ret, "ce_time", ret->time);
    add(ret, "content-type", "application/json");
    if (e->traceparent && e->traceparent[0])
        add(ret, "traceparent", e->traceparent);
}
