// common/kafka where a part of the brokers is away: two of them, of librdkafka's mock cluster in this
// process, so that a partition can lose its leader alone.
#include "tests/unit/kafka_fixture.h"

#include <librdkafka/rdkafka_mock.h>

enum { FIRST = 1, SECOND = 2, ORPHAN = 3 };

struct brokers {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *mock;
};

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

// The first leads everything but one partition, and the group.
static struct brokers brokers_start(struct fixture *f)
{
    struct brokers b;
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, drop_log);
    b.host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(b.host);
    b.mock = rd_kafka_mock_cluster_new(b.host, 2);
    assert_non_null(b.mock);
    assert_int_equal(rd_kafka_mock_topic_create(b.mock, "eight", PARTITIONS, 1), 0);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(rd_kafka_mock_partition_set_leader(b.mock, "eight", i, i == ORPHAN ? SECOND : FIRST),
                         0);
    assert_int_equal(rd_kafka_mock_coordinator_set(b.mock, "group", f->group, FIRST), 0);
    (void)snprintf(f->bootstrap, sizeof(f->bootstrap), "%s", rd_kafka_mock_cluster_bootstraps(b.mock));
    char *rest = strchr(f->bootstrap, ',');
    if (rest)
        *rest = '\0';
    return b;
}

static void brokers_stop(struct fixture *f, struct brokers *b)
{
    kafka_consumer_free(f->members[0].c, 2000);
    f->members[0].c = NULL;
    rd_kafka_mock_cluster_destroy(b->mock);
    rd_kafka_destroy(b->host);
}

static bool owns_all_but_one(const void *arg)
{
    const struct member *m = arg;
    return owned(m) >= PARTITIONS - 1;
}

static void expect_ends(struct member *m)
{
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(kafka_consumer_end(m->c, "eight", i), i == ORPHAN ? -1 : 0);
}

static void expect_only_the_orphan_waits(struct fixture *f)
{
    struct member *m = &f->members[0];
    easy_member_start(f, 0, "eight");
    until(f, owns_all_but_one, m);
    assert_false(m->ours[ORPHAN]);
    expect_ends(m);
}

static void a_partition_without_a_leader_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    struct brokers b = brokers_start(f);
    assert_int_equal(rd_kafka_mock_partition_set_leader(b.mock, "eight", ORPHAN, -1), 0);
    expect_only_the_orphan_waits(f);
    assert_int_equal(rd_kafka_mock_partition_set_leader(b.mock, "eight", ORPHAN, FIRST), 0);
    until(f, owns_all, &f->members[0]);
    brokers_stop(f, &b);
}

static void a_leader_that_is_away_holds_up_no_partition_of_another(void **state)
{
    struct fixture *f = *state;
    struct brokers b = brokers_start(f);
    assert_int_equal(rd_kafka_mock_broker_set_down(b.mock, SECOND), 0);
    expect_only_the_orphan_waits(f);
    assert_int_equal(rd_kafka_mock_broker_set_up(b.mock, SECOND), 0);
    until(f, owns_all, &f->members[0]);
    brokers_stop(f, &b);
}

static bool has_committed_all(const void *arg)
{
    const struct member *m = arg;
    return m->commits >= PARTITIONS && !m->commit_errors;
}

// Where the others end must be known: who takes over would do again what was done before.
static void what_was_committed_is_taken_over_without_its_leader(void **state)
{
    struct fixture *f = *state;
    struct member *m = &f->members[0];
    struct brokers b = brokers_start(f);
    easy_member_start(f, 0, "eight");
    until(f, owns_all, m);
    for (int i = 0; i < PARTITIONS; i++)
        kafka_consumer_commit(m->c, "eight", i, 0);
    until(f, has_committed_all, m);
    kafka_consumer_free(m->c, 2000);
    m->c = NULL;
    memset(m->ours, 0, sizeof(m->ours));

    assert_int_equal(rd_kafka_mock_broker_set_down(b.mock, SECOND), 0);
    easy_member_start(f, 0, "eight");
    until(f, owns_all, m);
    expect_ends(m);
    brokers_stop(f, &b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_without_a_leader_holds_up_no_other),
        TEST(a_leader_that_is_away_holds_up_no_partition_of_another),
        TEST(what_was_committed_is_taken_over_without_its_leader),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // one test alone: kafka_leaders_test <name, * for any>
    return cmocka_run_group_tests(tests, NULL, NULL);
}
