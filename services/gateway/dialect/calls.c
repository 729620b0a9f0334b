// Calls under way: see dialect.h.
#include "services/gateway/dialect/dialect.h"

#include <stdlib.h>

void dialect_calls_init(struct dialect_calls *calls, void *owner, void (*free_owner)(void *owner))
{
    TAILQ_INIT(&calls->list);
    calls->closing = false;
    calls->owner = owner;
    calls->free_owner = free_owner;
}

void dialect_call_begin(struct dialect_calls *calls, struct dialect_call *c, struct http_request *r)
{
    *c = (struct dialect_call){.calls = calls, .http = r};
    TAILQ_INSERT_TAIL(&calls->list, c, link);
}

void dialect_call_end(struct dialect_call *c, void *memory)
{
    struct dialect_calls *calls = c->calls;
    TAILQ_REMOVE(&calls->list, c, link);
    fair_give_back(&c->ticket);
    dialect_login_free(c->login);
    principals_unref(c->principals);
    free(memory);
    if (calls->closing && TAILQ_EMPTY(&calls->list))
        calls->free_owner(calls->owner);
}

void dialect_calls_close(struct dialect_calls *calls, void (*answer_stopping)(struct dialect_call *c))
{
    if (TAILQ_EMPTY(&calls->list)) {
        calls->free_owner(calls->owner);
        return;
    }
    calls->closing = true;
    struct dialect_call *next;
    bool last = false; // with the last call all of this may be gone
    for (struct dialect_call *c = TAILQ_FIRST(&calls->list); c && !last; c = next) {
        next = TAILQ_NEXT(c, link);
        last = !next;
        if (c->in_password_check || c->waits)
            answer_stopping(c);
    }
}

const struct principals *dialect_principals(struct dialect_call *c, const struct dialect_shared *shared)
{
    if (!c->principals)
        c->principals = principals_box_get(shared->principals);
    return c->principals;
}
