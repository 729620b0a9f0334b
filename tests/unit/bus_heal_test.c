// What heals: a bus of services/gateway/publish whose Redis, broker or neighbour goes away and comes back. A
// world of its own for each test.
#include "tests/unit/bus_fixture.h"

enum { MANY = 60 };

static struct registration many[MANY];

// Written to Redis; handed to the bus only where `post`.
static void create_many(struct world *w, const char *account, bool post)
{
    for (size_t i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "trunk-%zu", i);
        many[i] = created(w->f, account, name);
        if (post)
            world_post(w);
    }
}

static void forget_many(void)
{
    for (size_t i = 0; i < MANY; i++)
        registration_done(&many[i]);
}

static bool all_are_published(const void *arg)
{
    const struct world *w = arg;
    for (size_t i = 0; i < MANY; i++)
        if (!world_find((struct world *)(uintptr_t)w, "changes.any", "change.desired", many[i].id, 0))
            return false;
    return true;
}

static bool none_is_under_way(const void *arg)
{
    return metric(arg, BUS_UNDER_WAY, 0) == 0;
}

static bool redis_is_noticed_away(const void *arg)
{
    const struct world *w = arg;
    return !bus_health(w->bus).redis_up;
}

// ---- Kafka

static void a_kafka_that_was_away_gets_each_change_once(void **state)
{
    struct world *w = *state;
    peer_freeze(w->broker);
    create_many(w, "kafka", true);
    // past the brake of 2 s, and ack_wait: without it the sweep would publish all of them again
    expect_metric(w, BUS_BRAKED, 2, 15);
    assert_int_equal(metric(w, BUS_SWEPT, 0), 0);
    (void)kill(w->broker, SIGCONT);
    assert_true(peer_run_until(w->f->base, all_are_published, w, LONG_MS));
    assert_true(peer_run_until(w->f->base, none_is_under_way, w, LONG_MS));
    assert_in_range(metric(w, BUS_PUBLISHED, STORE_OP_DESIRED), MANY, MANY);
    forget_many();
}

