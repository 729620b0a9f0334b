// See lease.h.
#include "services/registrant/shard/lease.h"

bool lease_prove(struct lease *l, uint64_t sent_us)
{
    if (sent_us <= l->proved_us)
        return false;
    l->proved_us = sent_us;
    return true;
}

void lease_void(struct lease *l)
{
    l->proved_us = 0;
}

// Counted from the sending, not from the answer: the coordinator's own clock started no later than that.
bool lease_is_fresh(const struct lease *l, uint64_t now_us)
{
    return l->proved_us && now_us < l->proved_us + l->session_us;
}
