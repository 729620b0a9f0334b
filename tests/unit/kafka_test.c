// common/kafka over the real rollcall-broker, which is stopped, killed and started again underneath it.
#include "common/kafka/kafka.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "tests/unit/peer.h"

#include <dirent.h>
#include <stdio.h>

// The broker forgets a member whose first join (3 s) takes longer than its session.
enum { SOON_MS = 40000, SESSION_MS = 4000, PARTITIONS = 8, MEMBERS = 2, SEEN_MAX = 4096 };

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
    bool ours[PARTITIONS], leaving[PARTITIONS];
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

static void set_number(const char *name, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", value);
    (void)setenv(name, text, 1);
}

static bool is_ready(const void *arg)
{
    const struct fixture *f = arg;
    return access(f->ready, F_OK) == 0;
}

static void broker_start(struct fixture *f)
{
    set_number("ROLLCALL_BROKER_LISTEN", f->port);
    (void)setenv("ROLLCALL_BROKER_TOPICS", "eight:8,one:1", 1);
    (void)setenv("ROLLCALL_BROKER_READY_FILE", f->ready, 1);
    char path[] = BROKER_PATH, *argv[] = {path, NULL};
    (void)unlink(f->ready);
    f->broker = peer_start(argv);
    until(f, is_ready, f);
}

static void broker_kill(struct fixture *f)
{
    if (f->broker)
        (void)peer_stop(f->broker, SIGKILL);
    f->broker = 0;
}

static int setup(void **state)
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

static int teardown(void **state)
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

static void on_delivery(void *arg, uint64_t token, const struct error *err)
{
    struct fixture *f = arg;
    f->delivered += !err;
    f->failed += err != NULL;
    f->delivery_code = err ? err->code : 0;
    f->delivered_tokens += token;
}

static void on_producer_health(void *arg, bool up)
{
    struct fixture *f = arg;
    f->health = up ? 1 : 2;
}

static int producer_with(struct fixture *f, const char *extra, struct error *err)
{
    struct kafka_producer_params params = {
        .common = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "test", .extra = extra},
        .arg = f,
        .on_delivery = on_delivery,
        .on_health = on_producer_health};
    return kafka_producer_new(&params, &f->p, err);
}

static void producer_start(struct fixture *f, const char *extra)
{
    struct error err;
    assert_int_equal(producer_with(f, extra, &err), 0);
}

static int produce(struct fixture *f, const char *topic, const char *key, const char *value)
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

static bool nothing_pending(const void *arg)
{
    const struct fixture *f = arg;
    return kafka_producer_pending_count(f->p) == 0;
}

static void produce_numbers(struct fixture *f, const char *topic, int from, int to)
{
    for (int i = from; i < to; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(produce(f, topic, key, key), 0);
    }
    until(f, nothing_pending, f);
    assert_int_equal(f->failed, 0);
}

static void on_ensured(void *arg, const char *topic, int32_t partitions_or_error)
{
    (void)topic;
    struct fixture *f = arg;
    f->ensured++;
    f->ensure_result = partitions_or_error;
}

static bool has_ensured(const void *arg)
{
    const struct fixture *f = arg;
    return f->ensured > 0;
}

static void ensure(struct fixture *f, const char *topic)
{
    const struct kafka_topic_settings s = {.topic = topic, .partitions = 12, .replication = 1};
    f->ensured = 0;
    kafka_topic_ensure(f->p, &s, on_ensured, f);
    assert_int_equal(f->ensured, 0);
    until(f, has_ensured, f);
}

// ---- consuming

static void copy(char *to, size_t size, struct str s)
{
    (void)snprintf(to, size, STR_FMT, STR_ARG(s));
}

static void note(struct member *m, const struct kafka_record *r)
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

static void on_records(void *arg, const struct kafka_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note(arg, &records[i]);
}

