// What a bus of services/gateway/publish had still on its way to Kafka when Redis lost it: the reading of the
// topics cannot find it. The brokers are librdkafka's mock cluster in this process, which refuses records for
// a while and answers all else.
#include "tests/unit/bus_fixture.h"

#include <librdkafka/rdkafka.h>
// needs rdkafka.h before it
#include <librdkafka/rdkafka_mock.h>

enum { PRODUCE = 0, REFUSALS = 200 }; // a tenth of a second each

static rd_kafka_t *mock_handle;
static rd_kafka_mock_cluster_t *mock;

static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

static int late_setup(void **state)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, drop_log);
    mock_handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(mock_handle);
    mock = rd_kafka_mock_cluster_new(mock_handle, 1);
    assert_non_null(mock);
    return world_setup_on(state, rd_kafka_mock_cluster_bootstraps(mock));
}

static int late_teardown(void **state)
{
    rd_kafka_mock_clear_request_errors(mock, PRODUCE);
    int rc = world_teardown(state);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_handle);
    return rc;
}

static void refuse_records(void)
{
    rd_kafka_resp_err_t errors[REFUSALS];
    for (size_t i = 0; i < REFUSALS; i++)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    rd_kafka_mock_push_request_errors_array(mock, PRODUCE, REFUSALS, errors);
}

static bool world_is_held(const void *arg)
{
    const struct world *w = arg;
    return !bus_health(w->bus).redis_approved;
}

static void what_kafka_did_not_have_yet_is_written_back_too(void **state)
{
    struct world *w = *state;
    struct registration early cleanup(registration_done) = created(w->f, "late", "early");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", early.id, 1);
    refuse_records();
    struct registration late cleanup(registration_done) = created(w->f, "late", "late");
    world_post(w);
    expect_metric(w, BUS_UNDER_WAY, 0, 1);

    (void)raw(w->f, "FLUSHALL");
    assert_true(peer_run_until(w->f->base, world_is_held, w, SOON_MS));
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(metric(w, BUS_UNDER_WAY, 0), 1); // Kafka has it not yet
    assert_int_equal(do_get(w->f, "late", early.id), 0);
    assert_int_equal(do_get(w->f, "late", late.id), 0);
    assert_int_equal(w->f->got.reg.revision, late.revision);
    struct registration next cleanup(registration_done) = created(w->f, "late", "next");
    assert_true(next.id > late.id);
}

// It found nothing in the topics either, and said that all is written back.
static void what_another_gateway_could_not_know_of_is_written_back(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("shared");
    refuse_records();
    struct registration r cleanup(registration_done) = created(w->f, "shared", "trunk");
    char revision[24];
    (void)snprintf(revision, sizeof(revision), "%" PRIu64, r.revision);
    world_post(w);
    expect_metric(w, BUS_UNDER_WAY, 0, 1);
    (void)raw(w->f, "MULTI");
    (void)raw(w->f, "CLIENT KILL TYPE normal SKIPME yes");
    (void)rawf(w->f, "DEL rc:{s%u}:reg:%" PRIu64 " rc:{s%u}:due rc:{s%u}:acct:shared:ids", s, r.id, s, s);
    (void)raw(w->f, "EXEC");
    expect_redis(w, revision, "HGET rc:{s%u}:reg:%" PRIu64 " revision", s, r.id);
    assert_int_equal(metric(w, BUS_UNDER_WAY, 0), 1);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_true(peer_run_until(w->f->base, fixture_is_up, w->f, LONG_MS));
    assert_int_equal(do_get(w->f, "shared", r.id), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_kafka_did_not_have_yet_is_written_back_too, late_setup,
                                        late_teardown),
        cmocka_unit_test_setup_teardown(what_another_gateway_could_not_know_of_is_written_back, late_setup,
                                        late_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
