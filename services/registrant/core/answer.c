// What an answer does to its attempt: by the table of outcome.h it is accepted (accept.c), answered at once,
// or fails.
#include "services/registrant/core/machine.h"
#include "services/registrant/core/outcome.h"
#include "services/registrant/core/redirect.h"

#include "common/sip/uri.h"

#include <errno.h>

#define MAX_CHALLENGES 5 // in one attempt: more is a loop
#define MAX_TARGETS    5 // gone on to in one attempt
#define MAX_PARSED     32
#define MAX_RECEIVED   64 // bytes of a host and its port

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

// The registrar refuses, for a reason that we can put better than its answer does.
static void fail_told(struct engine *e, struct flight *f, const struct sip_answer *a, const char *reason,
                      bool slow, struct moment now)
{
    const struct failure why = {.answer = a, .reason = str_of(reason), .slow = slow};
    flight_fail(e, f, &why, now);
}

static bool may_bind_anew(const struct engine *e, const struct flight *f)
{
    const struct shard *s = e->shards[f->entry->shard];
    return e->lease == LEASE_FRESH && s->state != SHARD_PARKED && !s->lost;
}

// May the attempt go on with another request? Not once the loop stood still, not to bind anew without a
// lease, not for what is no longer wanted.
static bool is_allowed(const struct engine *e, const struct flight *f)
{
    const struct shard *s = e->shards[f->entry->shard];
    bool allowed = e->lease != LEASE_STALLED && s->state != SHARD_DRAINING && !f->obsolete;
    bool harmless =
        f->kind == FLIGHT_REFRESH || f->kind == FLIGHT_FETCH || (f->kind == FLIGHT_BIND && f->continues);
    return allowed && (harmless || may_bind_anew(e, f));
}

// Else it ends without a verdict and is planned again.
static bool may_go_on(struct engine *e, struct flight *f, struct moment now)
{
    if (is_allowed(e, f))
        return true;
    struct entry *r = f->entry;
    f->waits = false; // it was answered: nothing was bound by it
    flight_end(e, f, PACER_ANSWERED, -1, now);
    entry_update(e, r, now);
    return false;
}

// ---- challenges

