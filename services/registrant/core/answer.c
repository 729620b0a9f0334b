// What an answer does to its attempt: by the table of outcome.h it is accepted, answered at once, or fails.
#include "services/registrant/core/binding.h"
#include "services/registrant/core/machine.h"
#include "services/registrant/core/outcome.h"
#include "services/registrant/core/schedule.h"

#include "common/sip/uri.h"

#include <errno.h>

#define MAX_CHALLENGES 5 // in one attempt: more is a loop
#define MAX_PARSED     32

static void fail(struct engine *e, struct flight *f, const struct sip_answer *a, struct str reason, bool slow,
                 struct moment now)
{
    const struct failure why = {.answer = a, .reason = reason, .slow = slow, .by_local = reason.n > 0};
    flight_fail(e, f, &why, now);
}

// The registrar refuses credentials that it had asked for just before. A removal is owed, so it is never
// given up.
static void fail_refused(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    bool binds = f->kind == FLIGHT_BIND || f->kind == FLIGHT_REFRESH;
    const struct failure why = {.answer = a,
                                .reason = STR_LIT("the registrar refuses the credentials"),
                                .slow = f->entry->non_stale != NON_STALE_RETRY,
                                .final = f->entry->non_stale == NON_STALE_STOP && binds,
                                .by_local = true};
    flight_fail(e, f, &why, now);
}

// May the attempt go on with another request? Not once the loop stood still, not to bind anew without a
// lease, not for what is no longer wanted. Then it ends without a verdict and is planned again.
static bool may_go_on(struct engine *e, struct flight *f, struct moment now)
{
    const struct shard *s = e->shards[f->entry->shard];
    bool allowed = e->lease != LEASE_STALLED && s->state != SHARD_DRAINING && !f->obsolete;
    if (f->kind != FLIGHT_REFRESH && !(f->kind == FLIGHT_BIND && f->continues))
        allowed = allowed && e->lease == LEASE_FRESH && s->state != SHARD_PARKED;
    if (allowed)
        return true;
    struct entry *r = f->entry;
    f->waits = false; // it was answered: nothing was bound by it
    flight_end(e, f, PACER_ANSWERED, -1, now);
    entry_update(e, r, now);
    return false;
}

// ---- challenges

// A challenge to a nonce of an earlier attempt: learn how old it was (design section 6).
static void learn_nonce_age(struct flight *f, size_t i, struct moment now)
{
    int64_t age = ms_of(now) - f->entry->nonces->items[i].since_ms;
    if (f->entry->attempts) // it may be the credentials
        return;
    if (f->preemptive & 1u << i && age > 0)
        learned_nonce_refused(pacer_learned(f->ticket.target), (uint64_t)age, now.us);
}

static int held_nonce(const struct nonces *n, const struct digest_challenge *c)
{
    for (size_t i = 0; n && i < n->count; i++)
        if (n->items[i].proxy == c->proxy && str_eq(interned_str(n->items[i].realm), c->realm))
            return (int)i;
    return -1;
}

static void keep_nonce(struct engine *e, struct entry *r, const struct digest_challenge *c, uint8_t *fresh,
                       struct moment now)
{
    size_t before = r->nonces ? r->nonces->bytes : 0;
    int at = nonces_put(e->home.texts, &r->nonces, c, 0, ms_of(now));
    e->bytes += (r->nonces ? r->nonces->bytes : 0) - before;
    if (at >= 0)
        *fresh |= (uint8_t)(1u << at);
}