static void on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct member *m = arg;
    assert_true(kafka_consumer_partitions(m->c, topic) > partition);
    assert_false(m->ours[partition]);
    m->ours[partition] = true;
    m->assigned++;
    if (m->resume_at_once)
        kafka_consumer_resume(m->c, topic, partition);
}

static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
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

static void on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    struct member *m = arg;
    m->commits++;
    m->commit_errors += err != NULL;
    m->last_commit_code = err ? err->code : 0;
    m->last_sent_us = sent_us;
}

static void on_consumer_health(void *arg, bool up)
{
    struct member *m = arg;
    m->health = up ? 1 : 2;
}

static void on_consumer_fatal(void *arg, const struct error *why)
{
    (void)why;
    struct member *m = arg;
    m->fatal++;
}

static void member_start(struct fixture *f, size_t i, const char *topic, bool from_beginning)
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

static void easy_member_start(struct fixture *f, size_t i, const char *topic)
{
    f->members[i].resume_at_once = f->members[i].release_at_once = true;
    member_start(f, i, topic, true);
}

static size_t owned(const struct member *m)
{
    size_t count = 0;
    for (size_t i = 0; i < PARTITIONS; i++)
        count += m->ours[i];
    return count;
}

static bool owns_one(const void *arg)
{
    return owned(arg) == 1;
}

static bool owns_half(const void *arg)
{
    return owned(arg) == PARTITIONS / 2;
}

static bool owns_all(const void *arg)
{
    return owned(arg) == PARTITIONS;
}

static bool owns_nothing(const void *arg)
{
    return owned(arg) == 0;
}

static bool has_half_revoked(const void *arg)
{
    const struct member *m = arg;
    return m->revoked == PARTITIONS / 2;
}

static bool has_record(const void *arg)
{
    const struct member *m = arg;
    return m->record_count >= 1;
}

static bool has_100_records(const void *arg)
{
    const struct member *m = arg;
    return m->record_count >= 100;
}

static bool has_commit(const void *arg)
{
    const struct member *m = arg;
    return m->commits >= 1;
}

static bool is_given_up(const void *arg)
{
    const struct member *m = arg;
    return m->fatal == 1;
}

static bool is_up(const void *arg)
{
    return *(const int *)arg == 1;
}

static bool is_down(const void *arg)
{
    return *(const int *)arg == 2;
}

static bool never(const void *arg)
{
    (void)arg;
    return false;
}

// ---- tests: producing

static void a_record_arrives_with_key_headers_and_value(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    assert_int_equal(produce(f, "one", "42", "hello"), 0);
    assert_int_equal(produce(f, "one", "43", NULL), 0);
    assert_int_equal(kafka_producer_pending_count(f->p), 2);
    until(f, nothing_pending, f);
    assert_int_equal(f->delivered, 2);
    assert_int_equal(f->delivered_tokens, 2);
    easy_member_start(f, 0, "one");
    struct member *m = &f->members[0];
    until(f, has_record, m);
    assert_string_equal(m->records[0].key, "42");
    assert_string_equal(m->records[0].value, "hello");
    assert_string_equal(m->records[0].trace, "hello");
    assert_int_equal(m->records[0].header_count, 2);
    assert_false(m->records[0].tombstone);
    assert_int_equal(m->records[1].offset, 1);
    assert_true(m->records[1].tombstone);
}

static void the_partition_is_the_one_that_java_clients_choose(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "eight", 0, 100);
    easy_member_start(f, 0, "eight");
    struct member *m = &f->members[0];
    until(f, has_100_records, m);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(m->records[i].partition, hash_partition(str_of(m->records[i].key), PARTITIONS));
}

static void ensuring_a_topic_tells_its_partitions(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    ensure(f, "eight");
    assert_int_equal(f->ensure_result, PARTITIONS);
    ensure(f, "made.by.asking");
    assert_int_equal(f->ensure_result, 4);
}

