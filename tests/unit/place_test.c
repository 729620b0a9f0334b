// What a place makes of what its group gives and takes, of commits and of records.
#include "tests/unit/place_fixture.h"

// ---- taking over

static void a_partition_is_opened_with_an_epoch_above_all_in_its_snapshot(void **state)
{
    (void)state;
    uint64_t ahead = clock_wall_ms() + 3600000;
    assign(1);
    entry_of_epoch(1, ahead);
    entry_of_epoch(1, 7);
    snapshot_is_whole(1);
    expect("load 1, fetch 1, open 1, resume 1");
    assert_int_equal(world.epochs[1], ahead + 1);
    assert_int_equal(world.given[1], 2);
}

static void a_partition_taken_while_it_is_loaded_is_dropped_and_then_released(void **state)
{
    struct fixture *f = *state;
    assign(0);
    expect("load 0, fetch 0");
    revoke(0, false);
    expect("cancel 0, drop 0");
    closed(f, 0);
    turn(f);
    expect("release 0");
    open_one(0);
}

static void a_partition_lost_while_it_is_loaded_is_loaded_anew(void **state)
{
    struct fixture *f = *state;
    assign(0);
    revoke(0, true);
    expect("load 0, fetch 0, cancel 0, drop 0, release 0");
    assign(0); // before the SIP threads let it go
    expect("");
    closed(f, 0);
    expect("load 0, fetch 0");
    snapshot_is_whole(0);
    expect("open 0, resume 0");
}

// ---- letting go

static void a_revoked_partition_is_released_once_its_reports_are_acknowledged(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, false);
    expect("close 0");
    turn(f);
    expect("");
    world.pending = 1;
    closed(f, 0);
    turn(f);
    expect("");
    world.pending = 0;
    uint64_t end_us = clock_monotonic_us() + 2000000;
    while (!world.log.n && clock_monotonic_us() < end_us)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    expect("release 0");
    open_one(0);
}

static void one_lost_while_it_is_closed_and_given_back_at_once_is_loaded_anew(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, false);
    revoke(0, true);
    expect("close 0, release 0");
    assign(0); // the SIP threads still finish what is in flight
    expect("");
    closed(f, 0);
    expect("load 0, fetch 0");
    snapshot_is_whole(0);
    expect("open 0, resume 0");
}

static void one_lost_while_its_reports_are_flushed_is_loaded_anew(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    world.pending = 1;
    revoke(0, false);
    closed(f, 0);
    turn(f);
    revoke(0, true);
    expect("close 0, release 0");
    assign(0);
    expect("load 0, fetch 0");
    turn(f);
    expect("");
}

static void the_group_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct partition_home home = {.consumer = (struct kafka_consumer *)world.members,
                                  .topic = "t.changes.any",
                                  .place = "any",
                                  .partition_count = 1};
    struct partition p = {.home = &home, .state = PARTITION_OPEN};
    partition_revoked(&p);
    assert_true(partition_end(&p, clock_monotonic_us()));
    expect("close 0");
    assert_false(partition_end(&p, p.end_by_us + 1)); // reports that nobody takes
    expect("release 0");
    partition_assigned(&p);
    expect("");
    partition_closed(&p);
    expect("load 0, fetch 0");
    partition_stop_loading(&p);
    expect("cancel 0");
}

static void one_revoked_while_it_is_dropped_is_released_after_its_last_reports(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, true);
    assign(0);
    entry_of_epoch(0, UINT64_C(1) << 60);
    expect("park 0, release 0, fetch 0");
    snapshot_is_whole(0); // another had it
    expect("drop 0");
    revoke(0, false);
    expect("");
    closed(f, 0);
    turn(f);
    expect("release 0");
}

// ---- lost

static void a_lost_partition_that_nobody_had_goes_on_from_memory(void **state)
{
    (void)state;
    open_one(0);
    uint64_t before = world.epochs[0];
    revoke(0, true);
    expect("park 0, release 0");
    assign(0);
    entry_of_epoch(0, before);
    assert_int_equal(world.given[0], 1); // at once: a whole snapshot is not kept in this thread
    snapshot_is_whole(0);
    settle();
    expect("fetch 0, unpark 0, resume 0");
    assert_true(world.epochs[0] > before);
}

