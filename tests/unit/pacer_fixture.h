// A pacer with one registrar, its timers, and a clock that the test moves.
#ifndef ROLLCALL_TESTS_UNIT_PACER_FIXTURE_H
#define ROLLCALL_TESTS_UNIT_PACER_FIXTURE_H

#include "services/registrant/core/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

struct bench {
    struct wheel wheel;
    struct pacer *pacer;
    struct pacer_target *target;
    uint64_t now;
};

static inline void begin_with(struct bench *b, struct pacer_params p)
{
    b->now = START;
    wheel_init(&b->wheel, b->now);
    p.wheel = &b->wheel;
    b->pacer = pacer_new(&p);
    b->target = pacer_target_get(b->pacer, STR_LIT("udp:a:0"));
}

static inline void end(struct bench *b)
{
    pacer_target_put(b->pacer, &b->target);
    pacer_free(b->pacer);
}

static inline void pass(struct bench *b, uint64_t us)
{
    struct wheel_node *node;
    b->now += us;
    while ((node = wheel_pop(&b->wheel, b->now)))
        pacer_wake(b->pacer, node, b->now);
}

static inline struct pacer_item *next(struct bench *b)
{
    return pacer_next(b->pacer, b->now);
}

static inline void wait_new(struct bench *b, struct pacer_item *item)
{
    pacer_wait(b->pacer, b->target, item, PACE_NEW, 0, b->now);
}

#endif