static void ensuring_a_topic_without_a_broker_fails(void **state)
{
    struct fixture *f = *state;
    producer_start(f, NULL);
    ensure(f, "eight");
    assert_true(f->ensure_result < 0);
    assert_int_equal(f->health, 2);
}

static void a_full_queue_accepts_nothing_more(void **state)
{
    struct fixture *f = *state;
    producer_start(f, "queue.buffering.max.messages=10;message.max.bytes=2000");
    for (int i = 0; i < 10; i++)
        assert_int_equal(produce(f, "one", "1", "x"), 0);
    assert_int_equal(produce(f, "one", "1", "x"), -EAGAIN);
    assert_int_equal(kafka_producer_pending_count(f->p), 10);
    // Freeing fails them, each once.
    kafka_producer_free(f->p, 0);
    f->p = NULL;
    assert_int_equal(f->failed, 10);
    assert_int_equal(f->delivered, 0);
    assert_int_equal(f->delivery_code, -ECANCELED);
}

static void a_record_too_big_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    producer_start(f, "message.max.bytes=2000");
    char big[4000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(produce(f, "one", "1", big), -EMSGSIZE);
    assert_int_equal(produce(f, NULL, "1", "x"), -EINVAL);
    assert_int_equal(kafka_producer_pending_count(f->p), 0);
}

static void settings_that_librdkafka_refuses_are_told(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    assert_int_equal(producer_with(f, "no.such.setting=1", &err), -EINVAL);
    assert_non_null(strstr(err.text, "no.such.setting"));
    assert_int_equal(producer_with(f, "nonsense", &err), -EINVAL);
    assert_int_equal(producer_with(f, "linger.ms=many", &err), -EINVAL);
    assert_null(f->p);
}

static void records_wait_for_a_broker_that_comes_back(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    until(f, is_up, &f->health);
    ensure(f, "one");
    broker_kill(f);
    until(f, is_down, &f->health);
    assert_int_equal(produce(f, "one", "1", "x"), 0);
    broker_start(f);
    until(f, is_up, &f->health);
    until(f, nothing_pending, f);
    assert_int_equal(f->delivered, 1);
}

static void a_producer_that_librdkafka_gave_up_is_replaced(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    ensure(f, "one");
    peer_freeze(f->broker);
    assert_int_equal(produce(f, "one", "1", "x"), 0);
    char given_up[64]; // librdkafka numbers its handles
    (void)snprintf(given_up, sizeof(given_up), "%s", rd_kafka_name(f->p->client.rk));
    (void)rd_kafka_test_fatal_error(f->p->client.rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test");
    until(f, nothing_pending, f);
    assert_int_equal(f->failed, 1);
    assert_int_equal(f->health, 2);
    assert_string_not_equal(rd_kafka_name(f->p->client.rk), given_up);
    (void)kill(f->broker, SIGCONT);
    until(f, is_up, &f->health);
    assert_int_equal(produce(f, "one", "1", "y"), 0);
    until(f, nothing_pending, f);
    assert_int_equal(f->delivered, 1);
}

// ---- tests: consuming

static void a_new_partition_is_silent_until_it_is_resumed(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "one", 0, 100);
    f->members[0].release_at_once = true;
    member_start(f, 0, "one", true);
    struct member *m = &f->members[0];
    until(f, owns_one, m);
    assert_false(peer_run_until(f->base, has_record, m, 500));
    kafka_consumer_resume(m->c, "one", 0);
    until(f, has_100_records, m);
    for (int i = 0; i < 100; i++)
        assert_int_equal(m->records[i].offset, i);
}

