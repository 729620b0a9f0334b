// Producers and consumers of common/kafka over the real rollcall-broker, which tests stop, kill and start
// again underneath them.
#ifndef ROLLCALL_TESTS_KAFKA_FIXTURE_H
#define ROLLCALL_TESTS_KAFKA_FIXTURE_H

#include "common/kafka/kafka.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/unit/peer.h"

#include <stdio.h>

// The broker forgets a member whose first join (3 s) takes longer than its session.
enum { SOON_MS = 40000, SESSION_MS = 4000, PARTITIONS = 8, MANY = 1000, MEMBERS = 2, SEEN_MAX = 4096 };

#define FAST "fetch.wait.max.ms=10"

struct seen_record {
    int32_t partition;
    int64_t offset;
    char key[32], value[64], trace[64];
    bool tombstone;
    size_t header_count;
    uint64_t at_us;
};

// One consumer and what it told.
struct member {
    struct kafka_consumer *c;
    const char *topic;
    bool resume_at_once, release_at_once;
    bool ours[MANY], leaving[MANY];
    int assigned, revoked, lost, commits, commit_errors, fatal;
    int last_commit_code;
    uint64_t last_sent_us;
    int health; // 0 unknown, 1 up, 2 down
    struct seen_record *records;
    size_t record_count;
};

struct fixture {
    struct event_base *base;
    pid_t broker;
    uint16_t port;
    char bootstrap[32], ready[64], group[32];
    struct kafka_producer *p;
    int delivered, failed, ensured, health;
    int delivery_code;
    uint64_t delivered_tokens;
    int32_t ensure_result;
    struct member members[MEMBERS];
    struct member replayed;
    int replay_done, replay_code;
};

#define until(f, cond, arg) assert_true(peer_run_until((f)->base, cond, arg, SOON_MS))

// ---- the broker

static inline void set_number(const char *name, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", value);
    (void)setenv(name, text, 1);
}

static inline bool is_ready(const void *arg)
{
    const struct fixture *f = arg;
    return access(f->ready, F_OK) == 0;
}

static inline void broker_start(struct fixture *f)
{
    set_number("ROLLCALL_BROKER_LISTEN", f->port);
    (void)setenv("ROLLCALL_BROKER_TOPICS", "eight:8,one:1,many:1000", 1);
    (void)setenv("ROLLCALL_BROKER_READY_FILE", f->ready, 1);
    char path[] = BROKER_PATH, *argv[] = {path, NULL};
    (void)unlink(f->ready);
    f->broker = peer_start(argv);
    until(f, is_ready, f);
}

static inline void broker_kill(struct fixture *f)
{
    if (f->broker)
        (void)peer_stop(f->broker, SIGKILL);
    f->broker = 0;
}

static inline int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    f->base = event_base_new();
    f->port = peer_free_port();
    (void)snprintf(f->bootstrap, sizeof(f->bootstrap), "127.0.0.1:%u", f->port);
    (void)snprintf(f->group, sizeof(f->group), "group");
    (void)snprintf(f->ready, sizeof(f->ready), "/tmp/rollcall-kafka-test-%u", f->port);
    for (size_t i = 0; i < MEMBERS; i++)
        f->members[i].records = mem_array(SEEN_MAX, sizeof(struct seen_record));
    f->replayed.records = mem_array(SEEN_MAX, sizeof(struct seen_record));
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < MEMBERS; i++) {
        kafka_consumer_free(f->members[i].c, 2000);
        free(f->members[i].records);
    }
    kafka_producer_free(f->p, 0);
    free(f->replayed.records);
    broker_kill(f);
    (void)unlink(f->ready);
    event_base_free(f->base);
    free(f);
    return 0;
}

// ---- producing

static inline void on_delivery(void *arg, uint64_t token, const struct error *err)
{
    struct fixture *f = arg;
    f->delivered += !err;
    f->failed += err != NULL;
    f->delivery_code = err ? err->code : 0;
    f->delivered_tokens += token;
}

static inline void on_producer_health(void *arg, bool up)
{
    struct fixture *f = arg;
    f->health = up ? 1 : 2;
}

static inline int producer_with(struct fixture *f, const char *extra, struct error *err)
{
    struct kafka_producer_params params = {
        .common = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "test", .extra = extra},
        .arg = f,
        .on_delivery = on_delivery,
        .on_health = on_producer_health};
    return kafka_producer_new(&params, &f->p, err);
}

static inline void producer_start(struct fixture *f, const char *extra)
{
    struct error err;
    assert_int_equal(producer_with(f, extra, &err), 0);
}

static inline int produce(struct fixture *f, const char *topic, const char *key, const char *value)
{
    const struct kafka_header headers[] = {{"ce_type", STR_LIT("t")}, {"traceparent", str_of(value)}};
    struct kafka_record r = {.topic = topic,
                             .partition = -1,
                             .key = str_of(key),
                             .value = value ? str_of(value) : STR_NONE,
                             .headers = headers,
                             .header_count = ARRAY_LEN(headers)};
    return kafka_produce(f->p, &r, 1);
}

static inline bool nothing_pending(const void *arg)
{
    const struct fixture *f = arg;
    return kafka_producer_pending_count(f->p) == 0;
}

static inline void produce_numbers(struct fixture *f, const char *topic, int from, int to)
{
    for (int i = from; i < to; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(produce(f, topic, key, key), 0);
    }
    until(f, nothing_pending, f);
    assert_int_equal(f->failed, 0);
}

