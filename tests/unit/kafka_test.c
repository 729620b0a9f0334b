// common/kafka over the broker: what a producer sends, what a replay reads, and a broker that goes away.
#include "tests/unit/kafka_fixture.h"

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

// ---- tests: consuming while the broker is away

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

struct parts {
    struct fixture *f;
    struct kafka_replay *replay;
    int count;
    bool held;
};

static void on_part_record(void *arg, const struct kafka_record *r)
{
    struct parts *p = arg;
    assert_false(p->held);
    note(&p->f->replayed, r);
}

static void on_part(void *arg)
{
    struct parts *p = arg;
    assert_false(p->held);
    p->held = true;
    p->count++;
}

static void on_parts_done(void *arg, const struct error *err)
{
    struct parts *p = arg;
    assert_null(err);
    assert_false(p->held);
    p->f->replay_done = 1;
}

static bool is_held_or_done(const void *arg)
{
    const struct parts *p = arg;
    return p->held || p->f->replay_done;
}

static void a_replay_in_parts_gives_whole_partitions_and_waits_after_each(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "eight", 0, 1000);
    const char *const topics[] = {"eight"};
    struct parts p = {.f = f};
    const struct kafka_replay_params params = {
        .common = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "test", .extra = FAST},
        .topics = topics,
        .topic_count = 1,
        .part_records = 300,
        .arg = &p,
        .on_record = on_part_record,
        .on_part = on_part,
        .on_done = on_parts_done};
    struct error err;
    assert_int_equal(kafka_replay(&params, &p.replay, &err), 0);
    bool seen[PARTITIONS] = {false};
    size_t from = 0;
    for (;;) {
        until(f, is_held_or_done, &p);
        if (f->replay_done)
            break;
        assert_false(peer_run_until(f->base, never, NULL, 50));
        bool now[PARTITIONS] = {false};
        assert_in_range(f->replayed.record_count - from, 1, 300);
        for (; from < f->replayed.record_count; from++)
            now[f->replayed.records[from].partition] = true;
        for (size_t i = 0; i < PARTITIONS; i++) {
            assert_false(seen[i] && now[i]);
            seen[i] = seen[i] || now[i];
        }
        p.held = false;
        kafka_replay_go_on(p.replay);
    }
    assert_int_equal(f->replayed.record_count, 1000);
    assert_in_range(p.count, 4, PARTITIONS);
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
        TEST(a_silent_coordinator_costs_the_partitions),
        TEST(a_consumer_finds_a_broker_that_lost_everything),
        TEST(a_replay_reads_what_is_young_enough_and_ends),
        TEST(a_replay_in_parts_gives_whole_partitions_and_waits_after_each),
        TEST(a_replay_without_a_broker_fails),
        TEST(a_replay_that_is_stopped_calls_nobody_any_more),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // one test alone: kafka_test <name, * for any>
    return cmocka_run_group_tests(tests, NULL, NULL);
}