static void pausing_loses_and_repeats_nothing(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    easy_member_start(f, 0, "one");
    struct member *m = &f->members[0];
    until(f, owns_one, m);
    for (int round = 0; round < 10; round++) {
        produce_numbers(f, "one", round * 10, round * 10 + 5);
        kafka_consumer_pause(m->c, round % 2 ? NULL : "one", 0);
        size_t before = m->record_count;
        produce_numbers(f, "one", round * 10 + 5, round * 10 + 10);
        assert_false(peer_run_until(f->base, never, NULL, 30));
        assert_int_equal(m->record_count, before);
        kafka_consumer_resume(m->c, round % 2 ? NULL : "one", 0);
    }
    until(f, has_100_records, m);
    assert_int_equal(m->record_count, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(m->records[i].offset, i);
}

static void a_commit_that_moves_nothing_still_asks_the_coordinator(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    easy_member_start(f, 0, "one");
    struct member *m = &f->members[0];
    until(f, owns_one, m);
    for (int i = 0; i < 3; i++) {
        m->commits = 0;
        uint64_t before_us = clock_monotonic_us();
        kafka_consumer_commit(m->c, "one", 0, -1);
        uint64_t after_us = clock_monotonic_us();
        until(f, has_commit, m);
        assert_int_equal(m->last_commit_code, 0);
        assert_true(m->last_sent_us >= before_us && m->last_sent_us <= after_us);
    }
    // A coordinator that stands still gives no answer, so the answers above were its own.
    peer_freeze(f->broker);
    m->commits = 0;
    kafka_consumer_commit(m->c, "one", 0, -1);
    assert_false(peer_run_until(f->base, has_commit, m, 300));
    (void)kill(f->broker, SIGCONT);
    until(f, has_commit, m);
    assert_int_equal(m->last_commit_code, 0);
    // Another's partition has no position here.
    m->commits = 0;
    kafka_consumer_commit(m->c, "one", 5, -1);
    until(f, has_commit, m);
    assert_int_equal(m->last_commit_code, -ESTALE);
}

static void reading_goes_on_where_it_was_committed(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "one", 0, 100);
    easy_member_start(f, 0, "one");
    struct member *m = &f->members[0];
    until(f, has_100_records, m);
    kafka_consumer_commit(m->c, "one", 0, 60);
    until(f, has_commit, m);
    kafka_consumer_free(m->c, 2000);
    m->c = NULL;
    easy_member_start(f, 1, "one");
    until(f, has_record, &f->members[1]);
    assert_int_equal(f->members[1].records[0].offset, 60);
}

static void member_end(struct member *m)
{
    struct seen_record *records = m->records;
    kafka_consumer_free(m->c, 2000);
    *m = (struct member){.records = records};
}

// One has had half of its partitions revoked by another that joined, and held them for longer than a session.
// False when the broker spoiled it: it may refuse the first synchronization of the one that joins (it answers
// before both have asked), which begins a rebalance that the holder cannot join, and then puts the holder
// out.
static bool is_held_longer_than_a_session(struct fixture *f)
{
    struct member *a = &f->members[0], *b = &f->members[1];
    a->resume_at_once = true;
    member_start(f, 0, "eight", true);
    until(f, owns_all, a);
    easy_member_start(f, 1, "eight");
    until(f, has_half_revoked, a);
    assert_false(peer_run_until(f->base, never, NULL, SESSION_MS + 1000));
    // Holding back is no reason to be thrown out: a commit in this time still proves the membership.
    kafka_consumer_commit(a->c, "eight", 0, 0);
    until(f, has_commit, a);
    if (a->last_commit_code == 0 && a->lost == 0) {
        assert_int_equal(owned(b), 0);
        return true;
    }
    assert_true(a->lost > 0 || a->last_commit_code == -EBUSY || a->last_commit_code == -ESTALE);
    return false;
}

