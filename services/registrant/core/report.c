// What is said of registrations: marks the ones whose settled state changed, and gives their newest status
// out while there are credits. Nothing queues but the mark.
#include "services/registrant/core/machine.h"

#include "common/base/mem.h"

#include <string.h>

#define HEARD_WITHIN_MS 60000 // "next in" of what waits for a turn or a lease: nothing better is known

// A parked partition reports nothing; one that is closing only when it is drained.
static bool may_report(const struct shard *s)
{
    return s->state == SHARD_OPEN || s->state == SHARD_DRAINING;
}

void report_mark(struct engine *e, struct entry *r)
{
    struct shard *s = e->shards[r->shard];
    if (!r->dirty) {
        r->dirty = true;
        s->unreported++;
    }
    if (r->queued || !may_report(s))
        return;
    r->queued = true;
    marks_push(e, &e->marks, (struct mark){.id = r->id, .shard = r->shard});
}

static bool is_settled(enum status_state state)
{
    return state != STATE_PENDING && state != STATE_REGISTERING && state != STATE_UNREGISTERING;
}

static void set_state(struct engine *e, struct entry *r, enum status_state state, struct moment now)
{
    if (r->state == state && r->since_wall_ms)
        return;
    observe_state(e, r, state);
    r->since_wall_ms = now.wall_ms;
}

void report_settle(struct engine *e, struct entry *r, struct moment now)
{
    enum status_state state = machine_state(r, ms_of(now));
    if (is_settled(state)) {
        r->unsettled_ms = 0;
        if (r->state != state || !r->since_wall_ms)
            report_mark(e, r);
        set_state(e, r, state, now);
        return;
    }
    // One that is under way is reported by its end; one that is held back, once that has lasted.
    if (state == STATE_REGISTERING || (r->state == state && r->since_wall_ms)) {
        r->unsettled_ms = 0;
        return;
    }
    if (!r->unsettled_ms)
        r->unsettled_ms = ms_of(now) ? ms_of(now) : 1;
    if (ms_of(now) - r->unsettled_ms < PENDING_SHOWN_MS && !r->attempts)
        return;
    r->unsettled_ms = 0;
    set_state(e, r, state, now);
    report_mark(e, r);
}

// ---- the status

static uint64_t wall_of(int64_t ms, struct moment now)
{
    int64_t wall = (int64_t)now.wall_ms + ms - ms_of(now);
    return wall < 1 ? 1 : (uint64_t)wall;
}

static char *heard(const struct entry *r, enum heard what)
{
    struct str text = entry_heard(r, what);
    return text.n ? r->heard->text + (text.p - r->heard->text) : NULL;
}

static void fill_list(struct status_list *list, size_t count, char **at)
{
    for (size_t i = 0; i < count; i++) {
        list->items[i] = *at;
        *at += strlen(*at) + 1;
    }
    list->count = count;
}

static char *next_text(bool there, char **at)
{
    char *text = *at;
    *at += there ? strlen(text) + 1 : 0;
    return there ? text : NULL;
}

// Lists are of a binding that lives: a Service-Route ends with it, or when it is refused to be refreshed (RFC
// 3608 6.1). What an audit found is of the address of record.
static void fill_kept(struct status *s, struct shown *shown, bool lives)
{
    char *at = shown->text;
    fill_list(&s->contacts, shown->contacts, &at);
    fill_list(&s->service_route, shown->service_routes, &at);
    fill_list(&s->path, shown->paths, &at);
    fill_list(&s->associated, shown->associated, &at);
    s->pub_gruu = next_text(shown->pub_gruu, &at);
    s->temp_gruu = next_text(shown->temp_gruu, &at);
    s->warning = next_text(shown->warning, &at);
    s->outbound = shown->outbound;
    s->flow_timer_s = shown->flow_timer_s;
    s->foreign = shown->foreign;
    if (s->state == STATE_REJECTED)
        s->service_route.count = 0;
    if (lives)
        return;
    s->service_route.count = s->path.count = s->associated.count = 0;
    s->pub_gruu = s->temp_gruu = NULL;
    s->outbound = false;
    s->flow_timer_s = 0;
    if (!shown->audited)
        s->contacts.count = s->foreign = 0;
}

