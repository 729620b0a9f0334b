// See call.h.
#include "services/gateway/voximplant/call.h"

void vox_call_free(struct call *c)
{
    if (c->work)
        c->work_free(c->work);
    vox_params_done(&c->params);
    dialect_call_end(&c->base, c);
}

struct store *vox_call_store(const struct call *c)
{
    return c->vox->shared->store;
}

struct str vox_call_account(const struct call *c)
{
    return str_of(c->base.account->name);
}
