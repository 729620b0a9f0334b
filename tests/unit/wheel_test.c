// services/registrant/core/wheel and table: timers are never early and hardly late, whatever their distance;
// ids are found whatever came and went.
#include "services/registrant/core/wheel.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "services/registrant/core/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
// cmocka needs the three above
#include <cmocka.h>

#define TICK_US (UINT64_C(1) << WHEEL_TICK_BITS)
#define START   UINT64_C(987654321)

struct timed {
    struct wheel_node node;
    uint64_t due_us;
    bool fired;
};

static void a_timer_fires_once_and_not_early(void **state)
{
    (void)state;
    static struct wheel w;
    static const uint64_t distances[] = {0,
                                         1,
                                         TICK_US,
                                         TICK_US * 255,
                                         TICK_US * 256,
                                         TICK_US * 257,
                                         3000000,
                                         UINT64_C(600000000),
                                         UINT64_C(86400000000),
                                         UINT64_C(31536000000000)};
    for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
        struct timed t = {.due_us = START + distances[i]};
        wheel_init(&w, START);
        wheel_set(&w, &t.node, t.due_us);
        assert_true(wheel_is_set(&t.node));
        uint64_t now = START;
        unsigned wakes = 0;
        struct wheel_node *fired = NULL;
        while (!fired) {
            uint64_t next = wheel_next_us(&w);
            assert_true(next != UINT64_MAX);
            now = next > now ? next : now;
            fired = wheel_pop(&w, now);
            assert_true(++wakes < 8); // cascades, not ticks
            if (!fired && next <= now && next == 0)
                fail();
        }
        assert_ptr_equal(fired, &t.node);
        assert_true(now >= t.due_us && now < t.due_us + TICK_US + 1);
        assert_false(wheel_is_set(&t.node));
        assert_null(wheel_pop(&w, now + TICK_US));
        assert_true(wheel_next_us(&w) == UINT64_MAX);
    }
}

static void a_cleared_timer_does_not_fire(void **state)
{
    (void)state;
    static struct wheel w;
    struct timed a = {0}, b = {0};
    wheel_init(&w, START);
    wheel_set(&w, &a.node, START + 5000000);
    wheel_set(&w, &b.node, START + 5000000);
    wheel_clear(&w, &a.node);
    wheel_clear(&w, &a.node);
    assert_ptr_equal(wheel_pop(&w, START + 6000000), &b.node);
    assert_null(wheel_pop(&w, START + 6000000));
    wheel_set(&w, &a.node, START);
    wheel_clear(&w, &a.node);
    assert_null(wheel_pop(&w, START + 6000000));
}

static void a_moved_timer_fires_at_its_new_time(void **state)
{
    (void)state;
    static struct wheel w;
    struct timed a = {0};
    wheel_init(&w, START);
    wheel_set(&w, &a.node, START + 1000000);
    wheel_set(&w, &a.node, START + 900000000);
    assert_null(wheel_pop(&w, START + 800000000));
    assert_ptr_equal(wheel_pop(&w, START + 901000000), &a.node);
}

static void many_timers_fire_in_their_time(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static struct wheel w;
    struct timed *timers = mem_array(COUNT, sizeof(*timers));
    struct rng rng = {.state = 7};
    wheel_init(&w, START);
    for (size_t i = 0; i < COUNT; i++) {
        timers[i].due_us = START + rng_below(&rng, UINT64_C(4000000000));
        wheel_set(&w, &timers[i].node, timers[i].due_us);
        if (i % 3 == 0) { // some are set again, as refreshes are
            timers[i].due_us = START + rng_below(&rng, UINT64_C(4000000000));
            wheel_set(&w, &timers[i].node, timers[i].due_us);
        }
    }
    size_t fired = 0;
    for (uint64_t now = START; now < START + UINT64_C(4100000000); now += 10000) {
        struct wheel_node *node;
        while ((node = wheel_pop(&w, now))) {
            struct timed *t = container_of(node, struct timed, node);
            assert_false(t->fired);
            assert_true(now >= t->due_us && now - t->due_us < TICK_US + 10000);
            t->fired = true;
            fired++;
        }
    }
    assert_int_equal(fired, COUNT);
    free(timers);
}

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double cost_of_setting(size_t held, struct timed *timers, size_t measured)
{
    static struct wheel w;
    struct rng rng = {.state = 3};
    wheel_init(&w, START);
    for (size_t i = 0; i < held; i++)
        wheel_set(&w, &timers[i].node, START + rng_below(&rng, UINT64_C(3600000000)));
    double start = seconds();
    for (size_t i = 0; i < measured; i++)
        wheel_set(&w, &timers[i % 1000].node, START + rng_below(&rng, UINT64_C(3600000000)));
    return seconds() - start;
}

static void a_million_timers_make_one_no_dearer(void **state)
{
    (void)state;
    enum { MANY = 1000000, MEASURED = 300000 };
    struct timed *timers = mem_array(MANY, sizeof(*timers));
    double few = cost_of_setting(1000, timers, MEASURED);
    for (size_t i = 0; i < MANY; i++)
        timers[i] = (struct timed){0};
    double many = cost_of_setting(MANY, timers, MEASURED);
    // A list or a heap would be dearer by orders; caches alone stay below this.
    assert_true(many < few * 20 + 0.05);
    free(timers);
}

static void ids_are_found_whatever_came_and_went(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    struct table t = {0};
    uint64_t *ids = mem_array(COUNT, sizeof(*ids));
    struct rng rng = {.state = 5};
    for (uint64_t i = 0; i < COUNT; i++) {
        ids[i] = i * 16 + 1; // regular ids, as a sequence gives them
        table_add(&t, &ids[i]);
        if (i % 5 == 4)
            table_remove(&t, ids[i - rng_below(&rng, 4)]);
    }
    size_t found = 0, walked = 0, at = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t *hit = table_find(&t, ids[i]);
        assert_true(!hit || hit == &ids[i]);
        found += hit != NULL;
    }
    while (table_each(&t, &at))
        walked++;
    assert_int_equal(found, table_count(&t));
    assert_int_equal(walked, table_count(&t));
    assert_null(table_find(&t, 2));
    for (size_t i = 0; i < COUNT; i++)
        table_remove(&t, ids[i]);
    assert_int_equal(table_count(&t), 0);
    table_done(&t);
    free(ids);
}

static void a_table_grows_a_little_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct table t = {0};
    uint64_t *ids = mem_array(COUNT, sizeof(*ids));
    for (uint64_t i = 0; i < COUNT; i++) {
        ids[i] = i + 1;
        size_t before = t.now.count;
        table_add(&t, &ids[i]);
        // A new table starts empty and takes over up to sixteen at a time, never all at once.
        assert_true(t.now.count <= before + 17);
    }
    assert_true(table_bytes(&t) <= COUNT * 8 * 4);
    table_done(&t);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_once_and_not_early),
        cmocka_unit_test(a_cleared_timer_does_not_fire),
        cmocka_unit_test(a_moved_timer_fires_at_its_new_time),
        cmocka_unit_test(many_timers_fire_in_their_time),
        cmocka_unit_test(a_million_timers_make_one_no_dearer),
        cmocka_unit_test(ids_are_found_whatever_came_and_went),
        cmocka_unit_test(a_table_grows_a_little_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