static void fill_shown(struct engine *e, const struct entry *r, struct status *s, bool lives)
{
    if (r->shown)
        fill_kept(s, r->shown, lives);
    if (!r->as_sent || !lives)
        return;
    size_t count = entry_as_sent(e, r, &e->scratch[3]);
    char *at = e->scratch[3].p;
    fill_list(&s->contacts, count, &at);
}

// How long what may be bound lasts, as whoever takes over reckons: after the last request.
static uint32_t longest_asked(const struct entry *r)
{
    int64_t held_ms = r->extra ? r->extra->held_until_ms - r->last_bind_ms : 0;
    return held_ms > (int64_t)r->asked_s * 1000 ? (uint32_t)((held_ms + 999) / 1000) : r->asked_s;
}

// Contacts that may still be bound beside those of `bound`: whoever takes over has to drop them too.
static void add_dropped(struct status_bound *b, const struct entry *r, struct buf *text)
{
    buf_clear(text);
    if (!r->extra || !r->extra->dropped)
        return;
    buf_add_cstr(text, r->extra->dropped);
    for (char *at = text->p; *at && b->sent.contact_count < REGISTRATION_MAX_CONTACTS;) {
        char *end = strchr(at, '\n');
        *end = '\0';
        b->sent.contacts[b->sent.contact_count++] =
            (struct contact){.uri = at, .expires = b->asked_s ? (int64_t)b->asked_s : REGISTRATION_UNSET};
        at = end + 1;
    }
}

static void fill_nonces(struct status_bound *b, const struct nonces *n)
{
    for (size_t i = 0; n && i < n->count; i++) {
        const struct nonce *held = &n->items[i];
        struct str opaque = nonce_opaque(n, i);
        struct status_nonce *to = &b->nonces[b->nonce_count++];
        char *texts = (char *)(void *)(uintptr_t)(const void *)nonce_text(n, i).p;
        *to = (struct status_nonce){.realm = held->realm->text,
                                    .nonce = texts,
                                    .opaque = opaque.p ? texts + held->nonce_n + 1 : NULL,
                                    .userhash = held->userhash,
                                    .proxy = held->proxy,
                                    .nc = held->nc};
        if (held->algorithm_given)
            to->algorithm = (char *)(void *)(uintptr_t)digest_algorithm_name(held->algorithm);
        to->qop = (char *)(void *)(uintptr_t)digest_qop_name(held->qop);
    }
}

static void fill_bound(struct engine *e, struct entry *r, struct status *s, struct moment now)
{
    struct status_bound *b = &s->bound;
    struct spec *sent = r->bound ? r->bound : r->want;
    s->has_bound = r->ever_sent && sent;
    if (!s->has_bound)
        return;
    struct buf *names = &e->scratch[1];
    struct str local = r->bound ? interned_str(r->bound_local) : entry_local(e, r, sent);
    spec_sent(sent, local, &b->sent, &e->scratch[0]);
    buf_clear(names);
    entry_call_id(r, names);
    buf_add(names, "", 1);
    size_t tag_at = names->n;
    entry_from_tag(r, names);
    b->call_id = names->p;
    b->from_tag = names->p + tag_at;
    b->cseq = r->cseq;
    b->revision = r->bound ? r->bound_revision : r->revision;
    fill_nonces(b, r->nonces);
    if (!r->bound)
        return;
    b->asked_s = longest_asked(r);
    add_dropped(b, r, &e->scratch[2]);
    b->granted_s = r->granted_s;
    b->last_sent_wall_ms = wall_of(r->last_bind_ms, now);
    b->expires_at_wall_ms = r->expires_ms ? wall_of(r->expires_ms, now) : 0;
}

