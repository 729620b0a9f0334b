// A place whose group puts it out: its partitions go on as if they were lost, another consumer joins, and
// only one that is put out again at once has a twin.
#include "tests/unit/place_fixture.h"

#include "services/registrant/shard/fence.h"

#define MINUTE_US UINT64_C(60000000)

enum { SOON_MS = 5000 };

// ---- the rule

static void one_fenced_for_the_first_time_joins_again(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms = 0;
    fence_joined(&f, 1000);
    assert_true(fence_again(&f, 2000, &pause_ms)); // however soon after the start: only the second tells
    assert_int_equal(pause_ms, 500);
}

static void one_fenced_twice_within_a_minute_may_have_met_a_coordinator_that_failed_twice(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms = 0;
    fence_joined(&f, MINUTE_US);
    assert_true(fence_again(&f, MINUTE_US + 1, &pause_ms));
    fence_joined(&f, MINUTE_US + 2);
    assert_true(fence_again(&f, MINUTE_US + 3, &pause_ms));
    assert_int_equal(pause_ms, 1000);
}

static void one_fenced_for_the_third_time_within_a_minute_of_joining_has_a_twin(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms;
    assert_true(fence_again(&f, 1, &pause_ms));
    fence_joined(&f, 2);
    assert_true(fence_again(&f, MINUTE_US, &pause_ms));
    fence_joined(&f, MINUTE_US);
    fence_joined(&f, MINUTE_US + MINUTE_US / 2); // the group settled once more
    assert_false(fence_again(&f, 2 * MINUTE_US - 1, &pause_ms));
}

static void what_was_calm_for_a_minute_in_between_counts_anew(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms;
    for (uint64_t hour = 1; hour < 10; hour++) {
        uint64_t now_us = hour * 60 * MINUTE_US;
        fence_joined(&f, now_us);
        assert_true(fence_again(&f, now_us + MINUTE_US, &pause_ms));
        fence_joined(&f, now_us + MINUTE_US + 1);
        assert_true(fence_again(&f, now_us + MINUTE_US + 2, &pause_ms));
    }
}

static void one_fenced_again_after_a_minute_has_none(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms = 0;
    for (uint64_t hour = 1; hour < 100; hour++) {
        uint64_t now_us = hour * 60 * MINUTE_US;
        fence_joined(&f, now_us);
        assert_true(fence_again(&f, now_us + MINUTE_US, &pause_ms));
        assert_int_equal(pause_ms, 500);
    }
}

static void one_fenced_again_after_kafka_was_away_has_none(void **state)
{
    (void)state;
    struct fence f = {0};
    uint32_t pause_ms = 0;
    assert_true(fence_again(&f, MINUTE_US, &pause_ms));
    fence_away(&f); // the present one has not joined yet
    fence_joined(&f, MINUTE_US + 1000);
    fence_away(&f);
    assert_true(fence_again(&f, MINUTE_US + 2000, &pause_ms));
    assert_int_equal(pause_ms, 500);
    fence_away(&f);
    fence_joined(&f, MINUTE_US + 3000);
    assert_true(fence_again(&f, MINUTE_US + 4000, &pause_ms));
    fence_joined(&f, MINUTE_US + 5000);
    assert_false(fence_again(&f, MINUTE_US + 6000, &pause_ms));
}

static void one_that_never_becomes_a_member_tries_ever_more_slowly_and_then_gives_up(void **state)
{
    (void)state;
    static const uint32_t pauses_ms[] = {500, 1000, 2000, 4000, 8000, 16000};
    struct fence f = {0};
    uint32_t pause_ms = 0;
    for (size_t i = 0; i < ARRAY_LEN(pauses_ms); i++) {
        assert_true(fence_again(&f, 10 * MINUTE_US * (i + 1), &pause_ms));
        assert_int_equal(pause_ms, pauses_ms[i]);
    }
    assert_false(fence_again(&f, 1000 * MINUTE_US, &pause_ms));
}

// ---- the place

// As common/kafka does: all that is ours is lost first.
static void put_out(const int32_t *ours, size_t count)
{
    struct error why;
    error_set(&why, -ESTALE, "fenced");
    for (size_t i = 0; i < count; i++)
        revoke(ours[i], true);
    world.group.on_fatal(world.group.arg, &why);
}

static void until_joined(struct fixture *f, size_t count)
{
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (world.joined < count && clock_monotonic_us() < end_us)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(world.joined, count);
}

static void what_a_fenced_place_had_goes_on_from_memory_with_another_consumer(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    open_one(1);
    settle();
    world.group.on_commit(world.group.arg, NULL, clock_monotonic_us());
    const struct kafka_consumer_params before = world.group;
    put_out((int32_t[]){0, 1}, 2);
    expect("park 0, release 0, park 1, release 1");
    assert_false(lease_is_fresh(place_lease(f->place), clock_monotonic_us()));
    assert_int_equal(world.joined, 1); // not at once
    until_joined(f, 2);
    assert_int_equal(world.left, 1);
    assert_ptr_equal(world.group.arg, before.arg);
    assert_int_equal(place_counts(f->place).parked, 2);
    assign(0);
    snapshot_is_whole(0);
    expect("fetch 0, unpark 0, resume 0");
    settle(); // the other one went to another
    expect("drop 1");
    assert_int_equal(place_counts(f->place).owned, 1);
    assert_int_equal(world.given_up, 0);
    closed(f, 1);
}

