// See aor_rate.h. Each send stands in a ring for a second and counts for its address meanwhile, so the limit
// holds in any second, wherever it begins.
#include "services/registrant/core/aor_rate.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define SECOND_US 1000000u
#define MAX_SENDS 65536 // remembered; beyond, the oldest is forgotten before its time
#define PER_BEGIN 2     // places that an attempt takes

struct aor {
    UT_hash_handle hh;
    uint32_t key;
    uint32_t sent;     // within the last second
    uint32_t attempts; // under way
    uint32_t reserved; // places, for what these may send
    struct heap parked;
    struct pacer_target *target;
};

static struct aor *find(const struct pacer_target *t, uint32_t key)
{
    struct aor *a = NULL;
    HASH_FIND_BYHASHVALUE(hh, t->aors, &key, sizeof(key), key, a); // it is a hash itself
    return a;
}

static struct aor *get(struct pacer_target *t, uint32_t key)
{
    struct aor *a = find(t, key);
    if (a)
        return a;
    a = mem_alloc(sizeof(*a));
    a->key = key;
    a->target = pacer_target_ref(t);
    HASH_ADD_BYHASHVALUE(hh, t->aors, key, sizeof(a->key), key, a);
    t->home->bytes += sizeof(*a);
    return a;
}

static void drop_if_idle(struct aor *a)
{
    if (a->sent || a->attempts || a->parked.count)
        return;
    struct pacer_target *t = a->target;
    struct pacer *p = t->home;
    HASH_DEL(t->aors, a);
    p->bytes -= sizeof(*a);
    heap_done(&a->parked);
    free(a);
    pacer_target_put(p, &t);
}

static uint32_t per_begin(const struct pacer_target *t)
{
    return t->limits.aor_rate < PER_BEGIN ? t->limits.aor_rate : PER_BEGIN;
}

static bool has_room(const struct aor *a)
{
    const struct pacer_target *t = a->target;
    return !t->limits.aor_rate || a->sent + a->reserved + per_begin(t) <= t->limits.aor_rate;
}

bool aor_has_room(const struct pacer_target *t, uint32_t aor)
{
    if (!aor || !t->limits.aor_rate)
        return true;
    const struct aor *a = find(t, aor);
    return !a || has_room(a);
}

// ---- what has to wait

struct heap *aor_heap(struct pacer_target *t, const struct pacer_item *item)
{
    struct aor *a = t->parked ? find(t, item->aor) : NULL;
    return a && heap_has(&a->parked, item) ? &a->parked : NULL;
}

void aor_park(struct pacer_target *t, uint64_t key, struct pacer_item *item)
{
    heap_add(&get(t, item->aor)->parked, key, item);
    t->parked++;
}

static void take_out(struct aor *a, size_t index)
{
    heap_remove(&a->parked, index);
    a->target->parked--;
}

void aor_unpark(struct pacer_target *t, struct pacer_item *item)
{
    struct aor *a = find(t, item->aor);
    take_out(a, item->heap_at - 1);
    drop_if_idle(a);
}

// Gives back the first where there is room for it, and all where nothing is left that would give back the
// rest: those that have to wait still are parked anew.
static void give_back(struct aor *a)
{
    struct pacer_target *t = a->target;
    bool all = !a->sent && !a->reserved;
    while (a->parked.count && (all || has_room(a))) {
        struct waiting first = a->parked.items[0];
        take_out(a, 0);
        target_add(t, first.key, first.item);
        if (!all)
            break;
    }
    if (!target_sleeps(t))
        target_enter_ring(t);
    drop_if_idle(a);
}

// ---- what was sent

static void forget_first(struct pacer *p)
{
    struct aor *a = p->sends.items[p->sends.head].aor;
    p->sends.head = (p->sends.head + 1) % p->sends.size;
    p->sends.count--;
    a->sent--;
    give_back(a);
}

static void grow(struct pacer *p)
{
    size_t size = p->sends.size ? p->sends.size * 2 : 64;
    struct aor_send *items = mem_array(size, sizeof(*items));
    for (size_t i = 0; i < p->sends.count; i++)
        items[i] = p->sends.items[(p->sends.head + i) % p->sends.size];
    p->bytes += (size - p->sends.size) * sizeof(*items);
    free(p->sends.items);
    p->sends.items = items;
    p->sends.head = 0;
    p->sends.size = size;
}

static void remember(struct pacer *p, struct aor *a, uint64_t now_us)
{
    if (p->sends.count == MAX_SENDS)
        forget_first(p);
    if (p->sends.count == p->sends.size)
        grow(p);
    p->sends.items[(p->sends.head + p->sends.count++) % p->sends.size] =
        (struct aor_send){.aor = a, .at_us = now_us};
    if (!wheel_is_set(&p->sends.timer))
        wheel_set(p->params.wheel, &p->sends.timer, now_us + SECOND_US);
}

void aor_sent(struct pacer_ticket *ticket, uint32_t aor, uint64_t now_us)
{
    struct pacer_target *t = ticket->target;
    if (!aor || !t->limits.aor_rate)
        return;
    struct aor *a = get(t, aor);
    a->sent++;
    a->attempts++;
    ticket->aor = a;
    ticket->reserves = per_begin(t) == PER_BEGIN;
    a->reserved += ticket->reserves;
    remember(t->home, a, now_us);
}

void aor_sent_again(struct pacer_ticket *ticket, uint64_t now_us)
{
    struct aor *a = ticket->aor;
    if (!a)
        return;
    a->sent++;
    a->reserved -= ticket->reserves;
    ticket->reserves = false;
    remember(a->target->home, a, now_us);
}

void aor_done(struct pacer_ticket *ticket)
{
    struct aor *a = ticket->aor;
    if (!a)
        return;
    ticket->aor = NULL;
    a->attempts--;
    a->reserved -= ticket->reserves;
    give_back(a);
}

static void free_sends(struct pacer *p)
{
    p->bytes -= p->sends.size * sizeof(*p->sends.items);
    free(p->sends.items);
    p->sends.items = NULL;
    p->sends.size = p->sends.head = 0;
}

void aor_wake(struct pacer *p, uint64_t now_us)
{
    while (p->sends.count && p->sends.items[p->sends.head].at_us + SECOND_US <= now_us)
        forget_first(p);
    if (p->sends.count)
        wheel_set(p->params.wheel, &p->sends.timer, p->sends.items[p->sends.head].at_us + SECOND_US);
    else
        free_sends(p);
}

void aor_forget_all(struct pacer *p)
{
    while (p->sends.count)
        forget_first(p);
    wheel_clear(p->params.wheel, &p->sends.timer);
    free_sends(p);
}
