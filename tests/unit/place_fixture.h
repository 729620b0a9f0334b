// A place between its group, its snapshots and the SIP threads, all of which are the test's own: what is
// asked of each is written down as a line, and the test says what they answer.
#ifndef ROLLCALL_TESTS_PLACE_FIXTURE_H
#define ROLLCALL_TESTS_PLACE_FIXTURE_H

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

enum { PARTITIONS = 4, MORE_PARTITIONS = 6, COMMITS = 16, MEMBERS = 8 };

// ---- what the place stands on

struct snapshot {
    struct snapshot_params params;
    bool paused;
};

static struct {
    struct buf log; // "load 0, open 0, …"
    struct kafka_consumer_params group;
    char members[MEMBERS]; // consumers, in the order in which they were made
    size_t joined, left;
    bool no_kafka;      // none can be made
    int64_t end;        // of every partition when it is assigned
    int32_t partitions; // of the topic
    struct snapshot *snapshots[MORE_PARTITIONS];
    size_t pending;                             // reports of any shard
    unsigned given[MORE_PARTITIONS], last_kind; // DESIRED commands
    unsigned replayed;                          // of them, those of before the assignment
    uint64_t epochs[MORE_PARTITIONS];           // of the last OPEN or UNPARK
    int32_t commits[COMMITS];
    size_t commit_count;
    unsigned lease_calls, given_up;
} world;

static inline void note(const char *what, int32_t partition)
{
    buf_addf(&world.log, "%s%s %d", world.log.n ? ", " : "", what, partition);
}

// Everything that was asked since the last look.
static inline void expect(const char *lines)
{
    char *seen = world.log.n ? str_dup(buf_str(&world.log)) : mem_dup_cstr("");
    buf_clear(&world.log);
    assert_string_equal(seen, lines);
    free(seen);
}

int kafka_consumer_new(const struct kafka_consumer_params *p, struct kafka_consumer **ret, struct error *err)
{
    if (world.no_kafka)
        return error_set(err, -EINVAL, "no Kafka");
    assert_in_range(world.joined, 0, MEMBERS - 1);
    world.group = *p;
    *ret = (struct kafka_consumer *)&world.members[world.joined++];
    return 0;
}

// Only the newest is asked for anything.
static inline void expect_present(const struct kafka_consumer *c)
{
    assert_ptr_equal(c, &world.members[world.joined - 1]);
}

void kafka_consumer_free(struct kafka_consumer *c, uint32_t timeout_ms)
{
    (void)timeout_ms;
    if (!c)
        return;
    assert_ptr_equal(c, &world.members[world.left]);
    world.left++;
}

int32_t kafka_consumer_partitions(struct kafka_consumer *c, const char *topic)
{
    (void)topic;
    expect_present(c);
    return world.partitions;
}

int64_t kafka_consumer_end(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)topic, (void)partition;
    expect_present(c);
    return world.end;
}

void kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    expect_present(c);
    note("pause", partition);
}

void kafka_consumer_resume(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    expect_present(c);
    note("resume", partition);
}

void kafka_consumer_release(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    expect_present(c);
    note("release", partition);
}

void kafka_consumer_commit(struct kafka_consumer *c, const char *topic, int32_t partition,
                           int64_t next_offset)
{
    (void)topic, (void)next_offset;
    expect_present(c);
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
    world.replayed += take->replayed;
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

static inline void on_lease(void *arg)
{
    (void)arg;
    world.lease_calls++;
}

static inline void on_fatal(void *arg)
{
    (void)arg;
    world.given_up++;
}

static inline int set_up_with_session(void **state, uint32_t session_timeout_ms)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct error err;
    memset(&world, 0, sizeof(world));
    world.partitions = PARTITIONS;
    f->base = event_base_new();
    const struct place_params params = {
        .base = f->base,
        .name = "any",
        .index = 2,
        .topic_prefix = "t",
        .node = "n",
        .session_timeout_ms = session_timeout_ms,
        .on_lease = on_lease,
        .on_fatal = on_fatal,
    };
    assert_int_equal(place_start(&params, &f->place, &err), 0);
    *state = f;
    return 0;
}

// Its timer stays out of the tests.
static inline int set_up(void **state)
{
    return set_up_with_session(state, 60000);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    place_leave(f->place, 0);
    assert_int_equal(world.left, world.joined);
    for (size_t i = 0; i < MORE_PARTITIONS; i++)
        assert_null(world.snapshots[i]);
    buf_done(&world.log);
    event_base_free(f->base);
    free(f);
    return 0;
}

static inline void turn(struct fixture *f)
{
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static inline void assign(int32_t partition)
{
    world.group.on_assigned(world.group.arg, "t.changes.any", partition);
}

static inline void revoke(int32_t partition, bool lost)
{
    world.group.on_revoked(world.group.arg, "t.changes.any", partition, lost);
}

static inline void settle(void)
{
    world.group.on_rebalanced(world.group.arg);
}

static inline void closed(struct fixture *f, int32_t partition)
{
    place_closed(f->place, 2u << 16 | (uint32_t)partition);
}

static inline void entry_of_epoch(int32_t partition, uint64_t epoch)
{
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    status_init(&c->last);
    c->has_last = true;
    c->last.epoch = epoch;
    struct snapshot *s = world.snapshots[partition];
    assert_non_null(s);
    s->params.on_entry(s->params.arg, c);
}

static inline void snapshot_is_whole(int32_t partition)
{
    struct snapshot *s = world.snapshots[partition];
    assert_non_null(s);
    world.snapshots[partition] = NULL;
    s->params.on_done(s->params.arg);
    free(s);
}

static inline void open_one(int32_t partition)
{
    char lines[80];
    assign(partition);
    snapshot_is_whole(partition);
    (void)snprintf(lines, sizeof(lines), "load %d, fetch %d, open %d, resume %d", partition, partition,
                   partition, partition);
    expect(lines);
}

// To the partition of its key.
static inline void deliver(const char *key, const char *value)
{
    const struct kafka_record r = {.topic = "t.changes.any",
                                   .partition = (int32_t)hash_partition(str_of(key), PARTITIONS),
                                   .key = str_of(key),
                                   .value = str_of(value)};
    world.group.on_records(world.group.arg, &r, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