static void on_challenge(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct digest_challenge parsed[MAX_PARSED];
    size_t count = 0;
    for (size_t i = 0; i < a->challenge_count; i++)
        count = digest_parse(a->challenges[i], a->challenge_is_proxy[i], parsed, count, MAX_PARSED);
    count = digest_choose(parsed, count);
    if (!count) {
        fail(e, f, a, STR_LIT("no challenge that can be answered: digest with MD5, SHA-256 or SHA-512-256"),
             true, now);
        return;
    }
    uint8_t fresh = 0;
    size_t usable = 0;
    for (size_t i = 0; i < count; i++) {
        if (!request_has_credential(f, parsed[i].realm))
            continue;
        usable++;
        int held = held_nonce(r->nonces, &parsed[i]);
        if (held >= 0 && f->fresh & 1u << held && !parsed[i].stale) {
            if (r->non_stale == NON_STALE_RETRY)
                keep_nonce(e, r, &parsed[i], &fresh, now);
            fail_refused(e, f, a, now);
            return;
        }
        if (held >= 0)
            learn_nonce_age(f, (size_t)held, now);
        keep_nonce(e, r, &parsed[i], &fresh, now);
    }
    if (!usable) {
        fail(e, f, a, STR_LIT("no credentials for the realm of the challenge"), true, now);
        return;
    }
    if (++f->challenges > MAX_CHALLENGES) {
        fail(e, f, a, STR_LIT("challenged again and again"), false, now);
        return;
    }
    f->fresh = fresh;
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

// ---- redirection and brevity

static bool redirect_uri(const struct flight *f, const struct sip_answer *a, struct str *ret)
{
    for (size_t i = 0; i < a->contact_count; i++) {
        struct sip_addr addr;
        if (sip_addr_parse(a->contacts[i].text, &addr, NULL) != 0)
            continue;
        // Never from sips down to sip (RFC 3261 8.1.3.4 with 26.2.2).
        if ((f->spec->scheme == SCHEME_SIPS && !addr.uri.sips) || addr.uri_text.n > STATUS_MAX_TEXT_BYTES)
            continue;
        *ret = addr.uri_text;
        return true;
    }
    return false;
}

static void on_redirect(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct str uri;
    if (!redirect_uri(f, a, &uri)) {
        fail(e, f, a, STR_NONE, false, now);
        return;
    }
    if (++f->redirects > e->policy.max_redirects) {
        fail(e, f, a, STR_LIT("redirected too often"), false, now);
        return;
    }
    intern_set(e->home.texts, &f->redirect, uri);
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

static void on_too_brief(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    int64_t least = a->min_expires_s > (int64_t)f->asked_s ? a->min_expires_s : (int64_t)f->asked_s;
    if (f->kind == FLIGHT_UNBIND || flight_is_aside(f) || f->lengthened || a->min_expires_s <= 0 ||
        least > (int64_t)e->policy.min_expires_cap_s) {
        fail(e, f, a, STR_NONE, false, now);
        return;
    }
    f->lengthened = true;
    f->entry->floor_s = (uint32_t)least;
    learned_min_expires(pacer_learned(f->ticket.target), (uint32_t)a->min_expires_s, now.us);
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

// ---- acceptance

static void note_nonces(struct engine *e, const struct flight *f, const struct sip_answer *a,
                        struct moment now)
{
    struct entry *r = f->entry;
    size_t before = r->nonces ? r->nonces->bytes : 0;
    for (size_t i = 0; r->nonces && i < r->nonces->count; i++) {
        int64_t age = ms_of(now) - r->nonces->items[i].since_ms;
        if (f->preemptive & 1u << i && age > 0)
            learned_nonce_accepted(pacer_learned(f->ticket.target), (uint64_t)age);
    }
    if (a->nextnonce.n)
        nonces_next(e->home.texts, &r->nonces, a->nextnonce, ms_of(now));
    e->bytes += (r->nonces ? r->nonces->bytes : 0) - before;
    r->cseq_low = false;
}

static void note_acceptance(struct engine *e, const struct flight *f, const struct sip_answer *a,
                            struct moment now)
{
    struct entry *r = f->entry;
    note_nonces(e, f, a, now);
    entry_set_shown(e, r, a);
    r->code = (uint16_t)a->status;
    r->flow = a->flow;
    intern_set(e->home.texts, &r->reason, str_slice(a->reason, 0, STATUS_MAX_TEXT_BYTES));
    r->by_local = false;
    r->retry_after_s = 0;
}

// The registrar's own word that nothing of ours is bound.
static void forget_binding(struct engine *e, struct entry *r)
{
    entry_set_bound(e, r, NULL, STR_NONE);
    entry_set_dropped(e, r, STR_NONE);
    r->asked_s = r->granted_s = 0;
    r->expires_ms = r->last_bind_ms = 0;
    r->differs = SPEC_SAME;
}

// Another identity may be bound too, by an owner that died before it could say so: it is removed as well.
static bool goes_on_with_wanted(struct engine *e, struct flight *f, struct moment now)
{
    struct entry *r = f->entry;
    bool leaving = r->removing || !r->enabled;
    if (!leaving || !r->unsure || !r->want || r->differs != SPEC_IDENTITY)
        return false;
    r->unsure = false;
    entry_set_dropped(e, r, STR_NONE);
    entry_assume_bound(e, r, now);
    entry_reset(r);
    flight_end(e, f, PACER_ANSWERED, -1, now);
    entry_update(e, r, now);
    return true;
}

static void accept_unbind(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct contact_lines ours = {.text = &e->scratch[1]};
    uint32_t shortest;
    contacts_to_drop(e, r, NULL, &ours);
    if (binding_count(ours.items, ours.count, a, 0, &shortest)) {
        fail(e, f, a, STR_LIT("the registrar still holds a contact that was to be removed"), false, now);
        return;
    }
    note_acceptance(e, f, a, now);
    if (goes_on_with_wanted(e, f, now))
        return;
    r->unsure = false;
    r->cleared = r->cleared || r->differs != SPEC_IDENTITY;
    forget_binding(e, r);
    entry_reset(r);
    if (r->removing)
        r->proof = PROOF_ANSWERED;
    else if (r->enabled && r->extra)
        r->extra->flush_emptied = f->flush_wanted;
    flight_end(e, f, PACER_ANSWERED, -1, now);
    if (r->removing || !r->enabled)
        report_mark(e, r);
    entry_update(e, r, now);
}

// Contacts dropped by this request that the answer still lists stay to be dropped.
static void settle_dropped(struct engine *e, struct entry *r, const struct contact_lines *own,
                           const struct sip_answer *a)
{
    struct contact_lines drop = {.text = &e->scratch[2]};
    struct buf *left = &e->scratch[3];
    uint32_t shortest;
    contacts_to_drop(e, r, own, &drop);
    buf_clear(left);
    for (size_t i = 0; i < drop.count; i++) {
        if (!binding_count(&drop.items[i], 1, a, 0, &shortest))
            continue;
        buf_add_str(left, drop.items[i]);
        buf_add_char(left, '\n');
    }
    entry_set_dropped(e, r, buf_str(left));
}

static void bind(struct engine *e, struct flight *f, uint32_t granted_s)
{
    struct entry *r = f->entry;
    if (granted_s > e->policy.granted_cap_s)
        granted_s = e->policy.granted_cap_s;
    observe_grant(f, granted_s);
    entry_set_bound(e, r, spec_ref(f->spec), interned_str(f->local));
    r->bound_revision = f->kind == FLIGHT_REFRESH ? r->bound_revision : f->revision;
    r->last_bind_ms = (int64_t)(f->sent_us / 1000);
    r->asked_s = f->asked_s;
    r->granted_s = granted_s;
    r->expires_ms = r->last_bind_ms + (int64_t)granted_s * 1000;
    uint32_t lifetime = f->spec->force_expire && f->asked_s < granted_s ? f->asked_s : granted_s;
    r->refresh_ms = r->last_bind_ms + (int64_t)schedule_refresh_ms(lifetime, &e->rng);
    r->was_bound = true;
    r->shaken = r->doubted = false;
    r->cleared = true;
    entry_count_need(e, r);
    entry_compare(e, r);
}

static void accept_bind(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct contact_lines own = {.text = &e->scratch[1]};
    uint32_t granted_s = 0;
    contacts_of(f->spec, interned_str(f->local), &own);
    if (!binding_count(own.items, own.count, a, f->asked_s, &granted_s)) {
        if (r->differs != SPEC_ADDRESS || f->kind == FLIGHT_REFRESH)
            forget_binding(e, r);
        fail(e, f, a, STR_LIT("not registered: the answer holds none of our contacts"), false, now);
        return;
    }
    flight_leave_address(e, f);
    if (r->bound)
        settle_dropped(e, r, &own, a);
    r->unsure = false;
    note_acceptance(e, f, a, now);
    if (!f->obsolete)
        entry_reset(r);
    bind(e, f, granted_s);
    flight_act_on_commands(f);
    bool obsolete = f->obsolete;
    flight_end(e, f, PACER_ANSWERED, -1, now);
    if (!obsolete) // else more is sent at once
        report_mark(e, r);
    entry_update(e, r, now);
}

static void on_final(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    const struct outcome_row *row = outcome_of(a->status);
    if (outcome_is_cseq_too_low(a->status, a->reason, a->warning))
        f->entry->cseq_low = true;
    switch (row->outcome) {
    case OUTCOME_ACCEPTED:
        if (f->kind == FLIGHT_UNBIND) {
            accept_unbind(e, f, a, now);
        } else if (flight_is_aside(f)) {
            note_nonces(e, f, a, now);
            flight_end_aside(e, f, a, now);
        } else
            accept_bind(e, f, a, now);
        break;
    case OUTCOME_CHALLENGE:
        on_challenge(e, f, a, now);
        break;
    case OUTCOME_REDIRECT:
        on_redirect(e, f, a, now);
        break;
    case OUTCOME_TOO_BRIEF:
        on_too_brief(e, f, a, now);
        break;
    case OUTCOME_REJECTED:
    case OUTCOME_RETRY:
        fail(e, f, a, STR_NONE, row->delay == DELAY_SLOW, now);
        break;
    }
}

static void note_path(struct engine *e, struct entry *r, const struct flight *f, const struct sip_answer *a,
                      struct moment now)
{
    if (a->local)
        return;
    r->rtt_us = (uint32_t)(now.us - f->sent_us);
    intern_set(e->home.texts, &r->target, str_slice(a->target, 0, STATUS_MAX_TEXT_BYTES));
    intern_set(e->home.texts, &r->local, str_slice(a->local_address, 0, STATUS_MAX_TEXT_BYTES));
}

void engine_answer(struct engine *e, uint64_t token, const struct sip_answer *a, struct moment now)
{
    uint32_t index = (uint32_t)token;
    struct flight *f = index < e->flight_count ? e->flights[index] : NULL;
    if (!f || !f->entry || !f->waits || f->generation != token >> 32 || a->status < 200)
        return;
    wheel_clear(&e->wheel, &f->timer);
    struct entry *r = f->entry;
    struct shard *s = e->shards[r->shard];
    observe_answer(e, f, a, now);
    note_path(e, r, f, a, now);
    if (!a->local)
        pacer_heard(e->home.pacer, &f->ticket, now.us);
    on_final(e, f, a, now);
    shard_check(e, s, now);
    engine_turn(e, now);
}
