// See learned.h.
#include "services/registrant/core/learned.h"

#include <string.h>

#define KEPT_US           (UINT64_C(86400) * 1000000)
#define REFUSALS_TO_LEARN 2
#define NONCE_TRY_AGAIN   8
#define MAX_GRANT_VOTES   1000 // a registrar that changes its mind is followed after as many grants
#define YOUNG_MS          600000u
#define YOUNG_TO_LEARN    4

// ---- nonces

static bool knows_nonce_age(const struct learned *l)
{
    return l->nonce_refusals > 0;
}

static void forget_nonce_age(struct learned *l)
{
    l->nonce_refusals = 0;
    l->nonce_age_ms = 0;
}

bool learned_nonce_is_worth(struct learned *l, uint64_t age_ms, uint64_t now_us)
{
    if (now_us - l->nonce_refused_us >= KEPT_US)
        forget_nonce_age(l);
    if (l->nonce_refusals < REFUSALS_TO_LEARN || age_ms < l->nonce_age_ms)
        return true;
    return ++l->nonces_skipped % NONCE_TRY_AGAIN == 0;
}

void learned_nonce_refused(struct learned *l, uint64_t age_ms, uint64_t now_us)
{
    if (!knows_nonce_age(l) || age_ms < l->nonce_age_ms)
        l->nonce_age_ms = age_ms;
    l->nonce_refusals++;
    l->nonce_refused_us = now_us;
}

void learned_nonce_accepted(struct learned *l, uint64_t age_ms)
{
    if (knows_nonce_age(l) && age_ms >= l->nonce_age_ms)
        forget_nonce_age(l);
}

uint64_t learned_nonce_age_s(const struct learned *l)
{
    return l->nonce_refusals < REFUSALS_TO_LEARN ? 0 : (l->nonce_age_ms + 999) / 1000;
}

// ---- expiry

// The majority vote of Boyer and Moore: a vote each, for or against the one that leads.
void learned_grant(struct learned *l, uint32_t granted_s)
{
    if (!granted_s)
        return;
    if (!l->granted_least_s || granted_s < l->granted_least_s)
        l->granted_least_s = granted_s;
    if (l->granted_s == granted_s)
        l->granted_votes += l->granted_votes < MAX_GRANT_VOTES;
    else if (l->granted_votes)
        l->granted_votes--;
    else {
        l->granted_s = granted_s;
        l->granted_votes = 1;
    }
}

void learned_min_expires(struct learned *l, uint32_t min_expires_s, uint64_t now_us)
{
    l->min_expires_s = min_expires_s;
    l->min_expires_us = now_us;
}

uint32_t learned_least_s(const struct learned *l, uint64_t now_us)
{
    return now_us - l->min_expires_us < KEPT_US ? l->min_expires_s : 0;
}

// ---- flows

void learned_outbound(struct learned *l, bool supported)
{
    l->outbound = supported;
}

bool learned_received(struct learned *l, struct str hostport)
{
    if (hostport.n >= sizeof(l->received) || str_eq_cstr(hostport, l->received))
        return false;
    if (hostport.n)
        memcpy(l->received, hostport.p, hostport.n);
    l->received[hostport.n] = '\0';
    return true;
}

// ---- flows

// Of one flow it is asked once for each registration.
bool learned_flow_is_worth(struct learned *l, uint32_t flow, uint64_t age_ms, uint64_t now_us)
{
    if (flow != l->lost_flow) {
        bool in_a_row = now_us - l->lost_flow_us < KEPT_US && age_ms < YOUNG_MS;
        l->young_flows = in_a_row ? l->young_flows + 1 : age_ms < YOUNG_MS;
        l->lost_flow = flow;
        l->lost_flow_us = now_us;
    }
    return l->young_flows < YOUNG_TO_LEARN;
}
