// See call.h.
#include "services/gateway/voximplant/call.h"

void call_free(struct call *c)
{
    if (c->work)
        c->work_free(c->work);
    params_done(&c->params);
    dialect_call_end(&c->base, c);
}

struct store *call_store(const struct call *c)
{
    return c->vox->shared->store;
}

struct str call_account(const struct call *c)
{
    return str_of(c->base.account->name);
}
