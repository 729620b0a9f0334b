// The life of a pacer's targets, their limits, and what is counted and learned of each.
#include "services/registrant/core/pacer_parts.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define NEED_UNIT  UINT64_C(1000000000) // need is summed as this / interval
#define NEED_SLACK 1.2                  // live refreshes get so many times what they need

#define REFRESHES_AVERAGED 16

struct str pacer_target_key(const struct pacer_target *t)
{
    return str_of_bytes(t->key, t->key_bytes);
}

static void set_limits(struct pacer_target *t)
{
    const struct pacer_params *p = &t->home->params;
    t->limits = p->limits;
    if (p->limits_of)
        p->limits_of(p->arg, pacer_target_key(t), &t->limits);
    if (!t->limits.in_flight)
        t->limits.in_flight = 1;
}

struct pacer_target *pacer_target_find(const struct pacer *p, struct str key)
{
    struct pacer_target *t = NULL;
    HASH_FIND(hh, p->targets, key.p, key.n, t);
    return t;
}

struct pacer_target *pacer_target_get(struct pacer *p, struct str key)
{
    struct pacer_target *t = pacer_target_find(p, key);
    if (!t) {
        t = mem_alloc(sizeof(*t) + key.n + 1);
        memcpy(t->key, key.p, key.n);
        t->key_bytes = key.n;
        t->home = p;
        t->timer.kind = p->params.wheel_kind;
        t->tokens = 1;
        t->per_refresh = 1;
        set_limits(t);
        HASH_ADD_KEYPTR(hh, p->targets, t->key, key.n, t);
        p->bytes += sizeof(*t) + key.n + 1;
    }
    t->refs++;
    return t;
}

struct pacer_target *pacer_target_ref(struct pacer_target *t)
{
    t->refs++;
    return t;
}

bool pacer_walk_begins(const struct pacer *p)
{
    return !p->walks;
}

// New ones come to the end of uthash's list.
struct pacer_target *pacer_walk(struct pacer *p)
{
    struct pacer_target *t = p->walks ? p->walk : p->targets;
    p->walks = t != NULL;
    p->walk = t ? t->hh.next : NULL;
    return t;
}

void pacer_target_put(struct pacer *p, struct pacer_target **t)
{
    struct pacer_target *it = *t;
    *t = NULL;
    if (!it || --it->refs)
        return;
    assert(!it->heap.count && !it->staggered.count && !it->need && !it->aors);
    target_leave_ring(it);
    target_leave_blocked(it);
    wheel_clear(p->params.wheel, &it->timer);
    p->bytes -= sizeof(*it) + it->key_bytes + 1 + heap_bytes(&it->heap) + heap_bytes(&it->staggered);
    if (p->walk == it)
        p->walk = it->hh.next;
    HASH_DEL(p->targets, it);
    heap_done(&it->heap);
    heap_done(&it->staggered);
    free(it);
}

// ---- the ring

void target_leave_ring(struct pacer_target *t)
{
    if (t->in_ring)
        TAILQ_REMOVE(&t->home->ring, t, ring);
    t->in_ring = false;
}

void target_leave_blocked(struct pacer_target *t)
{
    if (t->is_blocked)
        TAILQ_REMOVE(&t->home->blocked, t, blocked);
    t->is_blocked = false;
}

void target_enter_ring(struct pacer_target *t)
{
    if (t->in_ring || !(t->heap.count + t->staggered.count))
        return;
    target_leave_blocked(t);
    TAILQ_INSERT_TAIL(&t->home->ring, t, ring);
    t->in_ring = true;
}

bool target_sleeps(const struct pacer_target *t)
{
    return wheel_is_set(&t->timer) && !t->dozes;
}

// ---- rates

static double need_of(const struct pacer_target *t)
{
    return (double)t->need * 1000.0 / (double)NEED_UNIT * t->per_refresh;
}

static double share_of_rate(const struct pacer_target *t)
{
    return t->limits.rate * t->home->share;
}

double target_rate(const struct pacer_target *t)
{
    return t->raised ? NEED_SLACK * need_of(t) : share_of_rate(t);
}

// When it may send was reckoned by another rate.
static void wake(struct pacer_target *t)
{
    if (!target_sleeps(t))
        return;
    wheel_clear(t->home->params.wheel, &t->timer);
    target_enter_ring(t);
}