// When it acts next, and within what time something will be heard of it; both 0: it is silent. What is in
// flight or waits for its turn acts now: a next action that lies ahead is a promise that nothing is sent
// before it, by which the next owner knows whether this report is the last word.
static void fill_next(const struct engine *e, const struct entry *r, struct status *s, struct moment now)
{
    int64_t now_ms = ms_of(now);
    const struct plan plan = machine_plan(r, PERMIT_ALL, now_ms);
    if (r->proof || (!r->flight && plan.kind == PLAN_NOTHING))
        return;
    bool ahead = !r->flight && plan.at_ms > now_ms;
    s->next_at_wall_ms = ahead ? wall_of(plan.at_ms, now) : now.wall_ms;
    s->next_in_ms = ahead       ? (uint64_t)(plan.at_ms - now_ms)
                    : r->flight ? (uint64_t)e->policy.transaction_timeout_s * 1000
                                : HEARD_WITHIN_MS;
}

static void fill_commands(struct status *s, const struct extra *x)
{
    if (!x)
        return;
    s->refresh_acted = x->refresh_acted;
    s->flush_acted = x->flush_acted;
    s->audit_acted = x->audit_acted;
    s->audited_at_wall_ms = x->audited_wall_ms;
}

static void give_out(struct engine *e, struct shard *shard, struct entry *r, struct moment now)
{
    struct status s;
    status_init(&s);
    enum status_state state = machine_state(r, ms_of(now));
    s.id = r->id;
    s.account = r->account->text;
    memcpy(s.place, shard->place, sizeof(s.place));
    s.epoch = shard->epoch;
    s.seq = ++e->seq;
    s.revision = r->revision;
    s.state = state;
    s.since_wall_ms = r->state == state && r->since_wall_ms ? r->since_wall_ms : now.wall_ms;
    s.code = r->code;
    s.reason = heard(r, HEARD_REASON);
    s.retry_after_s = r->retry_after_s ? (int64_t)r->retry_after_s : REGISTRATION_UNSET;
    s.by_local = r->by_local;
    s.attempt = r->attempts;
    if (machine_is_live(r, ms_of(now))) {
        s.granted_s = r->granted_s;
        s.expires_at_wall_ms = wall_of(r->expires_ms, now);
    }
    fill_next(e, r, &s, now);
    fill_shown(e, r, &s, machine_is_live(r, ms_of(now)));
    s.target = heard(r, HEARD_TARGET);
    s.local = heard(r, HEARD_LOCAL);
    s.received = heard(r, HEARD_RECEIVED);
    s.rtt_us = r->rtt_us;
    s.node = (char *)(void *)(uintptr_t)e->policy.node;
    fill_commands(&s, r->extra);
    s.handover = r->handover;
    s.removed = r->proof;
    fill_bound(e, r, &s, now);
    e->ops->report(e->ops_arg, shard->number, &s);
}

static void report_one(struct engine *e, struct shard *shard, struct entry *r, struct moment now)
{
    r->dirty = false;
    r->revision_unsaid = false;
    shard->unreported--;
    e->credit--;
    give_out(e, shard, r, now);
    if (shard->state == SHARD_DRAINING) {
        entry_forget(e, r);
        shard_check(e, shard, now);
    } else if (r->moved) {
        wheel_set(&e->wheel, &r->timer, us_of(ms_of(now) + MOVED_KEPT_MS));
    } else if (r->proof) {
        r->proved_reported = true;
        wheel_set(&e->wheel, &r->timer, us_of(ms_of(now) + PROVED_KEPT_MS));
    }
}

void report_flush(struct engine *e, struct moment now)
{
    struct mark mark;
    while (e->credit && marks_pop(e, &e->marks, &mark)) {
        struct shard *shard = mark.shard < e->shard_count ? e->shards[mark.shard] : NULL;
        struct entry *r = shard ? shard_entry(shard, mark.id) : NULL;
        if (!r || !r->queued)
            continue;
        r->queued = false;
        if (r->dirty && may_report(shard))
            report_one(e, shard, r, now);
    }
}