static inline void on_ensured(void *arg, const char *topic, int32_t partitions_or_error)
{
    (void)topic;
    struct fixture *f = arg;
    f->ensured++;
    f->ensure_result = partitions_or_error;
}

static inline bool has_ensured(const void *arg)
{
    const struct fixture *f = arg;
    return f->ensured > 0;
}

static inline void ensure(struct fixture *f, const char *topic)
{
    const struct kafka_topic_settings s = {.topic = topic, .partitions = 12, .replication = 1};
    f->ensured = 0;
    kafka_topic_ensure(f->p, &s, on_ensured, f);
    assert_int_equal(f->ensured, 0);
    until(f, has_ensured, f);
}

// ---- consuming

static inline void copy(char *to, size_t size, struct str s)
{
    (void)snprintf(to, size, STR_FMT, STR_ARG(s));
}

static inline void note(struct member *m, const struct kafka_record *r)
{
    if (m->record_count == SEEN_MAX)
        return;
    struct seen_record *seen = &m->records[m->record_count++];
    *seen = (struct seen_record){.partition = r->partition,
                                 .offset = r->offset,
                                 .tombstone = !r->value.p,
                                 .header_count = r->header_count,
                                 .at_us = clock_monotonic_us()};
    copy(seen->key, sizeof(seen->key), r->key);
    copy(seen->value, sizeof(seen->value), r->value);
    copy(seen->trace, sizeof(seen->trace), kafka_header_get(r, "traceparent"));
}

static inline void on_records(void *arg, const struct kafka_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note(arg, &records[i]);
}

static inline void on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct member *m = arg;
    assert_true(kafka_consumer_partitions(m->c, topic) > partition);
    assert_false(m->ours[partition]);
    m->ours[partition] = true;
    m->assigned++;
    if (m->resume_at_once)
        kafka_consumer_resume(m->c, topic, partition);
}

static inline void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct member *m = arg;
    assert_true(m->ours[partition]);
    m->lost += lost;
    m->revoked += !lost;
    if (lost)
        m->ours[partition] = false;
    m->leaving[partition] = !lost;
    if (m->release_at_once && !lost) {
        m->ours[partition] = false;
        kafka_consumer_release(m->c, topic, partition);
    }
}

static inline void on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    struct member *m = arg;
    m->commits++;
    m->commit_errors += err != NULL;
    m->last_commit_code = err ? err->code : 0;
    m->last_sent_us = sent_us;
}

static inline void on_consumer_health(void *arg, bool up)
{
    struct member *m = arg;
    m->health = up ? 1 : 2;
}

static inline void on_consumer_fatal(void *arg, const struct error *why)
{
    (void)why;
    struct member *m = arg;
    m->fatal++;
}

static inline void member_start(struct fixture *f, size_t i, const char *topic, bool from_beginning)
{
    struct member *m = &f->members[i];
    const char *const topics[] = {topic};
    struct kafka_consumer_params params = {
        .common = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "test", .extra = FAST},
        .group = f->group,
        .topics = topics,
        .topic_count = 1,
        .from_beginning = from_beginning,
        .session_timeout_ms = SESSION_MS,
        .arg = m,
        .on_records = on_records,
        .on_assigned = on_assigned,
        .on_revoked = on_revoked,
        .on_commit = on_commit,
        .on_health = on_consumer_health,
        .on_fatal = on_consumer_fatal};
    struct error err;
    m->topic = topic;
    assert_int_equal(kafka_consumer_new(&params, &m->c, &err), 0);
}

static inline void easy_member_start(struct fixture *f, size_t i, const char *topic)
{
    f->members[i].resume_at_once = f->members[i].release_at_once = true;
    member_start(f, i, topic, true);
}

static inline size_t owned(const struct member *m)
{
    size_t count = 0;
    for (size_t i = 0; i < PARTITIONS; i++)
        count += m->ours[i];
    return count;
}

static inline bool owns_one(const void *arg)
{
    return owned(arg) == 1;
}

static inline bool owns_half(const void *arg)
{
    return owned(arg) == PARTITIONS / 2;
}

static inline bool owns_all(const void *arg)
{
    return owned(arg) == PARTITIONS;
}

static inline bool owns_many(const void *arg)
{
    const struct member *m = arg;
    return m->assigned == MANY;
}

static inline bool owns_nothing(const void *arg)
{
    return owned(arg) == 0;
}

static inline bool has_half_revoked(const void *arg)
{
    const struct member *m = arg;
    return m->revoked == PARTITIONS / 2;
}

static inline bool has_record(const void *arg)
{
    const struct member *m = arg;
    return m->record_count >= 1;
}

static inline bool has_100_records(const void *arg)
{
    const struct member *m = arg;
    return m->record_count >= 100;
}

static inline bool has_commit(const void *arg)
{
    const struct member *m = arg;
    return m->commits >= 1;
}

static inline bool is_given_up(const void *arg)
{
    const struct member *m = arg;
    return m->fatal == 1;
}

static inline bool is_up(const void *arg)
{
    return *(const int *)arg == 1;
}

static inline bool is_down(const void *arg)
{
    return *(const int *)arg == 2;
}

static inline bool never(const void *arg)
{
    (void)arg;
    return false;
}

#endif
