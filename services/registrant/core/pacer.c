// See pacer.h. Targets that have waiting work and may send stand in a ring and take turns, so that one
// registrar's crowd does not hold up another's. One that may not send leaves the ring and is put back by what
// it waits for: an answer, its timer, or room in the thread.
#include "services/registrant/core/aor_rate.h"
#include "services/registrant/core/pacer_parts.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define CLASS_SHIFT      62
#define ORDER_MASK       ((UINT64_C(1) << CLASS_SHIFT) - 1)
#define SUSPECT_PART     4 // suspects together: a quarter of the slots
#define BURST_PER_SECOND 10

#define STAGGER_LEAST_SHARE 0.001 // a thread that owns less waits no longer than this would make it

struct pacer *pacer_new(const struct pacer_params *p)
{
    struct pacer *pacer = mem_alloc(sizeof(*pacer));
    pacer->params = *p;
    pacer->share = 1;
    pacer->sends.timer.kind = p->wheel_kind;
    TAILQ_INIT(&pacer->ring);
    TAILQ_INIT(&pacer->blocked);
    return pacer;
}

void pacer_free(struct pacer *p)
{
    if (!p)
        return;
    aor_forget_all(p);
    assert(!p->targets);
    free(p);
}

// ---- what waits for a target

static size_t heaps_bytes(const struct pacer_target *t)
{
    return heap_bytes(&t->heap) + heap_bytes(&t->staggered);
}

static size_t waiting_count(const struct pacer_target *t)
{
    return t->heap.count + t->staggered.count;
}

static struct heap *heap_with(struct pacer_target *t, const struct pacer_item *item)
{
    if (heap_has(&t->heap, item))
        return &t->heap;
    return heap_has(&t->staggered, item) ? &t->staggered : NULL;
}

void target_add(struct pacer_target *t, uint64_t key, struct pacer_item *item)
{
    t->home->bytes -= heaps_bytes(t);
    heap_add(key >> CLASS_SHIFT == PACE_STAGGERED ? &t->staggered : &t->heap, key, item);
    t->home->bytes += heaps_bytes(t);
}

// Out of the two heaps of those that may go.
static void take_out(struct pacer_target *t, struct heap *h, size_t index)
{
    t->home->bytes -= heaps_bytes(t);
    heap_remove(h, index);
    t->home->bytes += heaps_bytes(t);
    if (!waiting_count(t))
        target_leave_ring(t);
}

bool pacer_waits(const struct pacer_item *item)
{
    return item->heap_at != 0;
}

static const struct heap *any_heap_with(struct pacer_target *t, const struct pacer_item *item)
{
    const struct heap *h = heap_with(t, item);
    return h ? h : aor_heap(t, item);
}

bool pacer_waits_as(struct pacer_target *t, const struct pacer_item *item, enum pacer_class class)
{
    const struct heap *h = any_heap_with(t, item);
    return h && h->items[item->heap_at - 1].key >> CLASS_SHIFT == class;
}

void pacer_wait(struct pacer *p, struct pacer_target *t, struct pacer_item *item, enum pacer_class class,
                uint64_t order, uint64_t now_us)
{
    (void)now_us;
    pacer_cancel(p, t, item);
    if (class != PACE_LIVE)
        order = p->order++;
    target_add(t, (uint64_t) class << CLASS_SHIFT | (order & ORDER_MASK), item);
    p->waiting++;
    if (!target_sleeps(t))
        target_enter_ring(t);
}

