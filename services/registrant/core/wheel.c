// See wheel.h. Level k holds timers less than 256^(k+1) ticks away in the slot of their due tick; when level
// 0 has gone round once, one slot of level 1 is spread over it, and so on up.
#include "services/registrant/core/wheel.h"

#include <string.h>

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define MAX_AHEAD ((UINT64_C(1) << (WHEEL_LEVEL_BITS * WHEEL_LEVELS)) - 1)

static void ring_init(struct wheel_node *head)
{
    head->prev = head->next = head;
}

static bool ring_is_empty(const struct wheel_node *head)
{
    return head->next == head;
}

static void ring_add(struct wheel_node *head, struct wheel_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static void ring_remove(struct wheel_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
    memset(w, 0, sizeof(*w));
    w->tick = now_us >> WHEEL_TICK_BITS;
    ring_init(&w->expired);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            ring_init(&w->slots[level][i]);
}

static void put(struct wheel *w, struct wheel_node *node)
{
    uint64_t due = node->due_tick;
    if (due <= w->tick) {
        ring_add(&w->expired, node);
        return;
    }
    unsigned level = 0;
    for (uint64_t ahead = due - w->tick; ahead >> (WHEEL_LEVEL_BITS * (level + 1)); level++) {
    }
    unsigned slot = due >> (WHEEL_LEVEL_BITS * level) & SLOT_MASK;
    ring_add(&w->slots[level][slot], node);
    w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

bool wheel_is_set(const struct wheel_node *node)
{
    return node->next != NULL;
}

void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_us)
{
    wheel_clear(w, node);
    uint64_t due = (due_us >> WHEEL_TICK_BITS) + ((due_us & ((1u << WHEEL_TICK_BITS) - 1)) != 0);
    if (due > w->tick + MAX_AHEAD)
        due = w->tick + MAX_AHEAD;
    node->due_tick = due & ((UINT64_C(1) << 56) - 1);
    put(w, node);
}

void wheel_clear(struct wheel *w, struct wheel_node *node)
{
    if (!node->next)
        return;
    struct wheel_node *head = node->prev == node->next ? node->prev : NULL;
    ring_remove(node);
    if (!head || head == &w->expired)
        return;
    size_t index = (size_t)(head - &w->slots[0][0]);
    unsigned slot = index % WHEEL_SLOTS;
    w->occupied[index / WHEEL_SLOTS][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

// Distance (1 … 256) from slot `from` to the next occupied one going round, or 0 when the level is empty.
static unsigned next_occupied(const struct wheel *w, unsigned level, unsigned from)
{
    for (unsigned step = 1; step <= WHEEL_SLOTS;) {
        unsigned slot = (from + step) & SLOT_MASK;
        uint64_t word = w->occupied[level][slot / 64] >> (slot % 64);
        if (word) {
            step += (unsigned)__builtin_ctzll(word);
            return step <= WHEEL_SLOTS ? step : 0;
        }
        step += 64 - slot % 64;
    }
    return 0;
}

static void spill(struct wheel *w, unsigned level, unsigned slot)
{
    struct wheel_node *head = &w->slots[level][slot];
    w->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while (!ring_is_empty(head)) {
        struct wheel_node *node = head->next;
        ring_remove(node);
        put(w, node);
    }
}

// Moves to the next tick at which something can happen, at most to `limit`.
static void step(struct wheel *w, uint64_t limit)
{
    unsigned ahead = next_occupied(w, 0, w->tick & SLOT_MASK);
    uint64_t turn = (w->tick | SLOT_MASK) + 1;
    uint64_t to = ahead && w->tick + ahead < turn ? w->tick + ahead : turn;
    if (to > limit) {
        w->tick = limit;
        return;
    }
    w->tick = to;
    if (to == turn) {
        unsigned top = 1;
        while (top + 1 < WHEEL_LEVELS && !(to >> (WHEEL_LEVEL_BITS * top) & SLOT_MASK))
            top++;
        for (unsigned level = top; level > 0; level--)
            spill(w, level, to >> (WHEEL_LEVEL_BITS * level) & SLOT_MASK);
    }
    spill(w, 0, to & SLOT_MASK);
}

struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_us)
{
    uint64_t limit = now_us >> WHEEL_TICK_BITS;
    while (ring_is_empty(&w->expired) && w->tick < limit)
        step(w, limit);
    if (ring_is_empty(&w->expired))
        return NULL;
    struct wheel_node *node = w->expired.next;
    ring_remove(node);
    return node;
}

uint64_t wheel_next_us(const struct wheel *w)
{
    if (!ring_is_empty(&w->expired))
        return 0;
    uint64_t best = UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = WHEEL_LEVEL_BITS * level;
        unsigned ahead = next_occupied(w, level, w->tick >> shift & SLOT_MASK);
        uint64_t tick = ((w->tick >> shift) + ahead) << shift;
        if (ahead && tick < best)
            best = tick;
    }
    return best == UINT64_MAX ? best : best << WHEEL_TICK_BITS;
}
