// common/kafka over the broker: what a consumer is given, commits and loses.
#include "tests/unit/kafka_fixture.h"

#include <dirent.h>

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

// librdkafka starts them one after the other, while we hear that they are ours: none may be left out.
static void every_one_of_many_partitions_is_started(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    member_start(f, 0, "many", true);
    until(f, owns_many, &f->members[0]);
    assert_int_equal(f->members[0].lost, 0);
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

struct told {
    int answers;
    int32_t counts[3];
    struct kafka_position one, eight[PARTITIONS];
};

static void on_progress(void *arg, const struct kafka_progress *topics, size_t count)
{
    struct told *t = arg;
    t->answers++;
    assert_int_equal(count, 3);
    assert_string_equal(topics[0].topic, "one");
    for (size_t i = 0; i < count; i++)
        t->counts[i] = topics[i].count;
    if (topics[0].count > 0)
        t->one = topics[0].partitions[0];
    for (int32_t n = 0; n < topics[1].count; n++)
        t->eight[n] = topics[1].partitions[n];
}

static bool has_answer(const void *arg)
{
    return ((const struct told *)arg)->answers > 0;
}

static struct kafka_group *group_of(struct fixture *f)
{
    struct kafka_group *g = NULL;
    struct error err;
    const struct kafka_params params = {.base = f->base, .bootstrap = f->bootstrap, .client_id = "asker"};
    assert_int_equal(kafka_group_new(&params, f->group, &g, &err), 0);
    return g;
}

static void ask_progress(struct fixture *f, struct kafka_group *g, struct told *ret)
{
    static const char *const topics[] = {"one", "eight", "never-made"};
    *ret = (struct told){0};
    kafka_group_ask(g, topics, ARRAY_LEN(topics), on_progress, ret);
    assert_int_equal(ret->answers, 0);
    until(f, has_answer, ret);
}

static void it_is_told_how_far_the_group_has_come(void **state)
{
    struct fixture *f = *state;
    broker_start(f);
    producer_start(f, NULL);
    produce_numbers(f, "one", 0, 100);
    member_start(f, 0, "one", true);
    struct member *m = &f->members[0];
    struct kafka_group *g = group_of(f);
    struct told t;
    do // it has to find the coordinator first
        ask_progress(f, g, &t);
    while (t.one.next < 0 && !owned(m));
    assert_int_equal(t.counts[0], 1);
    assert_int_equal(t.counts[1], PARTITIONS);
    assert_int_equal(t.one.end, 100);
    assert_int_equal(t.one.next, 0);
    until(f, owns_one, m);
    kafka_consumer_commit(m->c, "one", 0, 60);
    until(f, has_commit, m);
    produce_numbers(f, "eight", 0, 50); // which this member does not read
    ask_progress(f, g, &t);
    assert_int_equal(t.one.end, 100);
    assert_int_equal(t.one.next, 60);
    int64_t sum = 0;
    for (size_t i = 0; i < PARTITIONS; i++) {
        sum += t.eight[i].end;
        assert_int_equal(t.eight[i].next, 0);
    }
    assert_int_equal(sum, 50);
    kafka_group_free(g);
    assert_int_equal(owned(m), 1); // who asks is no member
}

static void without_a_broker_it_is_told_that_nobody_knows(void **state)
{
    struct fixture *f = *state;
    struct kafka_group *g = group_of(f);
    struct told t;
    ask_progress(f, g, &t);
    for (size_t i = 0; i < ARRAY_LEN(t.counts); i++)
        assert_true(t.counts[i] < 0);
    t.answers = 0;
    static const char *const topics[] = {"one", "eight", "one"};
    kafka_group_ask(g, topics, ARRAY_LEN(topics), on_progress, &t);
    kafka_group_free(g);
    assert_int_equal(t.answers, 1);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_partition_is_silent_until_it_is_resumed),
        TEST(every_one_of_many_partitions_is_started),
        TEST(pausing_loses_and_repeats_nothing),
        TEST(a_commit_that_moves_nothing_still_asks_the_coordinator),
        TEST(reading_goes_on_where_it_was_committed),
        TEST(a_revoked_partition_stays_until_it_is_released),
        TEST(it_is_told_how_far_the_group_has_come),
        TEST(without_a_broker_it_is_told_that_nobody_knows),
        TEST(a_consumer_that_librdkafka_gave_up_has_lost_its_partitions_to_the_next),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // one test alone: kafka_group_test <name, * for any>
    return cmocka_run_group_tests(tests, NULL, NULL);
}