void pacer_cancel(struct pacer *p, struct pacer_target *t, struct pacer_item *item)
{
    struct heap *held = heap_with(t, item);
    if (held)
        take_out(t, held, item->heap_at - 1);
    else if (aor_heap(t, item))
        aor_unpark(t, item);
    else
        return;
    p->waiting--;
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

static void refill(struct pacer_target *t, uint64_t now_us)
{
    double rate = target_rate(t);
    double most = rate / BURST_PER_SECOND < 1 ? 1 : rate / BURST_PER_SECOND;
    t->tokens += rate * (double)(now_us - t->tokens_at_us) / 1e6;
    t->tokens_at_us = now_us;
    if (t->tokens > most)
        t->tokens = most;
}

static void sleep_until(struct pacer *p, struct pacer_target *t, uint64_t when_us)
{
    target_leave_ring(t);
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
    if (allowed > t->limits.in_flight)
        allowed = t->limits.in_flight;
    if (t->in_flight >= allowed || (t->suspect && t->probes)) {
        target_leave_ring(t);
        return false;
    }
    if (t->suspect && p->suspect_in_flight >= suspects_allowed(p)) {
        target_leave_ring(t);
        TAILQ_INSERT_TAIL(&p->blocked, t, blocked);
        t->is_blocked = true;
        return false;
    }
    if (!t->limits.rate)
        return true;
    refill(t, now_us);
    if (t->tokens >= 1)
        return true;
    double rate = target_rate(t);
    double wait_us = rate > 0 ? (1 - t->tokens) * 1e6 / rate : 60e6;
    sleep_until(p, t, now_us + (uint64_t)(wait_us > 60e6 ? 60e6 : wait_us) + 1);
    return false;
}

// One that has nothing to send any more, or may not, leaves its room to the next.
static bool release_blocked(struct pacer *p)
{
    struct pacer_target *t = TAILQ_FIRST(&p->blocked);
    if (!t || p->suspect_in_flight >= suspects_allowed(p))
        return false;
    target_leave_blocked(t);
    target_enter_ring(t);
    return true;
}

struct pacer_item *pacer_next(struct pacer *p, uint64_t now_us)
{
    while (p->in_flight < p->params.max_in_flight) {
        struct pacer_target *t = TAILQ_FIRST(&p->ring);
        if (!t && release_blocked(p))
            continue;
        if (!t)
            return NULL;
        if (!waiting_count(t)) {
            target_leave_ring(t);
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
        struct waiting first = h->items[0];
        take_out(t, h, 0);
        if (!aor_has_room(t, first.item->aor)) {
            aor_park(t, first.key, first.item);
            continue;
        }
        if (t->in_ring) {
            TAILQ_REMOVE(&p->ring, t, ring);
            TAILQ_INSERT_TAIL(&p->ring, t, ring);
        }
        p->waiting--;
        return first.item;
    }
    return NULL;
}

// ---- what is in flight

static void take_token(struct pacer_target *t, uint64_t now_us)
{
    t->requests++;
    if (!t->limits.rate)
        return;
    refill(t, now_us);
    t->tokens -= 1;
}

void pacer_sent(struct pacer *p, struct pacer_target *t, const struct pacer_item *item, uint64_t id,
                struct pacer_ticket *ret_ticket, uint64_t now_us)
{
    *ret_ticket = (struct pacer_ticket){.target = pacer_target_ref(t), .id = id, .probe = t->suspect};
    t->in_flight++;
    p->in_flight++;
    if (t->suspect) {
        t->probes++;
        p->suspect_in_flight++;
    }
    take_token(t, now_us);
    aor_sent(ret_ticket, item->aor, now_us);
}

void pacer_sent_again(struct pacer *p, struct pacer_ticket *ticket, uint64_t now_us)
{
    (void)p;
    take_token(ticket->target, now_us);
    aor_sent_again(ticket, now_us);
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

static void clear_suspicion(struct pacer *p, struct pacer_target *t)
{
    if (!t->suspect)
        return;
    t->suspect = false;
    p->suspect_in_flight -= t->in_flight;
    if (!target_sleeps(t))
        target_enter_ring(t);
    (void)release_blocked(p);
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
    breaker_event(&ticket->target->breaker, event, ticket->id, pause_s * 1000000,
                  ticket->target->limits.in_flight, now_us);
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
    aor_done(ticket);
    if (!target_sleeps(t))
        target_enter_ring(t);
    (void)release_blocked(p);
    pacer_target_put(p, &ticket->target);
}

void pacer_wake(struct pacer *p, struct wheel_node *node, uint64_t now_us)
{
    if (node == &p->sends.timer)
        aor_wake(p, now_us);
    else
        target_enter_ring(container_of(node, struct pacer_target, timer));
}

uint64_t pacer_waiting(const struct pacer *p)
{
    return p->waiting;
}

uint64_t pacer_raised(const struct pacer *p)
{
    return (uint64_t)p->raised;
}

uint64_t pacer_overcommitted(const struct pacer *p)
{
    return (uint64_t)p->overcommitted;
}

size_t pacer_bytes(const struct pacer *p)
{
    return p->bytes;
}
