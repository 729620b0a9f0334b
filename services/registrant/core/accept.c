// A 2xx: what it binds, removes or tells of bindings. The Contacts in it decide, not the code alone.
#include "services/registrant/core/binding.h"
#include "services/registrant/core/machine.h"
#include "services/registrant/core/schedule.h"

#include "common/sip/uri.h"

#define LIFETIME_SLACK_MS 2000 // an audit's lifetimes are whole seconds, and were some way off

static void fail_told(struct engine *e, struct flight *f, const struct sip_answer *a, struct str reason,
                      struct moment now)
{
    const struct failure why = {.answer = a, .reason = reason, .by_local = true};
    flight_fail(e, f, &why, now);
}

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
        nonces_next(e->home.texts, &r->nonces, a->nextnonce, false, ms_of(now));
    if (a->proxy_nextnonce.n)
        nonces_next(e->home.texts, &r->nonces, a->proxy_nextnonce, true, ms_of(now));
    e->bytes += (r->nonces ? r->nonces->bytes : 0) - before;
    r->cseq_low = false;
}

static void note_cause(struct engine *e, struct entry *r, const struct sip_answer *a, struct str reason)
{
    r->code = (uint16_t)a->status;
    entry_set_heard(e, r, HEARD_REASON, reason);
    r->by_local = false;
    r->retry_after_s = 0;
}

// What the answer lists beside `own`: others' bindings, and what is ours that is to go.
static uint32_t count_foreign(struct engine *e, const struct entry *r, const struct contact_lines *own,
                              const struct sip_answer *a)
{
    struct contact_lines drop = {.text = &e->scratch[2]};
    uint32_t foreign = 0;
    if (a->contact_count > own->count || !own->count)
        contacts_to_drop(e, r, own, &drop);
    for (size_t i = 0; i < a->contact_count; i++)
        foreign += binding_is_bound(a, i) && !binding_is_ours(own->items, own->count, a, i) &&
                   !binding_is_ours(drop.items, drop.count, a, i);
    return foreign;
}

static struct shown_more look_around(struct engine *e, const struct flight *f,
                                     const struct contact_lines *own, const struct sip_answer *a)
{
    struct shown_more more = {.foreign = count_foreign(e, f->entry, own, a)};
    if (f->spec->gruu) {
        more.pub_gruu = binding_quoted(own->items, own->count, a, "pub-gruu");
        more.temp_gruu = binding_quoted(own->items, own->count, a, "temp-gruu");
    }
    return more;
}

// RFC 5626 4.2.1 and 4.4: the flow is kept alive only where the registrar says that it keeps to it.
static void note_flow(struct engine *e, const struct flight *f, const struct sip_answer *a)
{
    struct entry *r = f->entry;
    r->flow = a->flow;
    if (r->shown && r->shown->outbound && e->ops->keep_alive)
        r->flow = e->ops->keep_alive(e->ops_arg, flight_token(f), a->flow_timer_s);
}

static bool is_named(const struct contact_lines *ours, struct str contact)
{
    for (size_t i = 0; i < ours->count; i++)
        if (binding_is_one(ours->items[i], contact, false))
            return true;
    return false;
}

