// See pacer.h. Targets that have waiting work and may send stand in a ring and take turns, so that one
// registrar's crowd does not hold up another's. One that may not send leaves the ring and is put back by what
// it waits for: an answer, its timer, or room in the thread.
#include "services/registrant/core/pacer.h"

#include "common/base/mem.h"
#include "services/registrant/core/breaker.h"
#include "services/registrant/core/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#define NEED_UNIT        UINT64_C(1000000000) // need is summed as this / interval
#define NONCE_LEARNED_US (UINT64_C(86400) * 1000000)
#define CLASS_SHIFT      62
#define ORDER_MASK       ((UINT64_C(1) << CLASS_SHIFT) - 1)
#define SUSPECT_PART     4 // suspects together: a quarter of the slots
#define NONCE_TRY_AGAIN  8
#define BURST_PER_SECOND 10

#define STAGGER_LEAST_SHARE 0.001 // a thread that owns less waits no longer than this would make it

struct pacer_target {
    UT_hash_handle hh;
    TAILQ_ENTRY(pacer_target) ring;
    TAILQ_ENTRY(pacer_target) blocked; // waits for room among the suspects
    struct wheel_node timer;
    struct breaker breaker;
    struct heap heap, staggered; // keys: class, then order
    uint64_t stagger_until_us;
    uint64_t need; // NEED_UNIT / interval_ms, summed
    uint64_t nonce_age_ms, nonce_refused_us;
    double tokens;
    uint64_t tokens_at_us;
    uint32_t refs, in_flight, probes, nonce_refusals, nonces_skipped;
    bool suspect, in_ring, is_blocked, raised;
    bool dozes; // its timer is set for the staggered alone
    struct pacer *home;
    size_t key_bytes;
    char key[];
};

struct pacer {
    struct pacer_params params;
    struct pacer_target *targets;
    TAILQ_HEAD(, pacer_target) ring;
    TAILQ_HEAD(, pacer_target) blocked;
    struct rng rng;
    double share;
    uint64_t order, waiting;
    uint32_t in_flight, suspect_in_flight;
    int64_t raised;
    size_t bytes;
};

struct pacer *pacer_new(const struct pacer_params *p)
{
    struct pacer *pacer = mem_alloc(sizeof(*pacer));
    pacer->params = *p;
    pacer->share = 1;
    pacer->rng.state = p->seed;
    TAILQ_INIT(&pacer->ring);
    TAILQ_INIT(&pacer->blocked);
    return pacer;
}

void pacer_free(struct pacer *p)
{
    if (!p)
        return;
    assert(!p->targets);
    free(p);
}

// ---- targets

