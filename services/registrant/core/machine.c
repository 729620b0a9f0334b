// See machine.h.
#include "services/registrant/core/machine.h"

static bool is_flushing(const struct entry *r)
{
    return r->extra && r->extra->flush_wanted > r->extra->flush_acted;
}

static bool must_empty_first(const struct entry *r)
{
    return is_flushing(r) && r->extra->flush_emptied < r->extra->flush_wanted;
}

static bool is_commanded(const struct entry *r)
{
    return is_flushing(r) || (r->extra && r->extra->refresh_wanted > r->extra->refresh_acted);
}

// Changes nothing, so it needs no lease; but a CSeq that another owner may be above is not raised without
// one.
static bool must_audit(const struct entry *r, enum permission permission)
{
    return r->extra && r->extra->audit_wanted > r->extra->audit_acted &&
           (permission == PERMIT_ALL || !r->cseq_low);
}

static bool is_leaving(const struct entry *r)
{
    return r->removing || !r->enabled;
}

// Refused for good: nothing but a change or a command makes it ask again.
static bool is_stopped(const struct entry *r)
{
    return r->attempts && r->retry_ms == NEVER_MS;
}

// Another identity is wanted than the one that is bound.
static bool is_changing(const struct entry *r)
{
    return r->bound && r->differs == SPEC_IDENTITY;
}

bool machine_is_live(const struct entry *r, int64_t now_ms)
{
    return r->bound && r->expires_ms && r->expires_ms > now_ms && !r->shaken;
}

int64_t machine_lapse_ms(const struct entry *r)
{
    uint32_t longest = r->asked_s > r->granted_s ? r->asked_s : r->granted_s;
    int64_t ends_ms = r->last_bind_ms + (int64_t)longest * 1000;
    if (r->expires_ms > ends_ms) // an audit told of a longer one
        ends_ms = r->expires_ms;
    if (r->extra && r->extra->held_until_ms > ends_ms)
        ends_ms = r->extra->held_until_ms;
    return ends_ms + LAPSE_MARGIN_MS;
}

// Of what binds anew or removes. Removals are in no hurry: a flush of many must not hold refreshes up.
static enum pacer_class class_of(const struct entry *r, bool binds)
{
    if (r->stagger)
        return PACE_STAGGERED;
    return binds && r->was_bound ? PACE_LAPSED : PACE_NEW;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Only what keeps a binding alive may be sent.
static struct plan plan_refresh(const struct entry *r, int64_t now_ms)
{
    if (is_leaving(r) || !machine_is_live(r, now_ms) || r->given_up || r->cseq_low)
        return (struct plan){.kind = PLAN_HOLD};
    int64_t at = r->attempts ? later(r->retry_ms, r->refresh_ms) : r->refresh_ms;
    return (struct plan){.kind = PLAN_REFRESH, .at_ms = at, .class = PACE_LIVE};
}

static struct plan gone(enum status_proof proof)
{
    return (struct plan){.kind = PLAN_GONE, .proof = proof};
}

static struct plan plan_removal(const struct entry *r, enum permission permission, int64_t now_ms)
{
    if (!r->bound)
        return gone(r->ever_sent ? PROOF_ANSWERED : PROOF_NEVER_SENT);
    // Who bound what is only assumed may have been taught to ask for longer: it is tried to be removed first.
    if (now_ms > machine_lapse_ms(r) && (!r->assumed || r->attempts))
        return gone(PROOF_LAPSED);
    if (r->removing && r->twin && !r->removal_sent)
        return gone(PROOF_TWIN);
    // Of an identity that was never confirmed one attempt to remove is enough: the new one shall not wait an
    // hour for what a mistyped host may hold.
    if (is_changing(r) && !is_leaving(r) && !r->expires_ms && r->attempts)
        return gone(PROOF_LAPSED);
    if (permission != PERMIT_ALL)
        return plan_refresh(r, now_ms);
    bool waits = r->attempts && !is_stopped(r); // what was stopped is a refresh
    return (struct plan){
        .kind = PLAN_UNBIND, .at_ms = waits ? r->retry_ms : now_ms, .class = class_of(r, false)};
}

// What was left behind is removed after its successor is bound, or before all is.
static bool must_leave(const struct entry *r, int64_t now_ms)
{
    if (!r->extra || !r->extra->left)
        return false;
    return is_leaving(r) || (machine_is_live(r, now_ms) && r->differs == SPEC_SAME && !r->attempts);
}

static struct plan plan_bind(const struct entry *r, int64_t now_ms)
{
    bool live = machine_is_live(r, now_ms);
    bool clears = r->clear_first && !r->cleared && !live;
    struct plan plan = {.kind = clears ? PLAN_CLEAR : PLAN_BIND,
                        .class = live ? PACE_LIVE : class_of(r, !clears)};
    if (r->attempts)
        plan.at_ms = r->retry_ms;
    // In doubt without a failure that counts: a change has taken back what was refused. It is asked whether
    // all is well again.
    else if (!live || r->differs != SPEC_SAME || is_commanded(r) || r->unsure || r->doubted)
        plan.at_ms = now_ms;
    else
        plan.at_ms = r->refresh_ms;
    return plan;
}

bool plan_sends(const struct plan *plan)
{
    return plan->kind != PLAN_NOTHING && plan->kind != PLAN_HOLD && plan->kind != PLAN_GONE;
}

// A flush and what was left behind wait behind all that is live: meanwhile the binding is kept.
static bool must_refresh(const struct entry *r, int64_t now_ms)
{
    return machine_is_live(r, now_ms) && !is_leaving(r) && !r->attempts && r->refresh_ms <= now_ms;
}

struct plan machine_plan(const struct entry *r, enum permission permission, int64_t now_ms)
{
    if (r->flight || r->proof || permission == PERMIT_NOTHING)
        return (struct plan){.kind = PLAN_NOTHING};
    bool refresh_first = must_refresh(r, now_ms);
    if (must_leave(r, now_ms) && permission == PERMIT_ALL && !refresh_first)
        return (struct plan){.kind = PLAN_LEAVE, .at_ms = now_ms, .class = class_of(r, false)};
    bool empties = must_empty_first(r) && !refresh_first;
    if (r->removing || (!r->enabled && r->bound) || (r->enabled && (is_changing(r) || empties)))
        return plan_removal(r, permission, now_ms);
    if (is_leaving(r))
        return (struct plan){.kind = PLAN_NOTHING};
    struct plan plan = {.kind = PLAN_NOTHING};
    if (!r->given_up && !is_stopped(r))
        plan = permission == PERMIT_ALL ? plan_bind(r, now_ms) : plan_refresh(r, now_ms);
    bool due = plan_sends(&plan) && plan.at_ms <= now_ms; // an audit after it finds more
    if (must_audit(r, permission) && !due)
        return (struct plan){.kind = PLAN_FETCH, .at_ms = now_ms, .class = PACE_NEW};
    return plan;
}

enum status_state machine_state(const struct entry *r, int64_t now_ms)
{
    if (r->removing)
        return r->proof ? STATE_UNREGISTERED : STATE_UNREGISTERING;
    if (!r->enabled)
        return r->bound || r->flight ? STATE_UNREGISTERING : STATE_DISABLED; // in flight: it may bind yet
    if (r->given_up)
        return STATE_GIVEN_UP;
    if (r->rejected)
        return STATE_REJECTED;
    if (r->attempts)
        return STATE_RETRYING;
    if (machine_is_live(r, now_ms) && r->differs == SPEC_SAME && !r->unsure && !r->doubted)
        return STATE_REGISTERED;
    return r->flight ? STATE_REGISTERING : STATE_PENDING;
}
