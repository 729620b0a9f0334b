// Continues from a report: of a former owner, of this process before it was started anew, or of what was
// reported of a buried id.
#include "services/registrant/core/machine.h"
#include "services/registrant/core/schedule.h"

#define CLOCKS_DIFFER_MS 2000 // what clocks that are kept by NTP may differ by, and more
#define UNSAID_REQUESTS  16   // more than one attempt is made of
#define UNAWARE_S        60   // by then a former owner that reaches its group has been told of us

static int64_t mono_of(uint64_t wall_ms, struct moment now)
{
    return ms_of(now) + ((int64_t)wall_ms - (int64_t)now.wall_ms);
}

// By our clock the report was made, or its request sent, after now: its owner's clock or ours is wrong, and
// the times that it tells say nothing here. A clock that is wrong by less than the report is old is not
// noticed.
static bool clocks_differ(const struct status *last, struct moment now)
{
    uint64_t now_ms = now.wall_ms + CLOCKS_DIFFER_MS;
    return (last->has_bound && last->bound.last_sent_wall_ms > now_ms) ||
           (last->next_in_ms && last->next_at_wall_ms > now_ms + last->next_in_ms);
}

// After a death requests may have been sent that nobody knows of: only a next action that still lies ahead
// says that the report is the last word.
static bool is_last_word(const struct status *last, struct moment now)
{
    return last->next_at_wall_ms > now.wall_ms && !clocks_differ(last, now);
}

// A clean hand-over says so too, unless the owner that it was handed to has died since without a word. A
// nonce that this makes wrong costs a challenge; a removal would be taken for proved, so that is not asked
// here.
static bool nonces_are_good(const struct status *last, struct moment now)
{
    return last->handover || is_last_word(last, now);
}

static void adopt_nonces(struct engine *e, struct entry *r, const struct status *last, struct moment now)
{
    if (!nonces_are_good(last, now))
        return;
    const struct status_bound *b = &last->bound;
    for (size_t i = 0; i < b->nonce_count; i++) {
        const struct status_nonce *n = &b->nonces[i];
        struct digest_challenge c = {.realm = str_of(n->realm),
                                     .nonce = str_of(n->nonce),
                                     .opaque = n->opaque ? str_of(n->opaque) : STR_NONE,
                                     .algorithm = digest_algorithm_of(str_of(n->algorithm)),
                                     .algorithm_given = n->algorithm != NULL,
                                     .userhash = n->userhash,
                                     .proxy = n->proxy};
        c.qop = !n->qop                                    ? QOP_NONE
                : str_ieq_cstr(str_of(n->qop), "auth")     ? QOP_AUTH
                : str_ieq_cstr(str_of(n->qop), "auth-int") ? QOP_AUTH_INT
                                                           : QOP_UNKNOWN;
        if (!n->realm || !n->nonce || c.algorithm == DIGEST_UNKNOWN || c.qop == QOP_UNKNOWN)
            continue;
        uint64_t since = b->last_sent_wall_ms ? b->last_sent_wall_ms : now.wall_ms;
        (void)nonces_put(e->home.texts, &r->nonces, &c, n->nc, mono_of(since, now));
    }
    e->bytes += r->nonces ? r->nonces->bytes : 0;
}

static uint32_t longest_expiry(const struct spec *s)
{
    struct spec_view v;
    int64_t longest = s->expires_s;
    spec_open(s, &v);
    for (size_t i = 0; i < v.contact_count; i++)
        longest = v.contacts[i].expires > longest ? v.contacts[i].expires : longest;
    return longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
}

// The longest expiry that was asked for beyond what is asked for by itself is the least that a 423 taught.
// After a silence it says how long an earlier request may hold instead.
static uint32_t least_that_was_taught(const struct spec *s, const struct status *last)
{
    return !last->attempt && last->bound.asked_s > longest_expiry(s) ? last->bound.asked_s : 0;
}

// The flow of RFC 5626 that it was bound over died with its owner, or stayed with it: another is made soon.
static void replace_flow(struct engine *e, struct entry *r, struct moment now)
{
    int64_t left_ms = r->expires_ms - ms_of(now), spread_ms = (int64_t)FLOW_BASE_S * 1000;
    if (left_ms / 2 < spread_ms)
        spread_ms = left_ms > 0 ? left_ms / 2 : 0;
    int64_t soon_ms = ms_of(now) + (int64_t)rng_below(&e->rng, (uint64_t)spread_ms + 1);
    if (soon_ms < r->refresh_ms)
        r->refresh_ms = soon_ms;
}