struct pacer_target *pacer_target_get(struct pacer *p, struct str key)
{
    struct pacer_target *t = NULL;
    HASH_FIND(hh, p->targets, key.p, key.n, t);
    if (!t) {
        t = mem_alloc(sizeof(*t) + key.n + 1);
        memcpy(t->key, key.p, key.n);
        t->key_bytes = key.n;
        t->home = p;
        t->timer.kind = p->params.wheel_kind;
        t->nonce_age_ms = UINT64_MAX;
        t->tokens = 1;
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

static void leave_ring(struct pacer *p, struct pacer_target *t)
{
    if (t->in_ring)
        TAILQ_REMOVE(&p->ring, t, ring);
    t->in_ring = false;
}

static void leave_blocked(struct pacer *p, struct pacer_target *t)
{
    if (t->is_blocked)
        TAILQ_REMOVE(&p->blocked, t, blocked);
    t->is_blocked = false;
}

static void enter_ring(struct pacer *p, struct pacer_target *t)
{
    if (t->in_ring || !(t->heap.count + t->staggered.count))
        return;
    leave_blocked(p, t);
    TAILQ_INSERT_TAIL(&p->ring, t, ring);
    t->in_ring = true;
}

// Has it to wait for its timer, whatever comes?
static bool sleeps(const struct pacer_target *t)
{
    return wheel_is_set(&t->timer) && !t->dozes;
}

void pacer_target_put(struct pacer *p, struct pacer_target **t)
{
    struct pacer_target *it = *t;
    *t = NULL;
    if (!it || --it->refs)
        return;
    assert(!it->heap.count && !it->staggered.count && !it->need);
    leave_ring(p, it);
    leave_blocked(p, it);
    wheel_clear(p->params.wheel, &it->timer);
    p->bytes -= sizeof(*it) + it->key_bytes + 1 + heap_bytes(&it->heap) + heap_bytes(&it->staggered);
    HASH_DEL(p->targets, it);
    heap_done(&it->heap);
    heap_done(&it->staggered);
    free(it);
}

static double rate_of(const struct pacer *p, const struct pacer_target *t)
{
    double rate = (double)p->params.rate * p->share;
    double need = 1.2 * (double)t->need * 1000.0 / (double)NEED_UNIT;
    return p->params.rate && rate < need ? need : rate;
}

static void note_rate(struct pacer_target *t)
{
    struct pacer *p = t->home;
    bool raised = p->params.rate && rate_of(p, t) > (double)p->params.rate * p->share;
    if (raised != t->raised)
        p->raised += raised ? 1 : -1;
    t->raised = raised;
}

void pacer_need_add(struct pacer_target *t, uint64_t interval_ms)
{
    t->need += NEED_UNIT / (interval_ms ? interval_ms : 1);
    note_rate(t);
}

void pacer_need_remove(struct pacer_target *t, uint64_t interval_ms)
{
    t->need -= NEED_UNIT / (interval_ms ? interval_ms : 1);
    note_rate(t);
}

// ---- what waits for a target

static size_t waiting_bytes(const struct pacer_target *t)
{
    return heap_bytes(&t->heap) + heap_bytes(&t->staggered);
}

static size_t waiting_count(const struct pacer_target *t)
{
    return t->heap.count + t->staggered.count;
}

static struct heap *heap_with(struct pacer_target *t, const struct pacer_item *item)
{
    return heap_has(&t->heap, item) ? &t->heap : heap_has(&t->staggered, item) ? &t->staggered : NULL;
}

static void add(struct pacer_target *t, struct heap *h, uint64_t key, struct pacer_item *item)
{
    struct pacer *p = t->home;
    p->bytes -= waiting_bytes(t);
    heap_add(h, key, item);
    p->bytes += waiting_bytes(t);
    p->waiting++;
}

static void drop(struct pacer_target *t, struct heap *h, size_t index)
{
    struct pacer *p = t->home;
    p->bytes -= waiting_bytes(t);
    heap_remove(h, index);
    p->bytes += waiting_bytes(t);
    p->waiting--;
}

bool pacer_waits(const struct pacer_item *item)
{
    return item->heap_at != 0;
}

bool pacer_waits_as(const struct pacer_target *t, const struct pacer_item *item, enum pacer_class class)
{
    const struct heap *h = class == PACE_STAGGERED ? &t->staggered : &t->heap;
    return heap_has(h, item) && h->items[item->heap_at - 1].key >> CLASS_SHIFT == class;
}

void pacer_wait(struct pacer *p, struct pacer_target *t, struct pacer_item *item, enum pacer_class class,
                uint64_t order, uint64_t now_us)
{
    (void)now_us;
    struct heap *held = heap_with(t, item);
    if (held)
        drop(t, held, item->heap_at - 1);
    if (class != PACE_LIVE)
        order = p->order++;
    uint64_t key = (uint64_t) class << CLASS_SHIFT | (order & ORDER_MASK);
    add(t, class == PACE_STAGGERED ? &t->staggered : &t->heap, key, item);
    if (!sleeps(t))
        enter_ring(p, t);
}

void pacer_cancel(struct pacer *p, struct pacer_target *t, struct pacer_item *item)
{
    struct heap *held = heap_with(t, item);
    if (!held)
        return;
    drop(t, held, item->heap_at - 1);
    if (!waiting_count(t))
        leave_ring(p, t);
}

// What goes next, or NULL: only staggered ones wait, and it is too soon for one. Theirs is a place among the
// new ones, in order of asking.
static struct heap *next_heap(struct pacer_target *t, uint64_t now_us)
{
    if (!t->staggered.count || now_us < t->stagger_until_us)
        return t->heap.count ? &t->heap : NULL;
    if (!t->heap.count)
        return &t->staggered;
    uint64_t first = t->heap.items[0].key, staggered = t->staggered.items[0].key;
    bool later = first >> CLASS_SHIFT != PACE_NEW || (first & ORDER_MASK) < (staggered & ORDER_MASK);
    return later ? &t->heap : &t->staggered;
}

// ---- who may send

static uint32_t suspects_allowed(const struct pacer *p)
{
    uint32_t part = p->params.max_in_flight / SUSPECT_PART;
    return part ? part : 1;
}

static void refill(const struct pacer *p, struct pacer_target *t, uint64_t now_us)
{
    double rate = rate_of(p, t);
    double most = rate / BURST_PER_SECOND < 1 ? 1 : rate / BURST_PER_SECOND;
    t->tokens += rate * (double)(now_us - t->tokens_at_us) / 1e6;
    t->tokens_at_us = now_us;
    if (t->tokens > most)
        t->tokens = most;
}

static void sleep_until(struct pacer *p, struct pacer_target *t, uint64_t when_us)
{
    leave_ring(p, t);
    t->dozes = false;
    wheel_set(p->params.wheel, &t->timer, when_us);
}

// May the target send now? If not, it has left the ring.
static bool may_send(struct pacer *p, struct pacer_target *t, uint64_t now_us)
{
    uint32_t allowed = breaker_allows(&t->breaker, now_us);
    if (!allowed) {
        sleep_until(p, t, t->breaker.open_until_us);
        return false;
    }
    if (allowed > p->params.target_flights)
        allowed = p->params.target_flights;
    if (t->in_flight >= allowed || (t->suspect && t->probes)) {
        leave_ring(p, t);
        return false;
    }
    if (t->suspect && p->suspect_in_flight >= suspects_allowed(p)) {
        leave_ring(p, t);
        TAILQ_INSERT_TAIL(&p->blocked, t, blocked);
        t->is_blocked = true;
        return false;
    }
    if (!p->params.rate)
        return true;
    refill(p, t, now_us);
    if (t->tokens >= 1)
        return true;
    double rate = rate_of(p, t);
    double wait_us = rate > 0 ? (1 - t->tokens) * 1e6 / rate : 60e6;
    sleep_until(p, t, now_us + (uint64_t)(wait_us > 60e6 ? 60e6 : wait_us) + 1);
    return false;
}

struct pacer_item *pacer_next(struct pacer *p, uint64_t now_us)
{
    while (p->in_flight < p->params.max_in_flight) {
        struct pacer_target *t = TAILQ_FIRST(&p->ring);
        if (!t)
            return NULL;
        if (!waiting_count(t)) {
            leave_ring(p, t);
            continue;
        }
        struct heap *h = next_heap(t, now_us);
        if (!h) {
            sleep_until(p, t, t->stagger_until_us);
            t->dozes = true;
            continue;
        }
        if (!may_send(p, t, now_us))
            continue;
        TAILQ_REMOVE(&p->ring, t, ring);
        TAILQ_INSERT_TAIL(&p->ring, t, ring);
        struct pacer_item *item = h->items[0].item;
        drop(t, h, 0);
        return item;
    }
    return NULL;
}

// ---- what is in flight

void pacer_sent(struct pacer *p, struct pacer_target *t, uint64_t id, struct pacer_ticket *ret_ticket,
                uint64_t now_us)
{
    *ret_ticket = (struct pacer_ticket){.target = pacer_target_ref(t), .id = id, .probe = t->suspect};
    t->in_flight++;
    p->in_flight++;
    if (t->suspect) {
        t->probes++;
        p->suspect_in_flight++;
    }
    pacer_sent_again(p, ret_ticket, now_us);
}

void pacer_sent_again(struct pacer *p, struct pacer_ticket *ticket, uint64_t now_us)
{
    if (!p->params.rate)
        return;
    refill(p, ticket->target, now_us);
    ticket->target->tokens -= 1;
}

void pacer_stagger(struct pacer *p, struct pacer_target *t, uint64_t now_us)
{
    double share = p->share > STAGGER_LEAST_SHARE ? p->share : STAGGER_LEAST_SHARE;
    t->stagger_until_us = now_us + (uint64_t)(1e6 / share);
}

void pacer_unanswered(struct pacer *p, struct pacer_ticket *ticket)
{
    struct pacer_target *t = ticket->target;
    if (t->suspect)
        return;
    t->suspect = true;
    t->probes = 0;
    p->suspect_in_flight += t->in_flight;
}

static void release_blocked(struct pacer *p)
{
    struct pacer_target *t = TAILQ_FIRST(&p->blocked);
    if (t && p->suspect_in_flight < suspects_allowed(p)) {
        leave_blocked(p, t);
        enter_ring(p, t);
    }
}

static void clear_suspicion(struct pacer *p, struct pacer_target *t)
{
    if (!t->suspect)
        return;
    t->suspect = false;
    p->suspect_in_flight -= t->in_flight;
    if (!sleeps(t))
        enter_ring(p, t);
    release_blocked(p);
}

void pacer_heard(struct pacer *p, struct pacer_ticket *ticket, uint64_t now_us)
{
    (void)now_us;
    ticket->target->breaker.silences = 0;
    clear_suspicion(p, ticket->target);
}

static void tell_breaker(struct pacer *p, const struct pacer_ticket *ticket, enum pacer_result result,
                         int64_t retry_after_s, uint64_t now_us)
{
    enum breaker_event event = result == PACER_SILENT        ? BREAKER_SILENCE
                               : result == PACER_UNAVAILABLE ? BREAKER_UNAVAILABLE
                                                             : BREAKER_ANSWER;
    uint64_t pause_s = retry_after_s > 0 ? (uint64_t)retry_after_s : 0;
    if (pause_s > p->params.retry_after_cap_s)
        pause_s = p->params.retry_after_cap_s;
    breaker_event(&ticket->target->breaker, event, ticket->id, pause_s * 1000000, p->params.target_flights,
                  now_us);
}

void pacer_done(struct pacer *p, struct pacer_ticket *ticket, enum pacer_result result, int64_t retry_after_s,
                uint64_t now_us)
{
    struct pacer_target *t = ticket->target;
    if (result == PACER_SILENT)
        pacer_unanswered(p, ticket);
    else if (result != PACER_DROPPED)
        clear_suspicion(p, t);
    if (ticket->probe && t->probes)
        t->probes--;
    if (t->suspect)
        p->suspect_in_flight--;
    t->in_flight--;
    p->in_flight--;
    if (result != PACER_DROPPED)
        tell_breaker(p, ticket, result, retry_after_s, now_us);
    if (!sleeps(t))
        enter_ring(p, t);
    release_blocked(p);
    pacer_target_put(p, &ticket->target);
}

void pacer_wake(struct pacer *p, struct wheel_node *node, uint64_t now_us)
{
    (void)now_us;
    enter_ring(p, container_of(node, struct pacer_target, timer));
}

// ---- learned, counted

static void forget_nonce_age(struct pacer_target *t)
{
    t->nonce_refusals = 0;
    t->nonce_age_ms = UINT64_MAX;
}

bool pacer_nonce_is_worth(struct pacer_target *t, uint64_t age_ms, uint64_t now_us)
{
    if (now_us - t->nonce_refused_us >= NONCE_LEARNED_US)
        forget_nonce_age(t);
    if (t->nonce_refusals < 2 || age_ms < t->nonce_age_ms)
        return true;
    return ++t->nonces_skipped % NONCE_TRY_AGAIN == 0;
}

void pacer_nonce_refused(struct pacer_target *t, uint64_t age_ms, uint64_t now_us)
{
    t->nonce_refusals++;
    t->nonce_refused_us = now_us;
    if (age_ms < t->nonce_age_ms)
        t->nonce_age_ms = age_ms;
}

void pacer_nonce_accepted(struct pacer_target *t, uint64_t age_ms)
{
    if (age_ms >= t->nonce_age_ms)
        forget_nonce_age(t);
}

void pacer_set_share(struct pacer *p, double share)
{
    p->share = share;
    for (struct pacer_target *t = p->targets; t; t = t->hh.next)
        note_rate(t);
}

uint32_t pacer_in_flight(const struct pacer *p)
{
    return p->in_flight;
}

uint64_t pacer_waiting(const struct pacer *p)
{
    return p->waiting;
}

uint64_t pacer_raised(const struct pacer *p)
{
    return (uint64_t)p->raised;
}

size_t pacer_bytes(const struct pacer *p)
{
    return p->bytes;
}