static void a_revoked_partition_stays_until_it_is_released(void **state)
{
    struct fixture *f = *state;
    struct member *a = &f->members[0], *b = &f->members[1];
    broker_start(f);
    int tries = 1;
    while (!is_held_longer_than_a_session(f)) {
        assert_true(++tries <= 8);
        member_end(a);
        member_end(b);
        (void)snprintf(f->group, sizeof(f->group), "group%d", tries);
    }
    // All but one of those that leave are not enough, and those that stay cannot be released.
    int32_t last = -1;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        if (a->leaving[i] && last < 0)
            last = i;
        else
            kafka_consumer_release(a->c, "eight", i);
    }
    assert_false(peer_run_until(f->base, never, NULL, SESSION_MS + 1000));
    assert_int_equal(owned(b), 0);
    kafka_consumer_release(a->c, "eight", last);
    a->release_at_once = true;
    until(f, owns_half, b);
    assert_int_equal(a->lost, 0);
    for (size_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(b->ours[i], a->leaving[i]);
        a->ours[i] = !b->ours[i];
    }
    // The other leaves and all comes back.
    kafka_consumer_free(b->c, 2000);
    b->c = NULL;
    until(f, owns_all, a);
}

static void a_silent_coordinator_costs_the_partitions(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    easy_member_start(f, 0, "eight");
    struct member *m = &f->members[0];
    until(f, owns_all, m);
    peer_freeze(f->broker);
    uint64_t start_us = clock_monotonic_us();
    until(f, owns_nothing, m);
    assert_int_equal(m->lost, PARTITIONS);
    assert_int_equal(m->revoked, 0);
    assert_true(clock_monotonic_us() - start_us < 4 * SESSION_MS * UINT64_C(1000));
    (void)kill(f->broker, SIGCONT);
    until(f, owns_all, m);
    assert_int_equal(m->fatal, 0);
}

static void a_consumer_finds_a_broker_that_lost_everything(void **state)
{
    struct fixture *f = *state;
    easy_member_start(f, 0, "one");
    struct member *m = &f->members[0];
    until(f, is_down, &m->health);
    broker_start(f);
    until(f, is_up, &m->health);
    until(f, owns_one, m);
    broker_kill(f);
    until(f, is_down, &m->health);
    until(f, owns_nothing, m);
    broker_start(f);
    until(f, owns_one, m);
    assert_int_equal(m->health, 1);
    producer_start(f, NULL);
    produce_numbers(f, "one", 0, 1);
    until(f, has_record, m);
}

// Every client has threads of its own.
static size_t count_threads(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks))
        count++;
    (void)closedir(tasks);
    return count;
}

static bool has_few_threads(const void *arg)
{
    return count_threads() <= *(const size_t *)arg;
}

static void a_consumer_that_librdkafka_gave_up_has_lost_its_partitions_to_the_next(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    easy_member_start(f, 0, "eight");
    struct member *m = &f->members[0], *next = &f->members[1];
    until(f, owns_all, m);
    size_t threads_of_one = count_threads();
    peer_freeze(f->broker);
    kafka_consumer_commit(m->c, "eight", 0, 1); // under way when it is given up
    (void)rd_kafka_test_fatal_error(m->c->client.rk, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "test");
    until(f, is_given_up, m);
    assert_int_equal(m->lost, PARTITIONS);
    assert_int_equal(m->health, 1); // it is not the broker that is away
    easy_member_start(f, 1, "eight");
    uint64_t began_us = clock_monotonic_us();
    kafka_consumer_free(m->c, 0);
    m->c = NULL;
    assert_true(clock_monotonic_us() - began_us < 2500000); // what was being asked of the broker ends first
    (void)kill(f->broker, SIGCONT);
    until(f, owns_all, next);
    until(f, has_few_threads, &threads_of_one);
    assert_int_equal(m->commits, 0);
    assert_int_equal(next->fatal, 0);
}

// ---- tests: replay

static void on_replayed(void *arg, const struct kafka_record *r)
{
    struct fixture *f = arg;
    note(&f->replayed, r);
}

static void on_replay_done(void *arg, const struct error *err)
{
    struct fixture *f = arg;
    f->replay_done++;
    f->replay_code = err ? err->code : 0;
}

static bool has_replayed(const void *arg)
{
    const struct fixture *f = arg;
    return f->replay_done > 0;
}

