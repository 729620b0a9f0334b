// Attempts: from the first REGISTER to a verdict. Holds the slots of what is in flight; a token names slot
// and generation, so that an answer to an earlier request finds nobody (registrants.md: late answers).
#include "services/registrant/core/machine.h"

#include "common/base/mem.h"
#include "services/registrant/core/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SUSPECT_AFTER_US UINT64_C(4000000)
#define LOST_AFTER_S     8 // beyond the transaction's time-out: its end was never told

struct flight *flight_of(const struct engine *e, const struct entry *r)
{
    return r->flight ? e->flights[r->flight - 1] : NULL;
}

static struct flight *take_slot(struct engine *e)
{
    if (e->free_flight_count)
        return e->flights[e->free_flights[--e->free_flight_count]];
    size_t count = e->flight_count + 1;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
    e->flights = mem_resize(e->flights, count, sizeof(*e->flights));
    e->free_flights = mem_resize(e->free_flights, count, sizeof(*e->free_flights));
    struct flight *f = mem_alloc(sizeof(*f));
    f->index = (uint32_t)e->flight_count;
    e->flights[e->flight_count++] = f;
    return f;
}

bool flight_is_aside(const struct flight *f)
{
    return f->kind == FLIGHT_CLEAR || f->kind == FLIGHT_LEAVE || f->kind == FLIGHT_FETCH;
}

static void set_what_is_sent(struct engine *e, struct flight *f)
{
    struct entry *r = f->entry;
    struct str local = STR_NONE; // NOLINT(clang-analyzer-deadcode.DeadStores): gcc wants it
    switch ((enum flight_kind)f->kind) {
    case FLIGHT_BIND:
    case FLIGHT_CLEAR:
        f->spec = spec_ref(r->want);
        local = entry_local(e, r, r->want);
        break;
    case FLIGHT_FETCH:
        f->spec = spec_ref(r->bound ? r->bound : r->want);
        local = r->bound ? interned_str(r->bound_local) : entry_local(e, r, r->want);
        break;
    case FLIGHT_REFRESH:
    case FLIGHT_UNBIND:
        f->spec = spec_ref(r->bound);
        local = interned_str(r->bound_local);
        break;
    case FLIGHT_LEAVE:
        f->spec = spec_ref(r->extra->left);
        local = interned_str(r->extra->left_local);
        break;
    }
    intern_set(e->home.texts, &f->local, local);
}

void flight_begin(struct engine *e, struct entry *r, enum flight_kind kind, bool staggered, struct moment now)
{
    struct flight *f = take_slot(e);
    uint32_t index = f->index, generation = f->generation;
    *f = (struct flight){.index = index, .generation = generation, .entry = r, .kind = (uint8_t)kind};
    f->timer.kind = TIMER_FLIGHT;
    set_what_is_sent(e, f);
    f->revision = r->revision;
    f->continues = kind == FLIGHT_BIND && r->bound && r->differs == SPEC_SAME && r->expires_ms > ms_of(now);
    f->shaken = r->shaken;
    f->follows = r->seen_elsewhere;
    r->seen_elsewhere = false;
    if (r->extra) {
        f->refresh_wanted = r->extra->refresh_wanted;
        f->flush_wanted = r->extra->flush_wanted;
        f->audit_wanted = r->extra->audit_wanted;
    }
    r->flight = index + 1;
    e->shards[r->shard]->flights++;
    e->stats.in_flight++;
    pacer_sent(e->home.pacer, f->spec->way->target, &r->item, r->id, &f->ticket, now.us);
    // What it taught others holds from the start; a refresh, of which perhaps nobody hears, asks for no more
    // than was asked before, and for no less.
    uint32_t least = pacer_least_expires_s(f->spec->way->target, now.us);
    if (kind == FLIGHT_REFRESH && least > r->asked_s)
        least = r->asked_s;
    f->least_s = r->floor_s > least ? r->floor_s : least;
    if (staggered)
        pacer_stagger(e->home.pacer, f->spec->way->target, now.us);
    flight_send(e, f, false, now);
}

// No later try will find another answer.
static bool is_hopeless(const struct flight *f)
{
    return f->spec->transport == TRANSPORT_WS;
}

void flight_send(struct engine *e, struct flight *f, bool again, struct moment now)
{
    struct entry *r = f->entry;
    struct error err = {0};
    if (again)
        pacer_sent_again(e->home.pacer, &f->ticket, now.us);
    if (f->spec->has_local && !f->local && (f->kind == FLIGHT_BIND || f->kind == FLIGHT_CLEAR)) {
        char text[REQUEST_MAX_REASON];
        const struct failure why = {
            .reason = request_no_interface(f, text), .slow = is_hopeless(f), .by_local = true};
        flight_fail(e, f, &why, now);
        return;
    }
    f->generation++;
    f->sent_us = now.us;
    r->keyless = false;
    int rc = request_send(e, f, now, &err);
    if (rc) {
        const struct failure why = {.reason = str_of(err.text), .slow = is_hopeless(f), .by_local = true};
        r->keyless = rc == -ENOKEY;
        flight_fail(e, f, &why, now);
        return;
    }
    e->stats.requests++;
    f->requests += f->requests < UINT8_MAX;
    f->suspected = false;
    r->ever_sent = true;
    if (f->kind == FLIGHT_UNBIND) {
        r->shaken = true;
        r->removal_sent = r->removal_sent || r->removing;
    }
    f->waits = true;
    wheel_set(&e->wheel, &f->timer, now.us + SUSPECT_AFTER_US);
}

