// What a Redis lost: a bus of services/gateway/publish finds out, holds writes and writes back what Kafka
// still holds. A world of its own for each test.
#include "tests/unit/bus_fixture.h"

static void an_emptied_redis_gets_back_what_was_published_and_gives_no_id_twice(void **state)
{
    struct world *w = *state;
    unsigned s = shard_of("lost");
    struct registration kept cleanup(registration_done) = created(w->f, "lost", "kept");
    world_post(w);
    struct registration gone cleanup(registration_done) = created(w->f, "lost", "gone");
    world_post(w);
    assert_int_equal(do_delete(w->f, "lost", gone.id), 0);
    world_post(w);
    (void)expect(w, "changes.any", "change.remove", gone.id, 1);
    (void)expect(w, "changes.any", "change.desired", kept.id, 1);
    assert_int_equal(do_refresh(w->f, "lost", kept.id), 0);
    world_post(w);
    uint64_t present =
        json_u64_or(json_get(expect(w, "changes.any", "change.desired", kept.id, 2)->value, "revision"), 0);

    restart_redis(w); // empty
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    char revision[24], id[24];
    (void)snprintf(revision, sizeof(revision), "%" PRIu64, present);
    (void)snprintf(id, sizeof(id), "%" PRIu64, kept.id);
    assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%s revision", s, id), revision);
    assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%s refresh_seq", s, id), "1");
    assert_string_equal(rawf(w->f, "HGET rc:{s%u}:acct:lost:names kept", s), id);
    assert_string_equal(rawf(w->f, "ZRANGE rc:{s%u}:acct:lost:ids 0 -1", s), id);
    assert_string_equal(rawf(w->f, "SISMEMBER rc:{s%u}:at:any:%u %s", s, key_bucket(kept.id), id), "1");
    char digest[STORE_DIGEST_BYTES];
    key_binding_digest(&kept, digest);
    assert_string_equal(rawf(w->f, "ZRANGE rc:{s%u}:acct:lost:by:binding:%s 0 -1", s, digest), id);
    assert_string_not_equal(rawf(w->f, "ZSCORE rc:{s%u}:due %s", s, id), "(nil)");
    assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%" PRIu64 " deleted", s, gone.id), "1");

    // the store sees it whole, an update finds it, and the sequence goes on
    assert_int_equal(do_get(w->f, "lost", kept.id), 0);
    struct buf was cleanup(buf_done) = BUF_INIT, is cleanup(buf_done) = BUF_INIT;
    kept.refresh_seq = 1;
    registration_write(&was, &kept);
    registration_write(&is, &w->f->got.reg);
    assert_string_equal(was.p, is.p);
    struct registration next cleanup(registration_done) = created(w->f, "lost", "next");
    assert_true(next.id > gone.id);
    assert_int_equal(metric(w, BUS_RESTORES_TOTAL, 0), 2);
}

static void a_redis_that_lost_nothing_keeps_what_it_has(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = created(w->f, "same", "trunk");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", shard_of("same"), r.id);
    (void)rawf(w->f, "ZADD rc:{s%u}:gone 1 777", shard_of("same")); // and a grave
    assert_string_equal(raw(w->f, "SAVE"), "OK");
    char *before cleanup(mem_free_cstr) = mem_dup_cstr(
        rawf(w->f, "HMGET rc:{s%u}:reg:%" PRIu64 " revision status spec", shard_of("same"), r.id));
    restart_redis(w);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_string_equal(
        rawf(w->f, "HMGET rc:{s%u}:reg:%" PRIu64 " revision status spec", shard_of("same"), r.id), before);
    assert_int_equal(metric(w, BUS_RESTORES_TOTAL, 0), 0);
    assert_int_equal(metric(w, BUS_RESTORES_TOTAL, 1), 1);
    forget_dump(w);
}

static void what_was_lost_before_a_long_outage_is_written_back(void **state)
{
    struct world *w = *state;
    const uint64_t minute = 60 * 1000, now = clock_wall_ms();
    struct registration lost cleanup(registration_done) = a_registration("outage", "lost");
    lost.id = 4711;
    lost.credentials[0].clear = false;
    struct buf change cleanup(buf_done) = BUF_INIT;
    buf_addf(&change,
             "{\"v\":1,\"id\":4711,\"account\":\"outage\",\"revision\":%" PRIu64
             ",\"op\":\"desired\",\"spec\":",
             now - 30 * minute);
    registration_write(&change, &lost);
    buf_add_char(&change, '}');
    send_record_at(w, "changes.any", lost.id, buf_str(&change), now - 30 * minute);
    assert_true(peer_run_until(w->f->base, world_is_reported, w, SOON_MS));

    bus_stop(w->bus, 2000);
    w->bus = NULL;
    (void)rawf(w->f, "HSET rc:{s0}:sweep at %" PRIu64, now - 31 * minute); // then it died
    assert_string_equal(raw(w->f, "SAVE"), "OK");
    restart_redis(w);
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(do_get(w->f, "outage", lost.id), 0);
    forget_dump(w);
}

