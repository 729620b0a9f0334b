// See outbox_entry.h.
#include "services/gateway/publish/outbox_entry.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/redis/redis.h"

#include <stdio.h>
#include <stdlib.h>

static struct str field(const struct redis_value *fields, const char *name)
{
    for (size_t i = 0; i + 1 < redis_count(fields); i += 2)
        if (str_eq_cstr(redis_str(redis_at(fields, i)), name))
            return redis_str(redis_at(fields, i + 1));
    return STR_NONE;
}

static uint64_t number(const struct redis_value *fields, const char *name)
{
    uint64_t value;
    return str_to_u64(field(fields, name), &value) ? 0 : value;
}

static void write_value(struct buf *out, const struct redis_value *fields, uint64_t id)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_i64(&w, "v", 1);
    json_kv_u64(&w, "id", id);
    json_kv_str(&w, "account", field(fields, "account"));
    json_kv_u64(&w, "revision", number(fields, "revision"));
    struct str data = field(fields, "data");
    if (data.n) {
        buf_add_char(out, ',');
        buf_add_str(out, data);
    }
    buf_add_char(out, '}');
}

static char *printed(const char *prefix, struct str text)
{
    struct buf out = BUF_INIT;
    buf_add_cstr(&out, prefix);
    buf_add_str(&out, text);
    return buf_steal(&out);
}

struct outbox_entry *outbox_entry_read(const struct redis_value *v, unsigned shard)
{
    struct str entry = redis_str(redis_at(v, 0));
    const struct redis_value *fields = redis_at(v, 1);
    if (!entry.n)
        return NULL;
    char prefix[16];
    (void)snprintf(prefix, sizeof(prefix), "s%u-", shard);
    struct outbox_entry *e = mem_alloc(sizeof(*e));
    *e = (struct outbox_entry){.stream_id = str_dup(entry),
                               .id = number(fields, "id"),
                               .type = printed("rollcall.registration.", field(fields, "type")),
                               .source = str_dup(field(fields, "source")),
                               .traceparent = str_dup(field(fields, "traceparent")),
                               .ce_id = printed(prefix, entry),
                               .wall_ms = number(fields, "time")};
    if (e->id && field(fields, "type").n)
        write_value(&e->value, fields, e->id);
    struct json *root cleanup(json_free_ptr) = NULL;
    if (e->value.n && json_parse(buf_str(&e->value), &JSON_LIMITS_DEFAULT, &root, NULL))
        buf_clear(&e->value);
    return e;
}

void outbox_entry_free(struct outbox_entry *e)
{
    if (!e)
        return;
    free(e->stream_id);
    free(e->type);
    free(e->source);
    free(e->traceparent);
    free(e->ce_id);
    buf_done(&e->value);
    free(e);
}

bool outbox_entry_is_whole(const struct outbox_entry *e)
{
    return e->value.n > 0;
}

struct cloud_event outbox_entry_attributes(const struct outbox_entry *e)
{
    return (struct cloud_event){.type = e->type,
                                .id = e->ce_id,
                                .source = e->source,
                                .subject = e->id,
                                .wall_ms = e->wall_ms,
                                .traceparent = e->traceparent};
}