void flight_end(struct engine *e, struct flight *f, enum pacer_result result, int64_t retry_after_s,
                struct moment now)
{
    struct entry *r = f->entry;
    wheel_clear(&e->wheel, &f->timer);
    r->flight = 0;
    e->shards[r->shard]->flights--;
    e->stats.in_flight--;
    if (result == PACER_DROPPED && f->waits && e->ops->forget)
        e->ops->forget(e->ops_arg, flight_token(f));
    if (result == PACER_ANSWERED && f->requests && (f->continues || f->kind == FLIGHT_REFRESH))
        pacer_refresh_took(f->ticket.target, f->requests);
    pacer_done(e->home.pacer, &f->ticket, result, retry_after_s, now.us);
    spec_put(&e->home, &f->spec);
    intern_put(e->home.texts, &f->local);
    intern_put(e->home.texts, &f->redirect);
    intern_put(e->home.texts, &f->others);
    intern_put(e->home.texts, &f->asked);
    f->entry = NULL;
    f->waits = false;
    f->generation++;
    e->free_flights[e->free_flight_count++] = f->index;
}

// Many registrars know no host of an AoR: to them both are one, and a Contact that both have must stay. Where
// no other is left, the old binding lapses.
void flight_leave_address(struct engine *e, struct flight *f)
{
    struct entry *r = f->entry;
    if (f->kind != FLIGHT_BIND || !r->bound || r->differs != SPEC_ADDRESS)
        return;
    struct contact_lines ours = {.text = &e->scratch[2]}, others = {.text = &e->scratch[3]};
    contacts_of(f->spec, interned_str(f->local), &ours);
    contacts_to_drop(e, r, &ours, &others);
    if (others.count)
        entry_set_left(e, r, spec_ref(r->bound), interned_str(r->bound_local));
    entry_set_dropped(e, r, STR_NONE); // they lapse
    entry_set_bound(e, r, NULL, STR_NONE);
    r->granted_s = 0; // what was granted is the old one's
    r->expires_ms = 0;
    r->differs = SPEC_SAME;
}

void flight_may_have_bound(struct engine *e, struct flight *f)
{
    struct entry *r = f->entry;
    if (!f->waits || f->kind == FLIGHT_UNBIND || flight_is_aside(f))
        return;
    flight_leave_address(e, f);
    struct buf *lines = &e->scratch[0];
    struct contact_lines ours = {.text = &e->scratch[1]}, drop = {.text = &e->scratch[2]};
    contacts_of(f->spec, interned_str(f->local), &ours);
    contacts_to_drop(e, r, &ours, &drop);
    buf_clear(lines);
    for (size_t i = 0; i < drop.count; i++) {
        buf_add_str(lines, drop.items[i]);
        buf_add_char(lines, '\n');
    }
    int64_t lapse_ms = r->bound ? machine_lapse_ms(r) : 0;
    bool assumed = r->assumed;
    entry_set_dropped(e, r, buf_str(lines));
    entry_set_bound(e, r, spec_ref(f->spec), interned_str(f->local));
    r->assumed = assumed;
    r->bound_revision = f->revision;
    r->last_bind_ms = (int64_t)(f->sent_us / 1000);
    // An earlier request may have asked for more: what it may have bound lapses no sooner for this one.
    int64_t left_s = (lapse_ms - LAPSE_MARGIN_MS - r->last_bind_ms + 999) / 1000;
    r->asked_s = left_s > (int64_t)f->asked_s ? (uint32_t)left_s : f->asked_s;
    entry_count_need(e, r);
    entry_compare(e, r);
}

void flight_abandon(struct engine *e, struct flight *f, struct moment now)
{
    flight_may_have_bound(e, f);
    flight_end(e, f, PACER_DROPPED, -1, now);
}

// Commands were acted on by an attempt, whatever came of it.
void flight_act_on_commands(struct flight *f)
{
    struct entry *r = f->entry;
    struct extra *x = r->extra;
    if (!x || flight_is_aside(f))
        return;
    if (f->kind == FLIGHT_UNBIND) {
        if (!r->removing && r->enabled)
            x->flush_emptied = f->flush_wanted;
        return;
    }
    x->refresh_acted = f->refresh_wanted;
    if (x->flush_emptied >= f->flush_wanted)
        x->flush_acted = f->flush_wanted;
}

// By our own shape, or by RFC 5626's where it is asked for: which other flows live is known to nobody (they
// may be of another registrant), so the base is that of "all have failed".
static uint64_t backoff_ms(struct engine *e, const struct flight *f)
{
    const struct entry *r = f->entry;
    uint32_t cap_s = e->policy.backoff_cap_s;
    if (request_is_outbound(f))
        return schedule_backoff_ms(RETRY_GROWING, FLOW_BASE_S, r->attempts, cap_s, &e->rng);
    return schedule_backoff_ms(r->retry_fixed ? RETRY_FIXED : RETRY_GROWING, r->retry_delay_s, r->attempts,
                               cap_s, &e->rng);
}