static struct kafka_replay *replay_begin(struct fixture *f, int64_t since_ms)
{
    const char *const topics[] = {"eight", "one"};
    const struct kafka_replay_params params = {
        .common = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "test", .extra = FAST},
        .topics = topics,
        .topic_count = ARRAY_LEN(topics),
        .since_ms = since_ms,
        .arg = f,
        .on_record = on_replayed,
        .on_done = on_replay_done};
    struct error err;
    f->replay_done = 0;
    f->replayed.record_count = 0;
    struct kafka_replay *r = NULL;
    assert_int_equal(kafka_replay(&params, &r, &err), 0);
    return r;
}

static void replay(struct fixture *f, int64_t since_ms)
{
    (void)replay_begin(f, since_ms);
    until(f, has_replayed, f);
}

static void a_replay_reads_what_is_young_enough_and_ends(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    replay(f, 0);
    assert_int_equal(f->replay_code, 0);
    assert_int_equal(f->replayed.record_count, 0);
    producer_start(f, NULL);
    produce_numbers(f, "eight", 0, 1000);
    uint64_t between_ms = clock_wall_ms();
    while (clock_wall_ms() <= between_ms + 2)
        ;
    produce_numbers(f, "one", 0, 10);
    replay(f, 0);
    assert_int_equal(f->replay_code, 0);
    assert_int_equal(f->replayed.record_count, 1010);
    replay(f, (int64_t)between_ms + 1);
    assert_int_equal(f->replayed.record_count, 10);
    replay(f, (int64_t)clock_wall_ms() + 60000);
    assert_int_equal(f->replayed.record_count, 0);
}

static void a_replay_without_a_broker_fails(void **state)
{
    struct fixture *f = *state;
    replay(f, 0);
    assert_true(f->replay_code < 0);
}

static bool has_begun_to_replay(const void *arg)
{
    const struct fixture *f = arg;
    return f->replayed.record_count > 0;
}

static void a_replay_that_is_stopped_calls_nobody_any_more(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "eight", 0, 1500);
    kafka_replay_stop(replay_begin(f, 0));
    assert_int_equal(f->replayed.record_count, 0);
    struct kafka_replay *r = replay_begin(f, 0);
    until(f, has_begun_to_replay, f);
    size_t seen = f->replayed.record_count;
    assert_int_equal(f->replay_done, 0);
    kafka_replay_stop(r);
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
    assert_int_equal(f->replay_done, 0);
    assert_int_equal(f->replayed.record_count, seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_arrives_with_key_headers_and_value),
        TEST(the_partition_is_the_one_that_java_clients_choose),
        TEST(ensuring_a_topic_tells_its_partitions),
        TEST(ensuring_a_topic_without_a_broker_fails),
        TEST(a_full_queue_accepts_nothing_more),
        TEST(a_record_too_big_is_refused_at_once),
        TEST(settings_that_librdkafka_refuses_are_told),
        TEST(records_wait_for_a_broker_that_comes_back),
        TEST(a_producer_that_librdkafka_gave_up_is_replaced),
        TEST(a_new_partition_is_silent_until_it_is_resumed),
        TEST(pausing_loses_and_repeats_nothing),
        TEST(a_commit_that_moves_nothing_still_asks_the_coordinator),
        TEST(reading_goes_on_where_it_was_committed),
        TEST(a_revoked_partition_stays_until_it_is_released),
        TEST(a_silent_coordinator_costs_the_partitions),
        TEST(a_consumer_finds_a_broker_that_lost_everything),
        TEST(a_consumer_that_librdkafka_gave_up_has_lost_its_partitions_to_the_next),
        TEST(a_replay_reads_what_is_young_enough_and_ends),
        TEST(a_replay_without_a_broker_fails),
        TEST(a_replay_that_is_stopped_calls_nobody_any_more),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // one test alone: kafka_test <name, * for any>
    return cmocka_run_group_tests(tests, NULL, NULL);
}