// A change of a registration in a place, with a report that came before it.
static void send_change(struct world *w, const struct registration *r, const char *place, uint64_t revision,
                        uint64_t epoch)
{
    struct buf change cleanup(buf_done) = BUF_INIT;
    struct registration there cleanup(registration_done);
    registration_copy(&there, r);
    there.node = strcmp(place, "node-7") == 0 ? 7 : 0;
    there.revision = revision;
    struct status s = a_report(&there, epoch, 1, STATE_REGISTERED);
    buf_addf(&change,
             "{\"v\":1,\"id\":%" PRIu64 ",\"account\":\"moved\",\"revision\":%" PRIu64
             ",\"op\":\"desired\",\"spec\":",
             r->id, revision);
    registration_write(&change, &there);
    buf_add_cstr(&change, ",\"status\":");
    status_write(&change, &s);
    status_done(&s);
    buf_add_char(&change, '}');
    char topic[64];
    (void)snprintf(topic, sizeof(topic), "changes.%s", place);
    send_record_at(w, topic, r->id, buf_str(&change), revision);
}

// They are read one partition after the other, in whichever order.
static void what_was_moved_comes_back_as_it_was_last(void **state)
{
    struct world *w = *state;
    static const char *const ways[][2] = {{"any", "node-7"}, {"node-7", "any"}};
    const uint64_t hour = 60 * 60 * 1000, now = clock_wall_ms();
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "trunk-%zu", i);
        struct registration r cleanup(registration_done) = a_registration("moved", name);
        r.id = 4711 + i;
        r.credentials[0].clear = false;
        send_change(w, &r, ways[i][0], now - 2 * hour, 100);
        send_change(w, &r, ways[i][1], now - hour, 200);
    }
    assert_true(peer_run_until(w->f->base, world_is_reported, w, SOON_MS));
    restart_redis(w); // empty
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    unsigned s = shard_of("moved");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char wanted[24];
        assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%zu place", s, 4711 + i), ways[i][1]);
        assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%zu epoch", s, 4711 + i), "200");
        (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, now - hour);
        assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%zu revision", s, 4711 + i), wanted);
        (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, now - 2 * hour);
        assert_string_equal(rawf(w->f, "HGET rc:{s%u}:reg:%zu created_at", s, 4711 + i), wanted);
        unsigned bucket = key_bucket(4711 + i);
        assert_string_equal(rawf(w->f, "SISMEMBER rc:{s%u}:at:%s:%u %zu", s, ways[i][0], bucket, 4711 + i),
                            "0");
        assert_string_equal(rawf(w->f, "SISMEMBER rc:{s%u}:at:%s:%u %zu", s, ways[i][1], bucket, 4711 + i),
                            "1");
    }
}

static bool world_is_held(const void *arg)
{
    const struct world *w = arg;
    return !bus_health(w->bus).redis_approved;
}

// FLUSHALL breaks no connection and changes no replication id.
static void a_redis_emptied_under_its_gateways_gets_everything_back_and_gives_no_id_twice(void **state)
{
    struct world *w = *state;
    const uint64_t hour = 60 * 60 * 1000, now = clock_wall_ms();
    struct registration old cleanup(registration_done) = a_registration("flushed", "old");
    old.id = 4711;
    old.credentials[0].clear = false;
    struct buf change cleanup(buf_done) = BUF_INIT;
    buf_addf(&change,
             "{\"v\":1,\"id\":4711,\"account\":\"flushed\",\"revision\":%" PRIu64
             ",\"op\":\"desired\",\"spec\":",
             now - hour);
    registration_write(&change, &old);
    buf_add_char(&change, '}');
    send_record_at(w, "changes.any", old.id, buf_str(&change), now - hour);
    struct registration fresh cleanup(registration_done) = created(w->f, "flushed", "fresh");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", fresh.id, 1);

    (void)raw(w->f, "FLUSHALL");
    struct registration next cleanup(registration_done) = a_registration("flushed", "next");
    assert_int_equal(do_create(w->f, &next), -EBUSY); // the sequence would begin at 1 again
    assert_true(peer_run_until(w->f->base, world_is_held, w, SOON_MS));
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(do_get(w->f, "flushed", old.id), 0); // though older than what a fail-over can lose
    assert_int_equal(do_get(w->f, "flushed", fresh.id), 0);
    assert_int_equal(do_create(w->f, &next), 0);
    assert_true(w->f->got.reg.id > old.id);
}