static enum pacer_result result_of(const struct sip_answer *a)
{
    if (!a)
        return PACER_DROPPED;
    if (a->local)
        return answer_is_unsent(a) ? PACER_DROPPED : PACER_SILENT;
    return a->status == 503 ? PACER_UNAVAILABLE : PACER_ANSWERED;
}

static void set_cause(struct engine *e, struct entry *r, const struct failure *why)
{
    const struct sip_answer *a = why->answer;
    r->code = a ? (uint16_t)a->status : 0;
    struct str reason = why->reason.n || !a ? why->reason : a->reason;
    entry_set_heard(e, r, HEARD_REASON, reason);
    r->by_local = why->by_local || (a && a->local);
    entry_set_warning(e, r, a ? a->warning : STR_NONE);
    bool asks = a && a->retry_after_s > 0;
    r->retry_after_s = !asks ? 0 : a->retry_after_s > UINT32_MAX ? UINT32_MAX : (uint32_t)a->retry_after_s;
}

// Nothing comes of it but its cause, which tells itself apart from that of a registration that failed.
static void set_audit_failed(struct engine *e, struct entry *r, const struct failure *why)
{
    char text[STATUS_MAX_TEXT_BYTES];
    struct str reason = why->reason.n || !why->answer ? why->reason : why->answer->reason;
    (void)snprintf(text, sizeof(text), "the audit failed: %.*s", (int)reason.n, reason.p ? reason.p : "");
    struct failure told = *why;
    told.reason = str_of(text);
    told.by_local = why->by_local || (why->answer && why->answer->local);
    set_cause(e, r, &told);
}

static bool was_commanded_since(const struct flight *f)
{
    const struct extra *x = f->entry->extra;
    return x && (x->refresh_wanted > f->refresh_wanted || x->flush_wanted > f->flush_wanted);
}

void flight_fail(struct engine *e, struct flight *f, const struct failure *why, struct moment now)
{
    struct entry *r = f->entry;
    const struct sip_answer *a = why->answer;
    if (f->kind == FLIGHT_FETCH)
        set_audit_failed(e, f->entry, why);
    if (flight_is_aside(f)) {
        flight_end_aside(e, f, a, now);
        return;
    }
    if (a && a->local && !answer_is_unsent(a))
        flight_may_have_bound(e, f);
    if (f->obsolete) { // of a revision that is no longer wanted: the new one starts at once
        flight_end(e, f, result_of(a), a ? a->retry_after_s : -1, now);
        entry_update(e, r, now);
        return;
    }
    set_cause(e, r, why);
    flight_act_on_commands(f);
    r->attempts++;
    r->doubted = true;
    uint64_t wait = why->slow ? schedule_slow_ms(e->policy.rejected_retry_s, &e->rng) : backoff_ms(e, f);
    int64_t asked = a ? a->retry_after_s : -1;
    r->retry_ms = ms_of(now) + (int64_t)schedule_lengthen_ms(wait, asked, e->policy.retry_after_cap_s);
    if (why->final)
        r->retry_ms = NEVER_MS;
    r->rejected = why->slow || why->final;
    bool leaving = r->removing || !r->enabled;
    if (!leaving && r->max_attempts && r->attempts >= r->max_attempts)
        r->given_up = true;
    if (was_commanded_since(f)) // while it was under way: what a command does to a wait, it does to this one
        entry_reset(r);
    flight_end(e, f, result_of(a), asked, now);
    report_mark(e, r);
    entry_update(e, r, now);
}

// One removal was tried: what it left lapses by itself.
void flight_end_aside(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    bool clear = f->kind == FLIGHT_CLEAR;
    if (clear)
        r->cleared = r->cleared || !f->obsolete;
    else if (f->kind == FLIGHT_LEAVE)
        entry_set_left(e, r, NULL, STR_NONE);
    else
        r->extra->audit_acted = f->audit_wanted;
    flight_end(e, f, result_of(a), a ? a->retry_after_s : -1, now);
    if (!clear) // of a LEAVE too: the last report promised no next action
        report_mark(e, r);
    entry_update(e, r, now);
}

void flight_timer(struct engine *e, struct flight *f, struct moment now)
{
    uint64_t lost_us = f->sent_us + ((uint64_t)e->policy.transaction_timeout_s + LOST_AFTER_S) * 1000000;
    if (!f->suspected || now.us < lost_us) {
        if (!f->suspected)
            pacer_unanswered(e->home.pacer, &f->ticket);
        f->suspected = true;
        wheel_set(&e->wheel, &f->timer, lost_us);
        return;
    }
    const struct sip_answer lost = {.status = 408,
                                    .reason = STR_LIT("Request Timeout"),
                                    .local = true,
                                    .retry_after_s = -1,
                                    .min_expires_s = -1,
                                    .expires_s = -1};
    engine_answer(e, flight_token(f), &lost, now);
}