static void a_lost_partition_that_another_had_is_dropped_and_loaded(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, true);
    assign(0);
    entry_of_epoch(0, UINT64_C(1) << 60);
    snapshot_is_whole(0);
    expect("park 0, release 0, fetch 0, drop 0");
    closed(f, 0);
    expect("load 0, fetch 0");
    snapshot_is_whole(0);
    expect("open 0, resume 0");
}

static void a_lost_partition_that_is_not_given_back_is_dropped(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    open_one(1);
    revoke(0, true);
    revoke(1, true);
    expect("park 0, release 0, park 1, release 1");
    assign(1);
    settle();
    expect("fetch 1, drop 0");
    closed(f, 0);
    expect("");
    assert_int_equal(place_counts(f->place).parked, 0);
}

static void one_lost_again_while_its_snapshot_is_read_stays_parked(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, true);
    assign(0);
    revoke(0, true);
    expect("park 0, release 0, fetch 0, cancel 0, release 0");
    assert_int_equal(place_counts(f->place).parked, 1);
    assign(0);
    snapshot_is_whole(0);
    expect("fetch 0, unpark 0, resume 0");
}

// ---- pushing back

static void what_is_opened_while_the_queues_are_full_waits_too(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    place_congestion(f->place, true);
    expect("pause 0");
    assign(1);
    assert_true(world.snapshots[1]->paused);
    snapshot_is_whole(1);
    expect("load 1, fetch 1, open 1");
    place_congestion(f->place, false);
    expect("resume 0, resume 1");
}

// ---- the lease

static void membership_is_proved_as_soon_as_the_group_has_settled(void **state)
{
    struct fixture *f = *state;
    assign(0);
    settle();
    assert_int_equal(world.commit_count, 1);
    assert_false(lease_is_fresh(place_lease(f->place), clock_monotonic_us()));
    world.group.on_commit(world.group.arg, NULL, clock_monotonic_us());
    assert_true(lease_is_fresh(place_lease(f->place), clock_monotonic_us()));
    assert_int_equal(world.lease_calls, 1);
    revoke(0, true);
    assert_false(lease_is_fresh(place_lease(f->place), clock_monotonic_us()));
}

static void membership_goes_on_being_proved_while_a_partition_is_let_go(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    revoke(0, false);
    settle();
    assert_int_equal(world.commit_count, 1);
    assert_true(place_has_partitions(f->place)); // what is in flight for it may be finished
    closed(f, 0);
    turn(f);
    settle();
    assert_int_equal(world.commit_count, 1);
    assert_false(place_has_partitions(f->place));
    expect("close 0, release 0");
}

static void a_refused_first_proof_is_asked_for_again_soon(void **state)
{
    struct fixture *f = *state;
    struct error busy;
    assign(0);
    settle();
    error_set(&busy, -EBUSY, "rebalancing");
    world.group.on_commit(world.group.arg, &busy, clock_monotonic_us());
    uint64_t end_us = clock_monotonic_us() + 5000000; // a fifth of the session is 12 s here
    while (world.commit_count < 2)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(clock_monotonic_us() < end_us);
}

// ---- records

#define CHANGE(id, spec_id)                                                                                  \
    "{\"v\":1,\"id\":" #id ",\"account\":\"a\",\"revision\":1,\"op\":\"desired\",\"spec\":{\"id\":" #spec_id \
    ",\"account\":\"a\",\"name\":\"n\",\"domain\":\"example.com\",\"username\":\"u\","                       \
    "\"contacts\":[{\"uri\":\"sip:u@192.0.2.1\"}]}}"

static unsigned given_to_all(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < PARTITIONS; i++)
        sum += world.given[i];
    return sum;
}