// A shard of a cluster may be with a server that was emptied alone.
static void one_emptied_shard_is_noticed(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = created(w->f, "shard", "trunk");
    unsigned s = shard_of("shard");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    (void)rawf(w->f, "DEL rc:{s%u}:sweep rc:{s%u}:reg:%" PRIu64 " rc:{s%u}:acct:shard:ids", s, s, r.id, s);
    assert_true(peer_run_until(w->f->base, world_is_held, w, SOON_MS));
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(do_get(w->f, "shard", r.id), 0);
}

// Lets nobody in before another gateway has said that what was published is written back.
static void start_redis_that_was_checked(struct fixture *f)
{
    char port[8], name[] = "redis-server", o1[] = "--port", o2[] = "--dir", o3[] = "--save", none[] = "",
                  o4[] = "--requirepass", secret[] = "secret", shell[] = "/bin/sh", option[] = "-c",
                  script[1024];
    (void)snprintf(port, sizeof(port), "%u", f->port);
    char *server[] = {name, o1, port, o2, f->dir, o3, none, o4, secret, NULL};
    (void)snprintf(
        script, sizeof(script),
        "r='redis-cli -p %u -a secret'\n"
        "until $r ping | grep -q PONG; do sleep 0.05; done\n"
        "id=$($r info server | tr -d '\\r' | sed -n 's/^run_id://p')\n"
        "for k in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do $r hset rc:{s$k}:sweep replid $id; done\n"
        "$r set rc:{g}:replid $id && $r config set requirepass ''\n",
        f->port);
    char *check[] = {shell, option, script, NULL};
    (void)peer_stop(f->server, SIGKILL);
    f->server = peer_start(server);
    f->replication_hash = 0;
    assert_int_equal(peer_stop(peer_start(check), 0), 0);
    assert_true(peer_run_until(f->base, fixture_is_up, f, LONG_MS));
}

// It wrote to the former one for as long as it did not know of the present one.
static void who_comes_late_from_a_lost_redis_writes_back_what_it_wrote_there(void **state)
{
    struct world *w = *state;
    assert_string_equal(raw(w->f, "SAVE"), "OK");
    struct registration r cleanup(registration_done) = created(w->f, "split", "trunk");
    world_post(w);
    (void)expect(w, "changes.any", "change.desired", r.id, 1);
    start_redis_that_was_checked(w->f);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(do_get(w->f, "split", r.id), 0);
    assert_int_equal(w->f->got.reg.revision, r.revision);
    forget_dump(w);
}

// In a cluster the sequence is with one server, and what ids were given for with others.
static void a_sequence_that_fell_back_goes_on_above_what_the_shards_hold(void **state)
{
    struct world *w = *state;
    bus_stop(w->bus, 1000);
    w->bus = NULL;
    struct registration r cleanup(registration_done) = created(w->f, "sequence", "unpublished");
    (void)raw(w->f, "SET rc:{g}:seq 0");
    (void)raw(w->f, "SET rc:{g}:replid another");
    w->f->gate.approved = 0;
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    struct registration next cleanup(registration_done) = created(w->f, "elsewhere", "next");
    assert_true(next.id > r.id);
}

static void without_kafka_an_unknown_redis_takes_no_writes(void **state)
{
    struct world *w = *state;
    bus_stop(w->bus, 1000);
    w->bus = NULL;
    peer_freeze(w->broker);
    w->f->gate.approved = 0;
    (void)raw(w->f, "FLUSHALL");
    w->bus = world_new_bus(w, "gateway-2", w->metrics);
    struct registration r cleanup(registration_done) = a_registration("refused", "trunk");
    expect_metric(w, BUS_REDIS_UP, 0, 1);
    expect_metric(w, BUS_BRAKED, 0, 10); // it had the time to decide otherwise
    assert_false(bus_health(w->bus).redis_approved);
    assert_int_equal(do_create(w->f, &r), -EBUSY);
    (void)kill(w->broker, SIGCONT);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    assert_int_equal(do_create(w->f, &r), 0);
}

#define LOST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOST(an_emptied_redis_gets_back_what_was_published_and_gives_no_id_twice),
        LOST(what_was_moved_comes_back_as_it_was_last),
        LOST(a_redis_that_lost_nothing_keeps_what_it_has),
        LOST(what_was_lost_before_a_long_outage_is_written_back),
        LOST(a_redis_emptied_under_its_gateways_gets_everything_back_and_gives_no_id_twice),
        LOST(one_emptied_shard_is_noticed),
        LOST(who_comes_late_from_a_lost_redis_writes_back_what_it_wrote_there),
        LOST(a_sequence_that_fell_back_goes_on_above_what_the_shards_hold),
        LOST(without_kafka_an_unknown_redis_takes_no_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
