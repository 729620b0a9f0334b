// services/registrant/core/table: found, walked, and walked a few at a time while others come and go.
#include "services/registrant/core/table.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

#define MOST 3000

struct item {
    uint64_t id; // 0: not in the table
    bool stays;  // since the walk began
    unsigned seen;
};

static void whatever_stays_is_seen_by_a_walk_that_others_come_and_go_under(void **state)
{
    (void)state;
    static struct item items[MOST];
    struct rng rng = {1};
    for (unsigned round = 0; round < 300; round++) {
        struct table t = {0};
        struct table_walk walk = {0};
        // Small tables are full of runs that go round their end.
        size_t most = round % 2 ? 40 : MOST;
        memset(items, 0, sizeof(items));
        for (size_t i = 0; i < most; i++) {
            if (rng_below(&rng, 3))
                continue;
            items[i] = (struct item){.id = rng_next(&rng) | 1, .stays = true};
            table_add(&t, &items[i].id);
        }
        for (bool over = false; !over;) {
            unsigned budget = 1 + (unsigned)rng_below(&rng, 20);
            uint64_t *found;
            while ((found = table_walk(&t, &walk, &budget)))
                container_of(found, struct item, id)->seen++;
            over = budget > 0;
            // As many come as go; a table that never stops growing is never walked to its end.
            for (uint64_t changes = rng_below(&rng, 6); changes; changes--) {
                struct item *i = &items[rng_below(&rng, most)];
                if (i->id) {
                    table_remove(&t, i->id);
                    *i = (struct item){0};
                } else if (rng_below(&rng, 2)) {
                    i->id = rng_next(&rng) | 1;
                    table_add(&t, &i->id);
                }
            }
        }
        for (size_t i = 0; i < most; i++)
            assert_true(!items[i].stays || items[i].seen > 0);
        table_done(&t);
    }
}

static void a_walk_looks_at_no_more_slots_than_it_may(void **state)
{
    (void)state;
    static uint64_t ids[1000];
    struct table t = {0};
    struct table_walk walk = {0};
    unsigned budget = 100, seen = 0;
    for (size_t i = 0; i < 1000; i++) {
        ids[i] = i + 1;
        table_add(&t, &ids[i]);
    }
    while (table_walk(&t, &walk, &budget))
        seen++;
    assert_int_equal(budget, 0);
    assert_in_range(seen, 1, 100);
    budget = 100000;
    while (table_walk(&t, &walk, &budget))
        seen++;
    assert_true(budget > 0);
    assert_in_range(seen, 1000, 1100); // the runs at the ends are looked at twice
    assert_null(table_walk(&t, &walk, &budget));
    table_done(&t);
}

static void an_empty_table_is_walked_at_once(void **state)
{
    (void)state;
    struct table t = {0};
    struct table_walk walk = {0};
    unsigned budget = 10;
    assert_null(table_walk(&t, &walk, &budget));
    assert_true(budget > 0);
}

static void all_are_found_while_it_grows_and_shrinks(void **state)
{
    (void)state;
    static uint64_t ids[MOST];
    struct table t = {0};
    struct rng rng = {2};
    for (unsigned step = 0; step < 50000; step++) {
        size_t i = rng_below(&rng, MOST);
        if (ids[i]) {
            assert_ptr_equal(table_find(&t, i + 1), &ids[i]);
            table_remove(&t, i + 1);
            ids[i] = 0;
        } else {
            ids[i] = i + 1;
            table_add(&t, &ids[i]);
        }
    }
    size_t count = 0, at = 0;
    for (size_t i = 0; i < MOST; i++) {
        count += ids[i] != 0;
        assert_ptr_equal(table_find(&t, i + 1), ids[i] ? &ids[i] : NULL);
    }
    assert_int_equal(table_count(&t), count);
    for (; table_each(&t, &at); count--)
        assert_true(count > 0);
    assert_int_equal(count, 0);
    table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_stays_is_seen_by_a_walk_that_others_come_and_go_under),
        cmocka_unit_test(a_walk_looks_at_no_more_slots_than_it_may),
        cmocka_unit_test(an_empty_table_is_walked_at_once),
        cmocka_unit_test(all_are_found_while_it_grows_and_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
