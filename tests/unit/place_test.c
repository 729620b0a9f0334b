// A place between its group, its snapshots and the SIP threads, all of which are this test's own: what is
// asked of each is written down as a line, and the test says what they answer.
#include "services/registrant/shard/place.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/registrant/shard/partition.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs setjmp, stdarg, stddef and stdint before it
#include <cmocka.h>

enum { PARTITIONS = 4, COMMITS = 16 };

// ---- what the place stands on

struct snapshot {
    struct snapshot_params params;
    bool paused;
};

static struct {
    struct buf log; // "load 0, open 0, …"
    struct kafka_consumer_params group;
    struct snapshot *snapshots[PARTITIONS];
    size_t pending;                        // reports of any shard
    unsigned given[PARTITIONS], last_kind; // DESIRED commands
    uint64_t epochs[PARTITIONS];           // of the last OPEN or UNPARK
    int32_t commits[COMMITS];
    size_t commit_count;
    unsigned lease_calls;
} world;

static void note(const char *what, int32_t partition)
{
    buf_addf(&world.log, "%s%s %d", world.log.n ? ", " : "", what, partition);
}

// Everything that was asked since the last look.
static void expect(const char *lines)
{
    char *seen = world.log.n ? str_dup(buf_str(&world.log)) : mem_dup_cstr("");
    buf_clear(&world.log);
    assert_string_equal(seen, lines);
    free(seen);
}

int kafka_consumer_new(const struct kafka_consumer_params *p, struct kafka_consumer **ret, struct error *err)
{
    (void)err;
    world.group = *p;
    *ret = (struct kafka_consumer *)&world;
    return 0;
}

void kafka_consumer_free(struct kafka_consumer *c, uint32_t timeout_ms)
{
    (void)c, (void)timeout_ms;
}

int32_t kafka_consumer_partitions(struct kafka_consumer *c, const char *topic)
{
    (void)c, (void)topic;
    return PARTITIONS;
}

void kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)c, (void)topic;
    note("pause", partition);
}

void kafka_consumer_resume(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)c, (void)topic;
    note("resume", partition);
}

void kafka_consumer_release(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)c, (void)topic;
    note("release", partition);
}

void kafka_consumer_commit(struct kafka_consumer *c, const char *topic, int32_t partition,
                           int64_t next_offset)
{
    (void)c, (void)topic, (void)next_offset;
    if (world.commit_count < COMMITS)
        world.commits[world.commit_count++] = partition;
}

struct snapshot *snapshot_start(const struct snapshot_params *p)
{
    struct snapshot *s = mem_alloc(sizeof(*s));
    s->params = *p;
    assert_null(world.snapshots[p->partition]); // one at a time
    world.snapshots[p->partition] = s;
    note("fetch", p->partition);
    return s;
}

void snapshot_pause(struct snapshot *s, bool paused)
{
    s->paused = paused;
}

void snapshot_cancel(struct snapshot *s)
{
    world.snapshots[s->params.partition] = NULL;
    note("cancel", s->params.partition);
    free(s);
}

unsigned workers_count(const struct workers *w)
{
    (void)w;
    return 1;
}

void workers_desired(struct workers *w, struct sip_command *take)
{
    (void)w;
    world.given[take->shard & 0xffff]++;
    sip_command_free(take);
}

void workers_tell_all(struct workers *w, const struct sip_command *c)
{
    static const char *const names[] = {
        [SIP_SHARD_LOAD] = "load", [SIP_SHARD_OPEN] = "open",     [SIP_SHARD_CLOSE] = "close",
        [SIP_SHARD_PARK] = "park", [SIP_SHARD_UNPARK] = "unpark", [SIP_SHARD_DROP] = "drop"};
    (void)w;
    uint32_t partition = c->shard & 0xffff;
    if (c->kind == SIP_SHARD_OPEN || c->kind == SIP_SHARD_UNPARK)
        world.epochs[partition] = c->epoch;
    note(names[c->kind], (int32_t)partition);
}

size_t reporter_pending(const struct reporter *r, uint32_t shard)
{
    (void)r, (void)shard;
    return world.pending;
}

// ---- fixture

struct fixture {
    struct event_base *base;
    struct place *place;
};

static void on_lease(void *arg)
{
    (void)arg;
    world.lease_calls++;
}

static void on_fatal(void *arg)
{
    (void)arg;
    fail();
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct error err;
    memset(&world, 0, sizeof(world));
    f->base = event_base_new();
    const struct place_params params = {
        .base = f->base,
        .name = "any",
        .index = 2,
        .topic_prefix = "t",
        .node = "n",
        .session_timeout_ms = 60000, // its timer stays out of the tests
        .on_lease = on_lease,
        .on_fatal = on_fatal,
    };
    assert_int_equal(place_start(&params, &f->place, &err), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    place_leave(f->place, 0);
    for (size_t i = 0; i < PARTITIONS; i++)
        assert_null(world.snapshots[i]);
    buf_done(&world.log);
    event_base_free(f->base);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void assign(int32_t partition)
{
    world.group.on_assigned(world.group.arg, "t.changes.any", partition);
}

static void revoke(int32_t partition, bool lost)
{
    world.group.on_revoked(world.group.arg, "t.changes.any", partition, lost);
}

static void settle(void)
{
    world.group.on_rebalanced(world.group.arg);
}

static void closed(struct fixture *f, int32_t partition)
{
    place_closed(f->place, 2u << 16 | (uint32_t)partition);
}

static void entry_of_epoch(int32_t partition, uint64_t epoch)
{
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    status_init(&c->last);
    c->has_last = true;
    c->last.epoch = epoch;
    struct snapshot *s = world.snapshots[partition];
    assert_non_null(s);
    s->params.on_entry(s->params.arg, c);
}

static void snapshot_is_whole(int32_t partition)
{
    struct snapshot *s = world.snapshots[partition];
    assert_non_null(s);
    world.snapshots[partition] = NULL;
    s->params.on_done(s->params.arg);
    free(s);
}

static void open_one(int32_t partition)
{
    char lines[80];
    assign(partition);
    snapshot_is_whole(partition);
    (void)snprintf(lines, sizeof(lines), "load %d, fetch %d, open %d, resume %d", partition, partition,
                   partition, partition);
    expect(lines);
}

// To the partition of its key.
static void deliver(const char *key, const char *value)
{
    const struct kafka_record r = {.topic = "t.changes.any",
                                   .partition = (int32_t)hash_partition(str_of(key), PARTITIONS),
                                   .key = str_of(key),
                                   .value = str_of(value)};
    world.group.on_records(world.group.arg, &r, 1);
}

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
    struct partition_home home = {.topic = "t.changes.any", .place = "any", .partition_count = 1};
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_is_opened_with_an_epoch_above_all_in_its_snapshot),
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
        TEST(what_cannot_be_a_change_is_counted_and_skipped),
        TEST(a_record_in_another_partition_than_its_key_says_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