static void a_place_whose_new_consumers_are_put_out_too_is_given_up(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    settle();
    put_out((int32_t[]){0}, 1);
    expect("park 0, release 0");
    for (size_t consumers = 2; consumers <= 3; consumers++) {
        assert_int_equal(world.given_up, 0);
        until_joined(f, consumers);
        assign(0);
        settle();
        put_out((int32_t[]){0}, 1);
        expect("fetch 0, cancel 0, release 0");
    }
    assert_int_equal(world.given_up, 1);
    assert_int_equal(place_counts(f->place).parked, 1); // refreshed until the registrant has handed over
}

static void one_that_is_being_taken_or_loaded_when_the_place_is_put_out_is_loaded_anew(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, false);
    assign(1);
    expect("close 0, load 1, fetch 1");
    put_out((int32_t[]){0, 1}, 2);
    expect("release 0, cancel 1, drop 1, release 1");
    until_joined(f, 2);
    assign(0);
    assign(1);
    settle();
    expect("");
    closed(f, 0);
    closed(f, 1);
    expect("load 0, fetch 0, load 1, fetch 1");
    snapshot_is_whole(0);
    snapshot_is_whole(1);
    expect("open 0, resume 0, open 1, resume 1");
}

static void a_place_put_out_again_after_kafka_was_away_joins_again(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    put_out((int32_t[]){0}, 1);
    until_joined(f, 2);
    assign(0);
    settle();
    world.commit_count = 0;
    world.group.on_health(world.group.arg, false);
    world.group.on_health(world.group.arg, true);
    assert_int_equal(world.commit_count, 1); // whether we are a member still is asked at once
    put_out((int32_t[]){0}, 1);
    assert_int_equal(world.given_up, 0);
    until_joined(f, 3);
    expect("park 0, release 0, fetch 0, cancel 0, release 0");
}

// The session ended while commits were under way: see common/kafka.
static void a_place_whose_session_ended_with_commits_under_way_joins_anew_at_once_however_often(void **state)
{
    struct fixture *f = *state;
    struct error why;
    error_set(&why, -EAGAIN, "outlived");
    open_one(0);
    for (size_t consumers = 2; consumers <= MEMBERS; consumers++) {
        settle();
        revoke(0, true);
        world.group.on_fatal(world.group.arg, &why);
        turn(f);
        assert_int_equal(world.joined, consumers);
        assign(0);
    }
    assert_int_equal(world.given_up, 0);
    assert_int_equal(place_counts(f->place).rejoins, MEMBERS - 1);
}

static int timers(const struct fixture *f)
{
    return event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED);
}

static void a_place_that_stops_meanwhile_joins_no_more(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    int before = timers(f);
    put_out((int32_t[]){0}, 1);
    assert_int_equal(timers(f), before + 1);
    place_stop(f->place);
    assert_int_equal(timers(f), before);
    expect("park 0, release 0");
}

static void a_place_put_out_while_it_stops_is_neither_given_up_nor_joined_again(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    place_stop(f->place);
    int before = timers(f);
    put_out((int32_t[]){0}, 1);
    assert_int_equal(timers(f), before);
    assert_int_equal(world.given_up, 0);
    expect("park 0, release 0");
}

static void a_place_that_cannot_make_another_consumer_tries_again(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    int before = timers(f);
    world.no_kafka = true;
    put_out((int32_t[]){0}, 1);
    expect("park 0, release 0");
    (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(world.joined, 1);
    assert_int_equal(world.left, 0); // partitions hold it
    assert_int_equal(timers(f), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fenced_for_the_first_time_joins_again),
        cmocka_unit_test(one_fenced_twice_within_a_minute_may_have_met_a_coordinator_that_failed_twice),
        cmocka_unit_test(one_fenced_for_the_third_time_within_a_minute_of_joining_has_a_twin),
        cmocka_unit_test(what_was_calm_for_a_minute_in_between_counts_anew),
        cmocka_unit_test(one_fenced_again_after_a_minute_has_none),
        cmocka_unit_test(one_fenced_again_after_kafka_was_away_has_none),
        cmocka_unit_test(one_that_never_becomes_a_member_tries_ever_more_slowly_and_then_gives_up),
        TEST(what_a_fenced_place_had_goes_on_from_memory_with_another_consumer),
        TEST(a_place_whose_new_consumers_are_put_out_too_is_given_up),
        TEST(a_place_put_out_again_after_kafka_was_away_joins_again),
        TEST(one_that_is_being_taken_or_loaded_when_the_place_is_put_out_is_loaded_anew),
        TEST(a_place_whose_session_ended_with_commits_under_way_joins_anew_at_once_however_often),
        TEST(a_place_that_stops_meanwhile_joins_no_more),
        TEST(a_place_put_out_while_it_stops_is_neither_given_up_nor_joined_again),
        TEST(a_place_that_cannot_make_another_consumer_tries_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
