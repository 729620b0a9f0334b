// Brings a registration from what is to what is planned: waits for a time, for its turn at the registrar or
// for a lease, and notices what time alone changes. Every event ends here.
#include "services/registrant/core/machine.h"

static enum permission permission_of(const struct engine *e, const struct entry *r)
{
    switch (e->shards[r->shard]->state) {
    case SHARD_OPEN:
        return e->lease == LEASE_FRESH ? PERMIT_ALL : PERMIT_REFRESH;
    case SHARD_PARKED:
        return PERMIT_REFRESH;
    case SHARD_LOADING:
    case SHARD_CLOSING:
    case SHARD_DRAINING:
        break;
    }
    return PERMIT_NOTHING;
}

void entry_reset(struct entry *r)
{
    r->attempts = 0;
    r->retry_ms = 0;
    r->rejected = false;
    r->given_up = false;
}

// What was to be removed is gone.
static void take_proof(struct engine *e, struct entry *r, enum status_proof proof, struct moment now)
{
    bool leaving = r->removing || !r->enabled;
    if (leaving && r->unsure && r->want && proof != PROOF_TWIN &&
        (!r->bound || r->differs == SPEC_IDENTITY)) {
        r->unsure = false;
        entry_set_dropped(e, r, STR_NONE);
        entry_assume_bound(e, r, now);
        entry_reset(r);
        return;
    }
    if (!r->removing && r->extra && r->extra->flush_wanted > r->extra->flush_emptied)
        r->extra->flush_emptied = r->extra->flush_wanted;
    entry_set_bound(e, r, NULL, STR_NONE);
    entry_set_dropped(e, r, STR_NONE);
    r->asked_s = r->granted_s = 0;
    r->expires_ms = r->last_bind_ms = 0;
    r->differs = SPEC_SAME;
    if (r->removing)
        r->proof = (uint8_t)proof;
    entry_reset(r);
}