// Of what is bound: where the clocks say nothing it may end at any moment.
static void adopt_times(struct entry *r, const struct status *last, struct moment now)
{
    const struct status_bound *b = &last->bound;
    if (clocks_differ(last, now)) {
        r->expires_ms = ms_of(now) + (int64_t)b->granted_s * 1000;
        r->refresh_ms = ms_of(now);
        return;
    }
    r->expires_ms = mono_of(b->expires_at_wall_ms, now);
    int64_t sent = mono_of(b->last_sent_wall_ms, now);
    int64_t latest = sent + (int64_t)schedule_latest_ms(b->granted_s);
    int64_t told = last->next_at_wall_ms ? mono_of(last->next_at_wall_ms, now) : latest;
    r->refresh_ms = told < latest ? told : latest;
}

static void adopt_binding(struct engine *e, struct entry *r, const struct status *last, struct moment now)
{
    const struct status_bound *b = &last->bound;
    if (!b->last_sent_wall_ms) // nothing may be bound
        return;
    // For all we know it was refreshed until just now: a next action that lies ahead was the last word of its
    // owner, but for a command, or a flow that broke, it acts earlier.
    r->last_bind_ms = ms_of(now);
    struct spec *bound = spec_new(&e->home, &b->sent);
    if (bound->has_local) { // a report holds addresses, not {local}; without one nothing can be removed
        spec_put(&e->home, &bound);
        return;
    }
    entry_set_bound(e, r, bound, STR_NONE);
    r->assumed = !b->granted_s; // a report does not tell it from what was sent and never confirmed
    r->asked_s = b->asked_s;
    r->granted_s = b->granted_s;
    r->bound_revision = b->revision;
    r->floor_s = least_that_was_taught(r->bound, last);
    if (b->expires_at_wall_ms) {
        r->was_bound = true;
        adopt_times(r, last, now);
        if (last->outbound)
            replace_flow(e, r, now);
    }
    // A flush that was not acted on may be half done: its removal came first.
    bool flushing = r->extra && r->extra->flush_wanted > r->extra->flush_acted;
    r->shaken = last->state == STATE_UNREGISTERING || flushing;
    entry_count_need(e, r);
}

// A key that was missing may be there for this process: that is found out at once.
static bool is_for_want_of_a_key(const struct status *last)
{
    return last->by_local && key_ring_tells_missing(str_of(last->reason));
}

static void adopt_failures(struct entry *r, const struct status *last, struct moment now)
{
    if (is_for_want_of_a_key(last))
        return;
    r->attempts = last->attempt;
    r->rejected = last->state == STATE_REJECTED;
    r->given_up = last->state == STATE_GIVEN_UP;
    r->removal_sent = last->state == STATE_UNREGISTERING && last->attempt;
    bool stopped =
        r->rejected && !last->next_at_wall_ms && r->non_stale == NON_STALE_STOP && r->enabled && !r->removing;
    if (r->attempts)
        r->retry_ms = stopped                    ? NEVER_MS
                      : !last->next_at_wall_ms   ? ms_of(now)
                      : clocks_differ(last, now) ? ms_of(now) + (int64_t)last->next_in_ms
                                                 : mono_of(last->next_at_wall_ms, now);
}

static void adopt_lists(struct engine *e, struct entry *r, const struct status *last)
{
    struct sip_answer shown = {.warning = str_of(last->warning)};
    for (size_t i = 0; i < last->contacts.count; i++)
        shown.contacts[shown.contact_count++].text = str_of(last->contacts.items[i]);
    for (size_t i = 0; i < last->service_route.count; i++)
        shown.service_routes[shown.service_route_count++] = str_of(last->service_route.items[i]);
    for (size_t i = 0; i < last->path.count; i++)
        shown.paths[shown.path_count++] = str_of(last->path.items[i]);
    for (size_t i = 0; i < last->associated.count; i++)
        shown.associated[shown.associated_count++] = str_of(last->associated.items[i]);
    const struct shown_more more = {.foreign = last->foreign,
                                    .pub_gruu = str_of(last->pub_gruu),
                                    .temp_gruu = str_of(last->temp_gruu),
                                    .flow_timer_s = last->flow_timer_s,
                                    .outbound = last->outbound,
                                    .audited = last->audited_at_wall_ms && !last->expires_at_wall_ms};
    entry_set_shown(e, r, &shown, &more);
}

// Another node is seen elsewhere.
static bool is_seen_alike(const struct engine *e, const struct status *last)
{
    return !e->policy.nat_contact || str_eq(str_of(last->node), str_of(e->policy.node));
}