static void note_rate(struct pacer_target *t)
{
    struct pacer *p = t->home;
    bool was_raised = t->raised;
    bool over = t->limits.rate && NEED_SLACK * need_of(t) > share_of_rate(t);
    bool raised = over && !t->limits.hard;
    p->overcommitted += over - t->overcommitted;
    p->raised += raised - t->raised;
    t->overcommitted = over;
    t->raised = raised;
    if (was_raised || raised)
        wake(t);
}

void pacer_need_add(struct pacer_target *t, uint64_t interval_ms)
{
    t->need += NEED_UNIT / (interval_ms ? interval_ms : 1);
    t->bound++;
    note_rate(t);
}

void pacer_need_remove(struct pacer_target *t, uint64_t interval_ms)
{
    t->need -= NEED_UNIT / (interval_ms ? interval_ms : 1);
    t->bound--;
    note_rate(t);
}

void pacer_refresh_took(struct pacer_target *t, uint32_t requests)
{
    t->per_refresh += ((double)requests - t->per_refresh) / REFRESHES_AVERAGED;
    if (t->limits.rate)
        note_rate(t);
}

void pacer_set_share(struct pacer *p, double share)
{
    p->share = share;
    for (struct pacer_target *t = p->targets; t; t = t->hh.next) {
        note_rate(t);
        wake(t);
    }
}

void pacer_limits_changed(struct pacer *p)
{
    for (struct pacer_target *t = p->targets; t; t = t->hh.next) {
        set_limits(t);
        note_rate(t);
        wheel_clear(p->params.wheel, &t->timer); // by the old limits: it is set again where it must be
        target_enter_ring(t);
    }
}

// ---- learned, counted

struct learned *pacer_learned(struct pacer_target *t)
{
    return &t->learned;
}

uint32_t pacer_least_expires_s(const struct pacer_target *t, uint64_t now_us)
{
    uint32_t learned_s = learned_least_s(&t->learned, now_us);
    return learned_s > t->limits.expires_min_s ? learned_s : t->limits.expires_min_s;
}

void pacer_count_state(struct pacer_target *t, unsigned state, int change)
{
    t->states[state] += (uint32_t)change;
}

void pacer_count_answer(struct pacer_target *t, int status, bool local)
{
    t->codes[observe_code(status, local)]++;
}

void pacer_count_lapsed(struct pacer_target *t)
{
    t->lapsed++;
}

void pacer_target_set_mark(struct pacer_target *t, void *mark)
{
    t->mark = mark;
}

void *pacer_target_mark(const struct pacer_target *t)
{
    return t->mark;
}

static uint64_t registrations_of(const struct pacer_target *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < OBSERVE_STATES; i++)
        sum += t->states[i];
    return sum;
}

static void view_learned(const struct pacer_target *t, uint64_t now_us, struct registrar_view *ret)
{
    ret->granted_s = t->learned.granted_s;
    ret->granted_least_s = t->learned.granted_least_s;
    ret->min_expires_s = learned_least_s(&t->learned, now_us);
    ret->nonce_age_s = learned_nonce_age_s(&t->learned);
    ret->outbound = t->learned.outbound;
    memcpy(ret->received, t->learned.received, sizeof(ret->received));
}

void pacer_target_view(const struct pacer_target *t, uint64_t now_us, struct registrar_view *ret)
{
    uint64_t open_until_us = t->breaker.open_until_us;
    *ret = (struct registrar_view){
        .registrars = 1,
        .registrations = registrations_of(t),
        .bound = t->bound,
        .waiting = t->heap.count + t->staggered.count + t->parked,
        .in_flight = t->in_flight,
        .requests = t->requests,
        .lapsed = t->lapsed,
        .overcommitted = t->overcommitted,
        .hard = t->limits.hard,
        .suspect = t->suspect,
        .open = open_until_us > now_us,
        .open_for_ms = open_until_us > now_us ? (open_until_us - now_us) / 1000 : 0,
        .rate = target_rate(t),
        .need = need_of(t),
    };
    for (size_t i = 0; i < OBSERVE_STATES; i++)
        ret->states[i] = t->states[i];
    for (size_t i = 0; i < OBSERVE_CODES; i++)
        ret->codes[i] = t->codes[i];
    struct str name = str_slice(pacer_target_key(t), 0, sizeof(ret->name) - 1);
    memcpy(ret->name, name.p, name.n);
    view_learned(t, now_us, ret);
}