static void what_could_not_be_given_to_kafka_before_it_died_is_published_to_the_next(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = created(w->f, "dead", "trunk");
    (void)peer_stop(w->broker, SIGKILL); // with all its topics
    world_post(w);
    world_start_broker(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
}

static void after_a_pause_late_ones_are_spread_over_the_grace(void **state)
{
    struct world *w = *state;
    create_many(w, "pause", true);
    assert_true(peer_run_until(w->f->base, all_are_published, w, LONG_MS));
    bus_stop(w->bus, 2000);
    unsigned s = shard_of("pause");
    for (size_t i = 0; i < MANY; i++)
        (void)rawf(w->f, "ZADD rc:{s%u}:due 1000 %" PRIu64, s, many[i].id);
    (void)rawf(w->f, "HSET rc:{s%u}:sweep at 1", s); // nobody swept since 1970
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    expect_redis(w, "0", "ZCOUNT rc:{s%u}:due -inf 2000", s);
    unsigned long long seconds, micros, early = 0;
    assert_int_equal(sscanf(raw(w->f, "TIME"), "%llu %llu", &seconds, &micros), 2);
    for (size_t i = 0; i < MANY; i++) {
        unsigned long long at = strtoull(rawf(w->f, "ZSCORE rc:{s%u}:due %" PRIu64, s, many[i].id), NULL, 10);
        assert_in_range(at, (seconds - 2) * 1000, (seconds + 1) * 1000 + GRACE_MS);
        early += at < seconds * 1000 + GRACE_MS / 2;
    }
    assert_in_range(early, MANY / 6, MANY - MANY / 6); // spread, not at one end
    forget_many();
}

// ---- two gateways

static void two_buses_share_what_is_late_without_publishing_it_twice(void **state)
{
    struct world *w = *state;
    struct metrics *others = metrics_new(bus_metrics_table, ARRAY_LEN(bus_metrics_table));
    struct bus *other = world_new_bus(w, "gateway-2", others);
    world_wait_until_heard(w, others);
    create_many(w, "shared", false); // their gateway died
    assert_true(peer_run_until(w->f->base, all_are_published, w, LONG_MS));
    assert_true(peer_run_until(w->f->base, none_is_under_way, w, LONG_MS));
    int64_t swept = metric(w, BUS_SWEPT, 0) + metrics_get(others, BUS_SWEPT, 0);
    bus_stop(other, 2000); // takes its time, in which what nobody reports becomes late again
    assert_int_equal(swept, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_null(world_find(w, "changes.any", "change.desired", many[i].id, 1));
    metrics_free(others);
    forget_many();
}

static void a_stopping_bus_publishes_what_was_posted(void **state)
{
    struct world *w = *state;
    create_many(w, "stop", true);
    bus_stop(w->bus, 5000);
    w->bus = NULL;
    assert_int_equal(metric(w, BUS_ACKED, 0), MANY);
    assert_true(peer_run_until(w->f->base, all_are_published, w, LONG_MS));
    // and Redis was told: nothing is late
    expect_redis(w, "0", "ZCOUNT rc:{s%u}:due -inf %" PRIu64, shard_of("stop"),
                 many[MANY - 1].revision + 1500);
    forget_many();
}

static void events_of_a_dead_gateway_are_drained_by_the_next_in_order(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("outbox");
    bus_stop(w->bus, 1000);
    (void)rawf(w->f, "SET rc:{s%u}:outbox:owner gateway-dead PX 1500", s);
    struct registration r cleanup(registration_done) = created(w->f, "outbox", "trunk");
    for (unsigned i = 0; i < 100; i++) {
        struct registration next cleanup(registration_done);
        registration_copy(&next, &r);
        next.retry_delay_s = 100 + i;
        assert_int_equal(do_update(w->f, &r, &next), 0);
        registration_done(&r);
        registration_copy(&r, &w->f->got.reg);
    }
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    (void)expect(w, "events", "registration.updated", r.id, 100);
    uint64_t last =
        json_u64_or(json_get(expect(w, "events", "registration.created", r.id, 1)->value, "revision"), 0);
    for (size_t i = 0; i < 100; i++) {
        const struct seen *e = world_find(w, "events", "registration.updated", r.id, i);
        uint64_t revision = json_u64_or(json_get(e->value, "revision"), 0);
        assert_true(revision > last);
        last = revision;
    }
    expect_redis(w, "0", "XLEN rc:{s%u}:outbox", s);
    assert_null(world_find(w, "events", "registration.updated", r.id, 100)); // none twice
}

static void events_under_way_at_a_stop_are_not_sent_again_by_the_next(void **state)
{
    struct world *w = *state;
    struct metrics *others = metrics_new(bus_metrics_table, ARRAY_LEN(bus_metrics_table));
    struct bus *other = world_new_bus(w, "gateway-2", others);
    world_wait_until_heard(w, others);
    struct registration first cleanup(registration_done) = created(w->f, "stopping", "first");
    world_post(w);
    (void)expect(w, "events", "registration.created", first.id, 1);
    char script[64], shell[] = "/bin/sh", option[] = "-c", *later[] = {shell, option, script, NULL};
    (void)snprintf(script, sizeof(script), "sleep 2.5; kill -CONT %d", (int)w->broker);
    peer_freeze(w->broker);
    create_many(w, "stopping", true);
    assert_false(peer_run_until(w->f->base, all_are_published, w, 300)); // they are read, and given to Kafka
    pid_t waker = peer_start(later);
    bus_stop(w->bus, 10000);
    w->bus = NULL;
    (void)peer_stop(waker, 0);
    for (size_t i = 0; i < MANY; i++)
        (void)expect(w, "events", "registration.created", many[i].id, 1);
    expect_redis(w, "0", "XLEN rc:{s%u}:outbox", shard_of("stopping"));
    for (size_t i = 0; i < MANY; i++)
        assert_null(world_find(w, "events", "registration.created", many[i].id, 1));
    bus_stop(other, 2000);
    metrics_free(others);
    forget_many();
}

// After a fail-over another one may have been first.
static void who_drained_events_before_redis_was_lost_asks_whether_it_still_may(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("owner");
    struct registration r cleanup(registration_done) = created(w->f, "owner", "trunk");
    world_post(w);
    (void)expect(w, "events", "registration.created", r.id, 1);
    (void)raw(w->f, "MULTI");
    (void)raw(w->f, "CLIENT KILL TYPE normal SKIPME yes");
    (void)rawf(w->f, "SET rc:{s%u}:outbox:owner gateway-2 PX 600000", s);
    (void)rawf(w->f,
               "XADD rc:{s%u}:outbox * type updated id %" PRIu64
               " account owner revision 2 time 1 source gateway-2",
               s, r.id);
    (void)raw(w->f, "EXEC");
    assert_true(peer_run_until(w->f->base, fixture_is_up, w->f, LONG_MS));
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    struct wanted updated = {w, "events", "registration.updated", r.id, 1};
    assert_false(peer_run_until(w->f->base, world_has, &updated, 1500));
    assert_string_equal(rawf(w->f, "XLEN rc:{s%u}:outbox", s), "1");
    (void)rawf(w->f, "DEL rc:{s%u}:outbox:owner", s);
    (void)expect(w, "events", "registration.updated", r.id, 1);
}

static void a_place_that_another_gateway_made_is_read_here_too(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = a_registration("places", "trunk");
    r.node = 7;
    assert_int_equal(do_create(w->f, &r), 0);
    registration_done(&r);
    registration_copy(&r, &w->f->got.reg);
    // its gateway published it, and noted the place
    (void)raw(w->f, "HSET rc:{g}:places node-7 1");
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", shard_of("places"), r.id);
}

// ---- Redis

static void a_report_that_redis_could_not_take_is_applied_when_it_is_back(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = created(w->f, "away", "trunk");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    assert_string_equal(raw(w->f, "SAVE"), "OK");
    (void)peer_stop(w->f->server, SIGKILL);
    assert_true(peer_run_until(w->f->base, redis_is_noticed_away, w, LONG_MS));
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    fixture_start_server(w->f);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_true(peer_run_until(w->f->base, fixture_is_up, w->f, LONG_MS));
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", shard_of("away"), r.id);
    forget_dump(w);
}

static void a_report_that_no_redis_took_is_read_again_by_the_next_gateway(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("reread");
    struct registration r cleanup(registration_done) = created(w->f, "reread", "trunk");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", s, r.id);
    assert_string_equal(raw(w->f, "SAVE"), "OK");
    world_wait_until_heard(w, NULL);
    uint64_t braked = metric(w, BUS_BRAKED, 3);
    peer_freeze(w->f->server); // takes the script and never runs it
    report_state(w, &r, 100, 2, STATE_REJECTED);
    expect_metric(w, BUS_BRAKED, 3, braked + 1); // it is read, and waits
    bus_stop(w->bus, 100);
    w->bus = NULL;
    restart_redis(w);
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    expect_redis(w, "rejected", "HGET rc:{s%u}:reg:%" PRIu64 " state", s, r.id);
    forget_dump(w);
}

#define HEALS(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEALS(a_kafka_that_was_away_gets_each_change_once),
        HEALS(what_could_not_be_given_to_kafka_before_it_died_is_published_to_the_next),
        HEALS(after_a_pause_late_ones_are_spread_over_the_grace),
        HEALS(two_buses_share_what_is_late_without_publishing_it_twice),
        HEALS(a_stopping_bus_publishes_what_was_posted),
        HEALS(events_of_a_dead_gateway_are_drained_by_the_next_in_order),
        HEALS(events_under_way_at_a_stop_are_not_sent_again_by_the_next),
        HEALS(who_drained_events_before_redis_was_lost_asks_whether_it_still_may),
        HEALS(a_place_that_another_gateway_made_is_read_here_too),
        HEALS(a_report_that_redis_could_not_take_is_applied_when_it_is_back),
        HEALS(a_report_that_no_redis_took_is_read_again_by_the_next_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