static void adopt_cause(struct engine *e, struct entry *r, const struct status *last)
{
    r->code = last->code > 0 && last->code < 1000 ? (uint16_t)last->code : 0;
    entry_set_heard(e, r, HEARD_REASON, str_of(last->reason));
    entry_set_heard(e, r, HEARD_TARGET, str_of(last->target));
    entry_set_heard(e, r, HEARD_LOCAL, str_of(last->local));
    if (is_seen_alike(e, last))
        entry_set_heard(e, r, HEARD_RECEIVED, str_of(last->received));
    r->by_local = last->by_local;
    r->rtt_us = last->rtt_us;
    r->retry_after_s =
        last->retry_after_s > 0 && last->retry_after_s <= UINT32_MAX ? (uint32_t)last->retry_after_s : 0;
    if (last->refresh_acted || last->flush_acted || last->audit_acted || last->audited_at_wall_ms) {
        struct extra *x = entry_extra(e, r);
        x->refresh_acted = last->refresh_acted;
        x->flush_acted = x->flush_emptied = last->flush_acted;
        x->audit_acted = last->audit_acted;
        x->audited_wall_ms = last->audited_at_wall_ms;
    }
}

// Failures of another specification than the one wanted now do not count against it.
static bool is_same_as_reported(struct engine *e, const struct entry *r, const struct status *last)
{
    if (last->revision == r->revision)
        return true;
    if (!last->has_bound || !r->want)
        return false;
    struct spec *sent = spec_new(&e->home, &last->bound.sent);
    const struct seal_context context = entry_seal_context(r);
    bool same =
        spec_compare(r->want, entry_local(e, r, r->want), sent, STR_NONE, e->ring, &context) == SPEC_SAME;
    spec_put(&e->home, &sent);
    return same;
}

// A former owner may have sent more than it said, one attempt at least: it handed nothing over, the
// registration moved to another place, or what it handed over has not reached us yet. It may go on sending,
// with a CSeq of the second that it sends in, until it hears of us.
static uint32_t cseq_above(const struct status *last, struct moment now)
{
    uint64_t said = (uint64_t)last->bound.cseq + UNSAID_REQUESTS;
    uint64_t unaware = request_cseq_of(now) + UNAWARE_S;
    uint64_t above = said > unaware ? said : unaware;
    return above > INT32_MAX - UNSAID_REQUESTS ? last->bound.cseq : (uint32_t)above;
}

void entry_adopt(struct engine *e, struct entry *r, const struct status *last, bool uncertain,
                 struct moment now)
{
    r->adopted = true;
    r->unsure = uncertain && !last->handover && last->revision != r->revision;
    r->doubted = last->attempt > 0 || last->state != STATE_REGISTERED;
    adopt_cause(e, r, last);
    if (last->has_bound) {
        const struct status_bound *b = &last->bound;
        r->ever_sent = true;
        r->cseq = cseq_above(last, now);
        if (b->call_id && b->from_tag)
            entry_set_names(e, r, str_of(b->call_id), str_of(b->from_tag));
        adopt_nonces(e, r, last, now);
        adopt_binding(e, r, last, now);
    }
    if (is_same_as_reported(e, r, last)) {
        adopt_failures(r, last, now);
        observe_state(e, r, last->state);
        r->since_wall_ms = last->since_wall_ms;
    }
    entry_compare(e, r);
    adopt_lists(e, r, last);
}

// Silent states have no next action; what they say holds, of the revision that they speak of.
static bool is_settled_for(const struct entry *r, const struct status *last)
{
    bool silent = last->state == STATE_DISABLED || last->state == STATE_GIVEN_UP ||
                  (last->state == STATE_REJECTED && !last->next_at_wall_ms);
    return silent && last->revision == r->revision;
}

bool entry_is_unknown(const struct entry *r, const struct desired *d, struct moment now)
{
    if (!d->last)
        return d->snapshot || d->op == DESIRED_REMOVE;
    return !r->bound && !is_last_word(d->last, now) && !is_settled_for(r, d->last);
}

void entry_assume_bound(struct engine *e, struct entry *r, struct moment now)
{
    struct spec *s = spec_ref(r->want);
    entry_set_bound(e, r, s, entry_local(e, r, s));
    r->bound_revision = r->revision;
    r->assumed = true;
    uint32_t longest = longest_expiry(s), least = pacer_least_expires_s(s->way->target, now.us);
    r->asked_s = longest > least ? longest : least;
    r->granted_s = 0;
    r->expires_ms = 0;
    r->last_bind_ms = ms_of(now);
    r->ever_sent = true;
    entry_compare(e, r);
}