// A challenge to a nonce of an earlier attempt: learn how old it was.
static void learn_nonce_age(struct flight *f, size_t i, struct moment now)
{
    int64_t age = ms_of(now) - f->entry->nonces->items[i].since_ms;
    if (f->entry->attempts || f->targets || f->redirects) // it may be the credentials, or another registrar
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

static bool can_answer(const struct digest_challenge *c, void *arg)
{
    return request_can_answer(arg, c);
}

// The challenges that are to be answered; 0, and the attempt has failed, when there are none.
static size_t choose_challenges(struct engine *e, struct flight *f, const struct sip_answer *a,
                                struct digest_challenge *ret, struct moment now)
{
    size_t count = 0;
    for (size_t i = 0; i < a->challenge_count; i++)
        count = digest_parse(a->challenges[i], a->challenge_is_proxy[i], ret, count, MAX_PARSED);
    count = digest_drop_unknown(ret, count);
    bool named = !count;
    for (size_t i = 0; !named && i < count; i++)
        named = request_names_realm(f, ret[i].realm);
    count = digest_choose(ret, count, can_answer, f);
    if (count)
        return count;
    fail(e, f, a,
         named ? STR_LIT("no challenge that can be answered: digest with MD5, SHA-256 or SHA-512-256")
               : STR_LIT("no credentials for the realm of the challenge"),
         true, now);
    return 0;
}

static void on_challenge(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct entry *r = f->entry;
    struct digest_challenge chosen[MAX_PARSED];
    size_t count = choose_challenges(e, f, a, chosen, now);
    uint8_t fresh = 0;
    for (size_t i = 0; i < count; i++) {
        int held = held_nonce(r->nonces, &chosen[i]);
        if (held >= 0 && f->fresh & 1u << held && !chosen[i].stale) {
            if (r->non_stale == NON_STALE_RETRY)
                keep_nonce(e, r, &chosen[i], &fresh, now);
            fail_refused(e, f, a, now);
            return;
        }
        if (held >= 0)
            learn_nonce_age(f, (size_t)held, now);
        keep_nonce(e, r, &chosen[i], &fresh, now);
    }
    if (!count)
        return;
    if (++f->challenges > MAX_CHALLENGES) {
        fail(e, f, a, STR_LIT("challenged again and again"), false, now);
        return;
    }
    f->fresh = fresh;
    if (!may_go_on(e, f, now))
        return;
    // Nothing was bound by it: what it told of our address holds for the next already. Without a lease
    // another address would be a binding anew.
    if ((f->kind == FLIGHT_BIND || f->kind == FLIGHT_CLEAR) && may_bind_anew(e, f))
        intern_set(e->home.texts, &f->local, entry_local(e, r, f->spec));
    flight_send(e, f, true, now);
}

// ---- redirection, extensions, brevity, other targets

// The Request-URIs of this attempt, each ended by a line feed; in scratch[2].
static struct str asked_before(struct engine *e, const struct flight *f)
{
    struct buf *asked = &e->scratch[2];
    buf_clear(asked);
    buf_add_str(asked, interned_str(f->asked));
    if (!f->asked) {
        spec_request_uri(f->spec, asked);
        buf_add_char(asked, '\n');
    }
    return buf_str(asked);
}

// Sends to the first of `uris` and keeps the others for the case that it fails; false: there is none.
static bool go_on_to(struct engine *e, struct flight *f, struct str uris)
{
    struct str first, asked = asked_before(e, f);
    do {
        if (!str_split(&uris, '\n', &first) || !first.n)
            return false;
    } while (redirect_was_asked(asked, first));
    buf_add_str(&e->scratch[2], first);
    buf_add_char(&e->scratch[2], '\n');
    intern_set(e->home.texts, &f->asked, buf_str(&e->scratch[2]));
    intern_set(e->home.texts, &f->redirect, first);
    intern_set(e->home.texts, &f->others, uris);
    f->redirects++;
    f->fresh = 0; // this one has challenged nobody yet
    return true;
}

static void on_redirect(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct buf *uris = &e->scratch[1];
    redirect_list(a, f->spec->scheme == SCHEME_SIPS, asked_before(e, f), uris);
    buf_add_str(uris, interned_str(f->others)); // an earlier one's are not taken back
    if (uris->n && f->redirects == e->policy.max_redirects) {
        fail(e, f, a, STR_LIT("redirected too often"), false, now);
        return;
    }
    if (!go_on_to(e, f, buf_str(uris))) {
        fail(e, f, a, STR_NONE, false, now);
        return;
    }
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

// Something failed that is no matter of this one request: another host is asked in its place.
static void ask_another(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    if (a->local && !answer_is_unsent(a) && !flight_is_aside(f)) {
        flight_may_have_bound(e, f);
        f->entry->doubted = true;
    }
    flight_send(e, f, true, now);
}

// The next Contact of a redirection, where one failed (RFC 3261 8.1.3.4).
static bool has_next_contact(struct engine *e, struct flight *f)
{
    struct buf *uris = &e->scratch[1];
    if (!f->others || f->redirects >= e->policy.max_redirects || !is_allowed(e, f))
        return false;
    buf_clear(uris);
    buf_add_str(uris, interned_str(f->others));
    return go_on_to(e, f, buf_str(uris));
}

static void fail_or_next(struct engine *e, struct flight *f, const struct sip_answer *a,
                         const struct outcome_row *row, struct moment now)
{
    if (has_next_contact(e, f))
        ask_another(e, f, a, now);
    else
        fail_told(e, f, a, row->reason, row->delay == DELAY_SLOW, now);
}

// The next target of the same registrar, where there is one that is not set aside (RFC 3263 4.3).
static void on_next_target(struct engine *e, struct flight *f, const struct sip_answer *a,
                           const struct outcome_row *row, struct moment now)
{
    if (!a->another_target || f->targets == MAX_TARGETS || !is_allowed(e, f)) {
        fail_or_next(e, f, a, row, now);
        return;
    }
    f->targets++;
    f->fresh = 0;
    ask_another(e, f, a, now);
}

static bool names_option(struct str list, const char *tag)
{
    struct str one;
    while (str_split(&list, ',', &one))
        if (str_ieq_cstr(str_trim(one), tag))
            return true;
    return false;
}

// Nothing but gin is required of it, but some refuse what is only supported. Outbound and gin go with path
// alone (RFC 5626 4.2.1, RFC 6140 5.1).
static void on_bad_extension(struct engine *e, struct flight *f, const struct sip_answer *a,
                             struct moment now)
{
    struct entry *r = f->entry;
    if (f->spec->bulk && names_option(a->unsupported, "gin")) {
        fail_told(e, f, a, "registrar has no GIN", true, now);
        return;
    }
    bool no_path = names_option(a->unsupported, "path");
    bool outbound = request_is_outbound(f) && (no_path || names_option(a->unsupported, "outbound"));
    bool path = !r->no_path && no_path;
    bool gruu = !r->no_gruu && names_option(a->unsupported, "gruu");
    if ((!outbound && !path && !gruu) || (no_path && f->spec->bulk)) {
        fail(e, f, a, STR_NONE, true, now);
        return;
    }
    r->no_outbound = r->no_outbound || outbound;
    r->no_path = r->no_path || path;
    r->no_gruu = r->no_gruu || gruu;
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

static void on_no_outbound(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    if (!request_is_outbound(f)) {
        fail(e, f, a, STR_NONE, false, now);
        return;
    }
    f->entry->no_outbound = true;
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

static void on_too_brief(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    if (f->kind == FLIGHT_UNBIND || flight_is_aside(f) || f->lengthened || a->min_expires_s <= 0 ||
        a->min_expires_s > (int64_t)e->policy.min_expires_cap_s) {
        fail(e, f, a, STR_NONE, false, now);
        return;
    }
    f->lengthened = true;
    if (f->least_s < (uint32_t)a->min_expires_s)
        f->least_s = f->entry->floor_s = (uint32_t)a->min_expires_s;
    learned_min_expires(pacer_learned(f->ticket.target), (uint32_t)a->min_expires_s, now.us);
    if (may_go_on(e, f, now))
        flight_send(e, f, true, now);
}

static void on_final(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now)
{
    const struct outcome_row *row = outcome_of(a->status, a->local);
    if (outcome_is_cseq_too_low(a->status, a->reason, a->warning))
        f->entry->cseq_low = true;
    switch (row->outcome) {
    case OUTCOME_ACCEPTED:
        flight_accept(e, f, a, now);
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
    case OUTCOME_NEXT_TARGET:
        on_next_target(e, f, a, row, now);
        break;
    case OUTCOME_BAD_EXTENSION:
        on_bad_extension(e, f, a, now);
        break;
    case OUTCOME_NO_OUTBOUND:
        on_no_outbound(e, f, a, now);
        break;
    case OUTCOME_REJECTED:
    case OUTCOME_RETRY:
        fail_or_next(e, f, a, row, now);
        break;
    }
}

// Where the registrar sees us (RFC 3581). One change is followed by one REGISTER: through a NAT that gives
// every request another port they would never end.
static void note_received(struct engine *e, const struct flight *f, const struct sip_answer *a)
{
    struct entry *r = f->entry;
    struct sip_uri seen;
    if (f->follows || a->received.n > MAX_RECEIVED || str_eq(entry_heard(r, HEARD_RECEIVED), a->received) ||
        (a->received.n && sip_hostport_parse(a->received, &seen, NULL) != 0))
        return;
    entry_set_heard(e, r, HEARD_RECEIVED, a->received);
    if (e->policy.nat_contact && f->spec->has_local && !f->spec->local_identity)
        r->seen_elsewhere = true;
}

// It left from another family than {local} was taken for. One change is followed by one REGISTER here, too.
static bool has_other_family(const struct flight *f, struct str left_from)
{
    struct str local = interned_str(f->local);
    return local.n && !f->follows && !f->spec->local_identity &&
           str_has_char(left_from, '[') != str_has_char(local, '[');
}

static void note_path(struct engine *e, struct entry *r, const struct flight *f, const struct sip_answer *a,
                      struct moment now)
{
    if (a->target.n)
        entry_set_heard(e, r, HEARD_TARGET, a->target);
    if (a->local_address.n) {
        entry_set_heard(e, r, HEARD_LOCAL, a->local_address);
        r->seen_elsewhere = r->seen_elsewhere || has_other_family(f, a->local_address);
    }
    if (a->local)
        return;
    r->rtt_us = (uint32_t)(now.us - f->sent_us);
    note_received(e, f, a);
}

// A removal that the registrar refused, or challenged, removed nothing.
static void note_unbind(struct flight *f, const struct sip_answer *a)
{
    if (f->kind != FLIGHT_UNBIND)
        return;
    if (a->local)
        f->shaken = f->shaken || !answer_is_unsent(a);
    else if (a->status >= 300)
        f->entry->shaken = f->shaken;
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
    note_unbind(f, a);
    if (!a->local)
        pacer_heard(e->home.pacer, &f->ticket, now.us);
    on_final(e, f, a, now);
    shard_check(e, s, now);
    engine_turn(e, now);
}
