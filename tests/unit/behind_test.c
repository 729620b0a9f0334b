// services/gateway/publish/behind: when what was reported is applied, told by offsets alone; and positions,
// up to where a gateway has applied what is its own.
#include "services/gateway/publish/behind.h"

#include "common/base/base.h"
#include "services/gateway/publish/positions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void it_ends_when_what_there_was_at_first_is_applied(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 3, 8);
    assert_int_equal(behind_left(&b, 3, 100, 60), 40);
    assert_int_equal(behind_left(&b, 3, 150, 99), 1); // what came since is not waited for
    assert_int_equal(behind_left(&b, 3, 150, 100), 0);
    assert_int_equal(behind_left(&b, 3, 150, 150), 0);
}

static void what_is_not_known_is_waited_for(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 0, 1);
    assert_int_equal(behind_left(&b, 0, -1, 70), -1); // no leader says where it ends
    assert_int_equal(behind_left(&b, 0, 80, -1), -1); // no coordinator says what is applied
    assert_int_equal(behind_left(&b, 0, -1, 79), 1);
    assert_int_equal(behind_left(&b, 0, -1, 80), 0); // the end was told before
}

static void an_empty_partition_is_never_behind(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 0, 1);
    assert_int_equal(behind_left(&b, 0, 0, -1), 0);
    assert_int_equal(behind_left(&b, 0, 10, -1), 0); // nor for what came since
}

static void a_topic_that_was_made_anew_is_not_waited_for_as_the_old_one(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 0, 1);
    assert_int_equal(behind_left(&b, 0, 5, 1000), 0); // the committed offset is of the old one
    struct behind other cleanup(behind_done);
    behind_init(&other, 0, 1);
    assert_true(behind_left(&other, 0, 1000, 900) > 0);
    assert_true(behind_left(&other, 0, 5, 0) > 0); // made anew meanwhile
    assert_int_equal(behind_left(&other, 0, 7, 5), 0);
}

static void partitions_are_waited_for_each_by_itself(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 0, 5);
    assert_true(behind_left(&b, 7, 40, 0) > 0);
    assert_int_equal(behind_left(&b, 2, 3, 3), 0);
    assert_true(behind_left(&b, 0, 9, 3) > 0);
    assert_int_equal(behind_left(&b, 7, 41, 40), 0);
    assert_true(behind_left(&b, 0, 9, 8) > 0);
}

static void the_same_partition_counts_where_the_counts_are_the_same(void **state)
{
    (void)state;
    struct behind b cleanup(behind_done);
    behind_init(&b, 3, 8);
    for (int32_t n = 0; n < 8; n++)
        assert_int_equal(behind_concerns(&b, n, 8), n == 3);
    for (int32_t n = 0; n < 12; n++)
        assert_true(behind_concerns(&b, n, 12));
    assert_true(behind_concerns(&b, 0, 1));
}

struct each {
    int count;
    int64_t sum;
};

static void on_each(void *arg, const char *topic, int32_t partition, int64_t next)
{
    (void)topic, (void)partition;
    struct each *e = arg;
    e->count++;
    e->sum += next;
}

static void a_position_is_kept_while_the_partition_is_ours(void **state)
{
    (void)state;
    struct positions p cleanup(positions_done) = {0};
    assert_false(positions_set(&p, "status.any", 1, 10));
    positions_add(&p, "status.any", 1);
    positions_add(&p, "status.any", 2);
    positions_add(&p, "status.pop-1", 1);
    assert_int_equal(positions_get(&p, "status.any", 1), -1);
    assert_true(positions_set(&p, "status.any", 1, 10));
    assert_true(positions_set(&p, "status.pop-1", 1, 7));
    assert_int_equal(positions_get(&p, "status.any", 1), 10);
    assert_int_equal(positions_get(&p, "status.pop-1", 1), 7);
    struct each e = {0};
    positions_each(&p, &e, on_each);
    assert_int_equal(e.count, 2);
    assert_int_equal(e.sum, 17);
    positions_remove(&p, "status.any", 1);
    assert_int_equal(positions_get(&p, "status.any", 1), -1);
    assert_false(positions_set(&p, "status.any", 1, 11));
    positions_add(&p, "status.pop-1", 1); // given again: another may have been further meanwhile
    assert_int_equal(positions_get(&p, "status.pop-1", 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_what_there_was_at_first_is_applied),
        cmocka_unit_test(what_is_not_known_is_waited_for),
        cmocka_unit_test(an_empty_partition_is_never_behind),
        cmocka_unit_test(a_topic_that_was_made_anew_is_not_waited_for_as_the_old_one),
        cmocka_unit_test(partitions_are_waited_for_each_by_itself),
        cmocka_unit_test(the_same_partition_counts_where_the_counts_are_the_same),
        cmocka_unit_test(a_position_is_kept_while_the_partition_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