// What is listed of these is not gone before its own end, whatever was asked for since.
static void note_held(struct engine *e, struct entry *r, const struct contact_lines *ours,
                      const struct sip_answer *a, struct moment now)
{
    uint32_t longest_s = binding_longest(ours->items, ours->count, a);
    if (longest_s > e->policy.granted_cap_s)
        longest_s = e->policy.granted_cap_s;
    if (longest_s)
        entry_extra(e, r)->held_until_ms = ms_of(now) + (int64_t)longest_s * 1000;
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

// None of what was looked for is listed. What else of ours is stays known: it is still to be removed.
static void note_missing(struct engine *e, struct entry *r, const struct sip_answer *a, struct moment now)
{
    struct contact_lines all = {.text = &e->scratch[2]}, bound = {.text = &e->scratch[3]};
    uint32_t shortest;
    contacts_to_drop(e, r, NULL, &all);
    if (!binding_count(all.items, all.count, a, 1, &shortest)) {
        forget_binding(e, r);
        return;
    }
    note_held(e, r, &all, a, now);
    contacts_of(r->bound, interned_str(r->bound_local), &bound);
    if (binding_count(bound.items, bound.count, a, 1, &shortest))
        return;
    entry_uncount_need(e, r);
    r->expires_ms = 0;
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

// What the registrar lists as ours under another URI than we named (a NAT's, of an owner that died) is named
// as listed at the next try. keep: stays, with whatever could be it.
static void add_listed(const struct contact_lines *ours, const struct contact_lines *keep,
                       const struct sip_answer *a, struct buf *lines)
{
    for (size_t i = 0; i < a->contact_count && lines->n < SHOWN_MAX_BYTES; i++) {
        struct str listed = a->contacts[i].text;
        if (!binding_is_bound(a, i) || !binding_is_ours(ours->items, ours->count, a, i) ||
            binding_is_ours(keep->items, keep->count, a, i) || is_named(ours, listed) ||
            !sip_text_is_safe(listed) || listed.n > STATUS_MAX_TEXT_BYTES)
            continue;
        spec_key_text(listed, lines);
        buf_add_char(lines, '\n');
    }
}

static void drop_listed(struct engine *e, struct entry *r, const struct contact_lines *ours,
                        const struct sip_answer *a)
{
    static const struct contact_lines none;
    struct buf *lines = &e->scratch[2];
    buf_clear(lines);
    buf_add_cstr(lines, r->extra && r->extra->dropped ? r->extra->dropped : "");
    add_listed(ours, &none, a, lines);
    entry_set_dropped(e, r, buf_str(lines));
}

static void accept_unbind(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct contact_lines ours = {.text = &e->scratch[1]};
    uint32_t shortest;
    contacts_to_drop(e, r, NULL, &ours);
    if (binding_count(ours.items, ours.count, a, 0, &shortest)) {
        drop_listed(e, r, &ours, a);
        note_held(e, r, &ours, a, now);
        fail_told(e, f, a, STR_LIT("the registrar still holds a contact that was to be removed"), now);
        return;
    }
    const struct shown_more more = look_around(e, f, &(struct contact_lines){.count = 0}, a);
    note_nonces(e, f, a, now);
    entry_set_shown(e, r, a, &more);
    note_cause(e, r, a, a->reason);
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

// Is what was to go still bound? What could be either is the one that was bound.
static bool is_listed(struct str contact, const struct contact_lines *own, const struct sip_answer *a)
{
    for (size_t i = 0; i < a->contact_count; i++)
        if (binding_is_bound(a, i) &&
            (binding_is_one(contact, a->contacts[i].text, false) ||
             (binding_is_ours(&contact, 1, a, i) && !binding_is_ours(own->items, own->count, a, i))))
            return true;
    return false;
}

// A plain refresh: what is bound is what was sent.
static bool drops_nothing(const struct entry *r, const struct flight *f)
{
    return r->bound == f->spec && r->bound_local == f->local && !r->unsure &&
           !(r->extra && r->extra->dropped);
}

// Contacts dropped by this request that the answer still lists stay to be dropped.
static void settle_dropped(struct engine *e, const struct flight *f, const struct contact_lines *own,
                           const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct contact_lines drop = {.text = &e->scratch[2]};
    struct buf *left = &e->scratch[3];
    if (drops_nothing(r, f))
        return;
    contacts_to_drop(e, r, own, &drop);
    buf_clear(left);
    for (size_t i = 0; i < drop.count; i++) {
        if (!is_listed(drop.items[i], own, a))
            continue;
        buf_add_str(left, drop.items[i]);
        buf_add_char(left, '\n');
    }
    add_listed(&drop, own, a, left);
    entry_set_dropped(e, r, buf_str(left));
    if (left->n)
        note_held(e, r, &drop, a, now);
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
    r->seen_elsewhere = r->seen_elsewhere && r->differs != SPEC_SAME;
}

static void accept_bind(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct contact_lines own = {.text = &e->scratch[1]};
    uint32_t granted_s = 0;
    contacts_of(f->spec, interned_str(f->local), &own);
    if (!binding_count(own.items, own.count, a, f->asked_s, &granted_s)) {
        if (r->differs != SPEC_ADDRESS || f->kind == FLIGHT_REFRESH)
            note_missing(e, r, a, now);
        fail_told(e, f, a, STR_LIT("not registered: the answer holds none of our contacts"), now);
        return;
    }
    flight_leave_address(e, f);
    if (r->extra)
        r->extra->held_until_ms = 0;
    if (r->bound)
        settle_dropped(e, f, &own, a, now);
    r->unsure = false;
    struct shown_more more = look_around(e, f, &own, a);
    more.outbound = a->outbound && request_is_outbound(f);
    more.flow_timer_s = more.outbound ? a->flow_timer_s : 0;
    note_nonces(e, f, a, now);
    note_cause(e, r, a, a->reason);
    if (!f->obsolete)
        entry_reset(r);
    r->as_sent = false; // what was listed before is replaced
    bind(e, f, granted_s);
    entry_set_shown(e, r, a, &more);
    note_flow(e, f, a);
    flight_act_on_commands(f);
    bool obsolete = f->obsolete;
    flight_end(e, f, PACER_ANSWERED, -1, now);
    entry_update(e, r, now);
    if (!obsolete && !(r->seen_elsewhere && pacer_waits(&r->item))) // else more is sent at once
        report_mark(e, r);
}

// ---- audits

// What the registrar says is left of our binding, where that is not what we reckon.
static void follow_lifetime(struct engine *e, const struct flight *f, uint32_t left_s)
{
    struct entry *r = f->entry;
    int64_t sent_ms = (int64_t)(f->sent_us / 1000);
    if (left_s > e->policy.granted_cap_s)
        left_s = e->policy.granted_cap_s;
    int64_t ends_ms = sent_ms + (int64_t)left_s * 1000, drift_ms = ends_ms - r->expires_ms;
    if (drift_ms >= -LIFETIME_SLACK_MS && drift_ms <= LIFETIME_SLACK_MS)
        return;
    int64_t refresh_ms = sent_ms + (int64_t)schedule_refresh_ms(left_s, &e->rng);
    r->expires_ms = ends_ms;
    if (drift_ms < 0 || !r->bound->force_expire)
        r->refresh_ms = refresh_ms;
}

// A binding that we thought alive: gone, or bound in part, or for another time.
static void judge_binding(struct engine *e, const struct flight *f, const struct contact_lines *own,
                          const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    uint32_t left_s = (uint32_t)((r->expires_ms - ms_of(now)) / 1000 + 1);
    size_t found = binding_count(own->items, own->count, a, left_s, &left_s);
    if (!found) {
        note_missing(e, r, a, now);
        note_cause(e, r, a, STR_LIT("the registrar no longer held the binding"));
        return;
    }
    follow_lifetime(e, f, left_s);
    if (found < own->count)
        r->refresh_ms = ms_of(now);
}

// What we did not know of: it is to be removed when the registration goes.
static void note_found(struct engine *e, const struct flight *f, const struct contact_lines *own,
                       const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    uint32_t left_s = 0;
    if (f->obsolete || !binding_count(own->items, own->count, a, r->want->expires_s, &left_s))
        return;
    entry_assume_bound(e, r, now);
    note_held(e, r, own, a, now);
}

static void accept_fetch(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct extra *x = entry_extra(e, r);
    struct contact_lines own = {.text = &e->scratch[1]};
    contacts_of(f->spec, interned_str(f->local), &own);
    struct shown_more more = look_around(e, f, &own, a);
    more.audited = true;
    more.outbound = r->shown && r->shown->outbound;
    more.flow_timer_s = r->shown ? r->shown->flow_timer_s : 0;
    note_nonces(e, f, a, now);
    entry_set_shown(e, r, a, &more);
    if (!r->attempts)
        note_cause(e, r, a, a->reason);
    if (machine_is_live(r, ms_of(now)))
        judge_binding(e, f, &own, a, now);
    else if (r->bound)
        note_held(e, r, &own, a, now);
    else
        note_found(e, f, &own, a, now);
    x->audit_acted = f->audit_wanted;
    x->audited_wall_ms = now.wall_ms;
    flight_end(e, f, PACER_ANSWERED, -1, now);
    report_mark(e, r);
    entry_update(e, r, now);
}

void flight_accept(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    switch ((enum flight_kind)f->kind) {
    case FLIGHT_BIND:
    case FLIGHT_REFRESH:
        accept_bind(e, f, a, now);
        break;
    case FLIGHT_UNBIND:
        accept_unbind(e, f, a, now);
        break;
    case FLIGHT_FETCH:
        accept_fetch(e, f, a, now);
        break;
    case FLIGHT_CLEAR:
    case FLIGHT_LEAVE:
        note_nonces(e, f, a, now);
        flight_end_aside(e, f, a, now);
        break;
    }
}
