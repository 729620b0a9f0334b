// The messages between the main thread and a SIP thread: who allocates, who frees.
#include "services/registrant/sip/sip_thread.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct sip_command *sip_command_new(enum sip_command_kind kind, uint32_t shard)
{
    struct sip_command *c = mem_alloc(sizeof(*c));
    c->kind = kind;
    c->shard = shard;
    return c;
}

void sip_command_free(struct sip_command *c)
{
    if (!c)
        return;
    if (c->has_reg)
        registration_done(&c->reg);
    if (c->has_last)
        status_done(&c->last);
    key_ring_free(c->ring);
    free(c);
}

void sip_notice_free(struct sip_notice *n)
{
    if (!n)
        return;
    free(n->account);
    free(n->value);
    free(n);
}
