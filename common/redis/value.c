// Reading replies. A redis_value is hiredis's own reply object; nothing is copied.
#include "common/redis/redis.h"

#include "common/base/mem.h"
#include "common/redis/conn.h"

#include <hiredis/hiredis.h>

static const redisReply *reply_of(const struct redis_value *v)
{
    return (const redisReply *)(const void *)v;
}

enum redis_type redis_type(const struct redis_value *v)
{
    switch (v ? reply_of(v)->type : REDIS_REPLY_NIL) {
    case REDIS_REPLY_STRING:
        return REDIS_STRING;
    case REDIS_REPLY_INTEGER:
        return REDIS_INTEGER;
    case REDIS_REPLY_ARRAY:
        return REDIS_ARRAY;
    case REDIS_REPLY_STATUS:
        return REDIS_STATUS;
    case REDIS_REPLY_ERROR:
        return REDIS_FAIL;
    default:
        return REDIS_NIL;
    }
}

struct str redis_str(const struct redis_value *v)
{
    enum redis_type type = redis_type(v);
    if (type != REDIS_STRING && type != REDIS_STATUS && type != REDIS_FAIL)
        return STR_NONE;
    return str_of_bytes(reply_of(v)->str, reply_of(v)->len);
}

int64_t redis_int(const struct redis_value *v)
{
    int64_t number;
    if (redis_type(v) == REDIS_INTEGER)
        return reply_of(v)->integer;
    return str_to_i64(redis_str(v), &number) == 0 ? number : 0;
}

size_t redis_count(const struct redis_value *v)
{
    return redis_type(v) == REDIS_ARRAY ? reply_of(v)->elements : 0;
}

const struct redis_value *redis_at(const struct redis_value *v, size_t index)
{
    if (index >= redis_count(v))
        return NULL;
    return (const struct redis_value *)(const void *)reply_of(v)->element[index];
}

struct redis_value *redis_conn_keep(struct redis_conn *c, const struct redis_value *v)
{
    if (!v)
        return NULL;
    c->reply_kept = true;
    return (struct redis_value *)(uintptr_t)v;
}

struct redis_value *redis_value_integer(int64_t number)
{
    redisReply *reply = mem_alloc(sizeof(*reply));
    reply->type = REDIS_REPLY_INTEGER;
    reply->integer = number;
    return (struct redis_value *)(void *)reply;
}

void redis_value_free(struct redis_value *v)
{
    if (v)
        freeReplyObject(v);
}