static void what_cannot_be_a_change_is_counted_and_skipped(void **state)
{
    struct fixture *f = *state;
    for (int32_t i = 0; i < PARTITIONS; i++)
        open_one(i);
    deliver("7", CHANGE(7, 7));
    assert_int_equal(given_to_all(), 1);
    static const char *const bad[][2] = {
        {"7", ""},
        {"7", "no json"},
        {"7", "[]"},
        {"8", CHANGE(7, 7)}, // another's key
        {"7", CHANGE(7, 9)}, // another's specification
        {"7", "{\"v\":2,\"id\":7,\"op\":\"moved\",\"revision\":1}"},
        {"7", "{\"v\":1,\"id\":7,\"op\":\"dance\"}"},
        {"7", "{\"v\":1,\"id\":7,\"op\":\"desired\",\"revision\":1}"},
        {"7", "{\"v\":1,\"op\":\"moved\",\"revision\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        deliver(bad[i][0], bad[i][1]);
        assert_int_equal(place_counts(f->place).poison, i + 1);
    }
    assert_int_equal(given_to_all(), 1);
    expect("");
}

static void a_record_in_another_partition_than_its_key_says_is_skipped(void **state)
{
    struct fixture *f = *state;
    int32_t home = (int32_t)hash_partition(STR_LIT("7"), PARTITIONS);
    const struct kafka_record stray = {.topic = "t.changes.any",
                                       .partition = (home + 1) % PARTITIONS,
                                       .key = STR_LIT("7"),
                                       .value = STR_LIT(CHANGE(7, 7))};
    struct kafka_record keyless = stray;
    keyless.key = STR_NONE;
    for (int32_t i = 0; i < PARTITIONS; i++)
        open_one(i);
    world.group.on_records(world.group.arg, &stray, 1);
    world.group.on_records(world.group.arg, &keyless, 1);
    assert_int_equal(place_counts(f->place).poison, 2);
    assert_int_equal(given_to_all(), 0);
    expect("");
}

// Read on from where the group had committed: what the snapshot must know of already is told from news.
static void a_change_of_before_the_assignment_is_told_from_a_new_one(void **state)
{
    (void)state;
    int32_t home = (int32_t)hash_partition(STR_LIT("7"), PARTITIONS);
    struct kafka_record r = {.topic = "t.changes.any",
                             .partition = home,
                             .offset = 4,
                             .key = STR_LIT("7"),
                             .value = STR_LIT(CHANGE(7, 7))};
    world.end = 5;
    open_one(home);
    world.group.on_records(world.group.arg, &r, 1);
    assert_int_equal(world.replayed, 1);
    r.offset = 5;
    world.group.on_records(world.group.arg, &r, 1);
    assert_int_equal(world.replayed, 1);
    assert_int_equal(world.given[home], 2);
}

// Deleted and made again while it is read: its offsets begin again, below what was its end.
static void no_record_of_a_topic_that_was_made_anew_is_taken_for_an_old_one(void **state)
{
    (void)state;
    int32_t home = (int32_t)hash_partition(STR_LIT("7"), PARTITIONS);
    struct kafka_record r = {.topic = "t.changes.any",
                             .partition = home,
                             .offset = 5,
                             .key = STR_LIT("7"),
                             .value = STR_LIT(CHANGE(7, 7))};
    world.end = 5;
    open_one(home);
    world.group.on_records(world.group.arg, &r, 1);
    world.end = -1; // as the consumer tells with the first of them
    r.offset = 0;
    world.group.on_records(world.group.arg, &r, 1);
    assert_int_equal(world.replayed, 0);
    assert_int_equal(world.given[home], 2);
}

// Changes as a sweep sends them, with what was reported last.
#define SWEPT(place, epoch)                                                                                  \
    "{\"v\":1,\"id\":7,\"account\":\"a\",\"revision\":1,\"op\":\"moved\",\"status\":{\"v\":1,\"id\":7,"      \
    "\"account\":\"a\",\"place\":\"" place "\",\"epoch\":" #epoch                                            \
    ",\"seq\":1,\"revision\":1,\"state\":\"pending\"}}"

static void a_higher_epoch_that_was_reported_is_outdone_by_a_proved_owner(void **state)
{
    struct fixture *f = *state;
    char lines[16];
    uint32_t home = hash_partition(STR_LIT("7"), PARTITIONS);
    open_one((int32_t)home);
    uint64_t before = world.epochs[home];
    deliver("7", SWEPT("any", 4000000000000000));
    expect(""); // whoever has no lease may be the one that was outdone
    world.group.on_commit(world.group.arg, NULL, clock_monotonic_us());
    deliver("7", SWEPT("pop-1", 4000000000000000)); // epochs of two places cannot be compared
    deliver("7", SWEPT("any", 1));
    expect("");
    assert_int_equal(world.epochs[home], before);
    deliver("7", SWEPT("any", 4000000000000000));
    (void)snprintf(lines, sizeof(lines), "open %u", home);
    expect(lines);
    assert_int_equal(world.epochs[home], UINT64_C(4000000000000001));
    assert_int_equal(place_counts(f->place).poison, 0);
}

// ---- another number of partitions

enum { SHORT_SESSION_MS = 600 };

static int set_up_short_session(void **state)
{
    return set_up_with_session(state, SHORT_SESSION_MS);
}

static void a_topic_with_more_partitions_is_taken_over_anew(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    open_one(1);
    settle();
    world.partitions = MORE_PARTITIONS;
    world.pending = 1;
    assign(4); // by the group's present consumer
    expect("close 0, close 1");
    assert_int_not_equal(place_counts(f->place).loading, 0);
    revoke(1, false); // the group goes on giving them out meanwhile
    closed(f, 0);
    closed(f, 1);
    turn(f);
    assert_int_equal(world.left, 0); // reports are on their way
    world.pending = 0;
    while (world.left < 1)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    uint64_t left_us = clock_monotonic_us();
    while (world.joined < 2)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(clock_monotonic_us() - left_us >= SHORT_SESSION_MS * 1000); // the group has missed us
    assert_int_equal(world.left, 1);
    expect("release 0, release 1");
    open_one(5);
    settle();
    const struct place_counts counts = place_counts(f->place);
    assert_int_equal(counts.owned, 1);
    assert_int_equal(counts.loading, 0);
    assert_int_equal(counts.recounts, 1);
}

static void what_is_loaded_parked_or_let_go_of_when_the_count_changes_is_waited_for(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    open_one(1);
    revoke(0, true);
    revoke(1, false);
    assign(2);
    expect("park 0, release 0, close 1, load 2, fetch 2");
    world.partitions = 2; // it was deleted, and made again with other settings
    assign(3);
    expect("drop 0, cancel 2, drop 2");
    closed(f, 0);
    closed(f, 2);
    turn(f);
    assert_int_equal(world.joined, 1);
    closed(f, 1);
    while (world.joined < 2)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    expect("release 2, release 1");
    open_one(1);
}

static void a_place_that_stops_while_the_count_changes_joins_no_more(void **state)
{
    struct fixture *f = *state;
    open_one(0);
    world.partitions = MORE_PARTITIONS;
    assign(4);
    place_stop(f->place);
    closed(f, 0);
    while (place_has_partitions(f->place))
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    turn(f);
    assert_int_equal(world.joined, 1);
    expect("close 0, release 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_is_opened_with_an_epoch_above_all_in_its_snapshot),
        cmocka_unit_test_setup_teardown(a_topic_with_more_partitions_is_taken_over_anew, set_up_short_session,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_loaded_parked_or_let_go_of_when_the_count_changes_is_waited_for, set_up_short_session,
            tear_down),
        TEST(a_place_that_stops_while_the_count_changes_joins_no_more),
        TEST(a_partition_taken_while_it_is_loaded_is_dropped_and_then_released),
        TEST(a_partition_lost_while_it_is_loaded_is_loaded_anew),
        TEST(a_revoked_partition_is_released_once_its_reports_are_acknowledged),
        TEST(one_lost_while_it_is_closed_and_given_back_at_once_is_loaded_anew),
        TEST(one_lost_while_its_reports_are_flushed_is_loaded_anew),
        TEST(the_group_does_not_wait_for_ever),
        TEST(one_revoked_while_it_is_dropped_is_released_after_its_last_reports),
        TEST(a_lost_partition_that_nobody_had_goes_on_from_memory),
        TEST(a_lost_partition_that_another_had_is_dropped_and_loaded),
        TEST(a_lost_partition_that_is_not_given_back_is_dropped),
        TEST(one_lost_again_while_its_snapshot_is_read_stays_parked),
        TEST(what_is_opened_while_the_queues_are_full_waits_too),
        TEST(membership_is_proved_as_soon_as_the_group_has_settled),
        TEST(membership_goes_on_being_proved_while_a_partition_is_let_go),
        TEST(a_refused_first_proof_is_asked_for_again_soon),
        TEST(a_higher_epoch_that_was_reported_is_outdone_by_a_proved_owner),
        TEST(a_change_of_before_the_assignment_is_told_from_a_new_one),
        TEST(no_record_of_a_topic_that_was_made_anew_is_taken_for_an_old_one),
        TEST(what_cannot_be_a_change_is_counted_and_skipped),
        TEST(a_record_in_another_partition_than_its_key_says_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
