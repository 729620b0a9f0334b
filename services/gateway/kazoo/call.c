// See call.h.
#include "services/gateway/kazoo/call.h"

#include <stdlib.h>

void kazoo_call_free(struct call *c)
{
    if (c->work)
        c->work_free(c->work);
    buf_done(&c->request_id);
    buf_done(&c->account_id);
    buf_done(&c->username);
    http_pairs_done(&c->query);
    buf_done(&c->body);
    json_free(c->envelope);
    buf_done(&c->token);
    dialect_call_end(&c->call, c);
}

struct store *kazoo_call_store(const struct call *c)
{
    return c->kazoo->shared->store;
}

// Keys of the envelope are compared in lower case.
const struct json *kazoo_call_member(const struct call *c, const char *name)
{
    for (size_t i = 0; i < json_count(c->envelope); i++)
        if (str_ieq_cstr(json_key_at(c->envelope, i), name))
            return json_at(c->envelope, i);
    return NULL;
}

struct str kazoo_call_value(const struct call *c, const char *name)
{
    struct str text = json_is(c->data, JSON_OBJECT) ? json_str(json_get(c->data, name)) : STR_NONE;
    if (text.n)
        return text;
    const char *pair = http_pairs_get(&c->query, name);
    if (pair && pair[0])
        return str_of(pair);
    return json_str(kazoo_call_member(c, name));
}
