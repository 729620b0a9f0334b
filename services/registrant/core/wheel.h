// Timers of all registrations: a hierarchical wheel (Varghese and Lauck), intrusive, so that setting,
// clearing and expiring cost the same with ten timers or a million. Never early; late by at most one tick.
// Refuses to know what a timer is for: the owner finds that by `kind`.
#ifndef ROLLCALL_REGISTRANT_CORE_WHEEL_H
#define ROLLCALL_REGISTRANT_CORE_WHEEL_H

#include "common/base/base.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_BITS  13 // a tick is 8.192 ms
#define WHEEL_LEVEL_BITS 8
#define WHEEL_SLOTS      (1u << WHEEL_LEVEL_BITS)
#define WHEEL_LEVELS     4 // reaches 407 days; later timers fire at its end and are set again by their owner

// Lives in what it times. All zero is "not set".
struct wheel_node {
    struct wheel_node *prev, *next;
    uint64_t due_tick : 56;
    uint64_t kind : 8; // the owner's; the wheel leaves it alone
};

struct wheel {
    uint64_t tick; // everything due up to here is in `expired` or was given out
    struct wheel_node expired;
    struct wheel_node slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
};

void wheel_init(struct wheel *w, uint64_t now_us);

// Sets or moves the timer. A time that is past expires at the next wheel_pop.
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_us);
void wheel_clear(struct wheel *w, struct wheel_node *node); // harmless when it is not set
bool wheel_is_set(const struct wheel_node *node);

// The next node that is due at now_us, no longer set, or NULL. Time never goes back.
struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_us);

// When wheel_pop may have something next (a cascade counts): 0 at once, UINT64_MAX never.
uint64_t wheel_next_us(const struct wheel *w);

#endif