// A disabled registration has nothing to do for a command: it is acted on.
static void act_on_commands_of_disabled(struct engine *e, struct entry *r)
{
    struct extra *x = r->extra;
    if (!x || r->enabled || r->removing || r->bound)
        return;
    if (x->refresh_acted == x->refresh_wanted && x->flush_acted == x->flush_wanted &&
        x->audit_acted == x->audit_wanted)
        return;
    x->refresh_acted = x->refresh_wanted;
    x->flush_acted = x->flush_emptied = x->flush_wanted;
    x->audit_acted = x->audit_wanted;
    report_mark(e, r);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// The next time at which something changes though nothing is sent or heard.
static int64_t next_change_ms(const struct entry *r, const struct plan *plan, int64_t now_ms)
{
    int64_t at = NEVER_MS;
    if (plan_sends(plan) && plan->at_ms > now_ms)
        at = plan->at_ms;
    if (machine_is_live(r, now_ms)) {
        // What waits for its turn may wait longer than the binding for its refresh.
        int64_t refresh = r->attempts ? r->retry_ms : r->refresh_ms;
        at = earlier(at, refresh > now_ms ? earlier(refresh, r->expires_ms) : r->expires_ms);
    }
    int64_t lapse =
        machine_lapse_ms(r) + 1; // one that passes while a request is in flight waits for its answer
    if (r->bound && (r->removing || !r->enabled || r->differs == SPEC_IDENTITY) && lapse > now_ms)
        at = earlier(at, lapse);
    if (r->unsettled_ms)
        at = earlier(at, r->unsettled_ms + PENDING_SHOWN_MS);
    return at;
}

static void defer(struct engine *e, struct entry *r)
{
    if (r->deferred || e->lease == LEASE_FRESH) // a parked partition is walked when it is back
        return;
    r->deferred = true;
    marks_push(e, &e->deferred, (struct mark){.id = r->id, .shard = r->shard});
}

// With a lease there would be something to send, or earlier.
static bool is_held_back(const struct entry *r, const struct plan *plan, int64_t now_ms)
{
    const struct plan free = machine_plan(r, PERMIT_ALL, now_ms);
    return plan_sends(&free) && (free.kind == PLAN_UNBIND || !plan_sends(plan) || free.at_ms < plan->at_ms);
}

static void wait_turn(struct engine *e, struct entry *r, const struct plan *plan, struct moment now)
{
    bool wanted = plan->kind == PLAN_BIND || plan->kind == PLAN_CLEAR || !r->bound;
    const struct spec *s = plan->kind == PLAN_LEAVE ? r->extra->left : wanted ? r->want : r->bound;
    if (pacer_waits_as(s->way->target, &r->item, plan->class))
        return;
    if (plan->class != PACE_LIVE && pacer_waits_as(s->way->target, &r->item, PACE_LIVE))
        observe_lapse(e, r);
    entry_stop_waiting(e, r);
    r->item.aor = s->aor;
    pacer_wait(e->home.pacer, s->way->target, &r->item, plan->class, us_of(r->expires_ms), now.us);
}

static void arm(struct engine *e, struct entry *r, int64_t at_ms)
{
    if (at_ms == NEVER_MS)
        wheel_clear(&e->wheel, &r->timer);
    else
        wheel_set(&e->wheel, &r->timer, us_of(at_ms));
}

void entry_update(struct engine *e, struct entry *r, struct moment now)
{
    int64_t now_ms = ms_of(now);
    if (r->moved)
        return;
    enum permission permission = permission_of(e, r);
    struct plan plan = machine_plan(r, permission, now_ms);
    if (r->expires_ms <= now_ms)
        entry_uncount_need(e, r);
    if (plan.kind == PLAN_GONE) {
        take_proof(e, r, plan.proof, now);
        plan = machine_plan(r, permission, now_ms);
    }
    act_on_commands_of_disabled(e, r);
    if (plan_sends(&plan) && plan.at_ms <= now_ms)
        wait_turn(e, r, &plan, now);
    else
        entry_stop_waiting(e, r);
    if (permission == PERMIT_REFRESH && is_held_back(r, &plan, now_ms))
        defer(e, r);
    if (permission != PERMIT_NOTHING) {
        report_settle(e, r, now);
        // Nothing is sent for a new revision: it is applied, and that is said. Else its end says so.
        if (r->revision_unsaid && !r->flight && !pacer_waits(&r->item) && plan.kind != PLAN_HOLD)
            report_mark(e, r);
    }
    if (r->proof && r->proved_reported)
        return; // its timer is the one that forgets it
    arm(e, r, permission == PERMIT_NOTHING ? NEVER_MS : next_change_ms(r, &plan, now_ms));
}

static void start_next(struct engine *e, struct entry *r, struct moment now)
{
    static const enum flight_kind kinds[] = {
        [PLAN_BIND] = FLIGHT_BIND,   [PLAN_REFRESH] = FLIGHT_REFRESH, [PLAN_UNBIND] = FLIGHT_UNBIND,
        [PLAN_CLEAR] = FLIGHT_CLEAR, [PLAN_LEAVE] = FLIGHT_LEAVE,     [PLAN_FETCH] = FLIGHT_FETCH};
    struct plan plan = machine_plan(r, permission_of(e, r), ms_of(now));
    if (plan_sends(&plan) && plan.at_ms <= ms_of(now)) {
        observe_start(e, r, now);
        flight_begin(e, r, kinds[plan.kind], plan.class == PACE_STAGGERED, now);
    } else
        entry_update(e, r, now);
}

void engine_turn(struct engine *e, struct moment now)
{
    while (e->lease != LEASE_STALLED) {
        struct pacer_item *item = pacer_next(e->home.pacer, now.us);
        if (!item)
            break;
        start_next(e, container_of(item, struct entry, item), now);
    }
    report_flush(e, now);
}
