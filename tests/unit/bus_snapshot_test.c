// The partition snapshot of services/gateway/publish, fetched as a registrant fetches it: whole, closed by
// its count, refused to whoever has no token.
#include "tests/unit/bus_fixture.h"

#include "common/base/hash.h"
#include "common/http/http.h"
#include "services/gateway/publish/token.h"

enum { COUNT = 700, PARTITIONS = 4, BIG_COUNT = 1400, BIG_BYTES = 8000 };

struct fetched {
    int status, done;
    uint64_t lines, count; // count: of the closing line, UINT64_MAX while there was none
    bool after_count;      // a line came after it
    uint64_t ids[BIG_COUNT + 8];
    struct http_fetch *pause_at_first; // NULL: read on
    bool paused;
    char first[1024]; // line
    uint64_t watched; // the line of that id is kept
    char watched_line[2048];
    struct json *last;
};

static void on_line(void *arg, struct str line)
{
    struct fetched *x = arg;
    struct error err;
    x->after_count = x->after_count || x->count != UINT64_MAX;
    json_free(x->last);
    assert_int_equal(json_parse(line, &JSON_LIMITS_DEFAULT, &x->last, &err), 0);
    if (json_get(x->last, "count")) {
        x->count = json_u64_or(json_get(x->last, "count"), 0);
        return;
    }
    if (!x->lines)
        (void)snprintf(x->first, sizeof(x->first), STR_FMT, STR_ARG(line));
    if (x->pause_at_first && !x->lines) {
        http_fetch_pause(x->pause_at_first, true);
        x->paused = true;
    }
    assert_true(x->lines < ARRAY_LEN(x->ids));
    x->ids[x->lines] = json_u64_or(json_get(x->last, "id"), 0);
    if (x->watched && x->ids[x->lines] == x->watched)
        (void)snprintf(x->watched_line, sizeof(x->watched_line), STR_FMT, STR_ARG(line));
    x->lines++;
}

static void on_done(void *arg, int status, const struct error *err)
{
    (void)err;
    struct fetched *x = arg;
    x->status = status;
    x->done++;
}

static bool is_done(const void *arg)
{
    const struct fetched *x = arg;
    return x->done;
}

static struct http_fetch *start_fetch(struct world *w, const char *query, const char *token,
                                      struct fetched *ret)
{
    char url[256];
    struct http_fetch *f;
    struct error err;
    *ret = (struct fetched){.count = UINT64_MAX};
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/snapshot%s", bus_snapshot_port(w->bus), query);
    const struct http_fetch_params params = {.base = w->f->base,
                                             .url = url,
                                             .bearer = token,
                                             .timeout_ms = 5000,
                                             .line_bytes = 1 << 20,
                                             .arg = ret,
                                             .on_line = on_line,
                                             .on_done = on_done};
    assert_int_equal(http_fetch_lines(&params, &f, &err), 0);
    return f;
}

static void fetch(struct world *w, const char *query, const char *token, struct fetched *ret)
{
    (void)start_fetch(w, query, token, ret);
    assert_true(peer_run_until(w->f->base, is_done, ret, LONG_MS));
}

static void fetched_done(struct fetched *x)
{
    json_free(x->last);
}

static void the_partitions_together_hold_every_registration_once(void **state)
{
    struct world *w = *state;
    static unsigned char times[COUNT + 8];
    for (size_t i = 0; i < COUNT; i++) {
        char account[16], name[16];
        (void)snprintf(account, sizeof(account), "many-%zu", i % 5);
        (void)snprintf(name, sizeof(name), "trunk-%zu", i);
        struct registration r cleanup(registration_done) = created(w->f, account, name);
    }
    // 3 does not divide the 64 buckets, 1 takes all of them
    static const uint32_t counts[] = {PARTITIONS, 3, 1};
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        memset(times, 0, sizeof(times));
        for (uint32_t p = 0; p < counts[c]; p++) {
            char query[64];
            (void)snprintf(query, sizeof(query), "?place=any&partition=%u&partitions=%u", p, counts[c]);
            struct fetched x cleanup(fetched_done);
            fetch(w, query, TOKEN, &x);
            assert_int_equal(x.status, 200);
            assert_int_equal(x.count, x.lines);
            assert_false(x.after_count);
            for (size_t i = 0; i < x.lines; i++) {
                char id[24];
                (void)snprintf(id, sizeof(id), "%" PRIu64, x.ids[i]);
                assert_int_equal(hash_partition(str_of(id), counts[c]), p);
                assert_in_range(x.ids[i], 1, COUNT);
                times[x.ids[i]]++;
            }
        }
        for (size_t id = 1; id <= COUNT; id++)
            assert_int_equal(times[id], 1);
    }
}

static void a_line_says_what_a_change_would_say(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = a_registration("line", "trunk");
    r.node = 7;
    assert_int_equal(do_create(w->f, &r), 0);
    registration_done(&r);
    registration_copy(&r, &w->f->got.reg);
    world_post(w);
    (void)expect(w, "changes.node-7", "change.desired", r.id, 1);
    struct fetched x cleanup(fetched_done);
    fetch(w, "?place=node-7&partition=0&partitions=1", TOKEN, &x);
    assert_int_equal(x.lines, 1);
    assert_int_equal(x.ids[0], r.id);
    char begin[128];
    (void)snprintf(begin, sizeof(begin),
                   "{\"op\":\"desired\",\"id\":%" PRIu64 ",\"account\":\"line\",\"revision\":%" PRIu64
                   ",\"spec\":{",
                   r.id, r.revision);
    assert_memory_equal(x.first, begin, strlen(begin));
    assert_null(strstr(x.first, "\"status\""));

    report_state(w, &r, 100, 1, STATE_REGISTERED);
    unsigned s = store_shard(STR_LIT("line"));
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", s, r.id);
    assert_int_equal(do_delete(w->f, "line", r.id), 0);
    struct fetched y cleanup(fetched_done);
    fetch(w, "?place=node-7&partition=0&partitions=1", TOKEN, &y);
    assert_int_equal(y.lines, 1); // a deletion not yet proved is somebody's work
    assert_int_equal(y.count, 1);
    assert_non_null(strstr(y.first, "{\"op\":\"remove\","));
    assert_non_null(strstr(y.first, "\"status\":{\"v\":1,"));

    struct fetched other cleanup(fetched_done);
    fetch(w, "?place=node-8&partition=0&partitions=1", TOKEN, &other);
    assert_int_equal(other.status, 200);
    assert_int_equal(other.count, 0);
}

static void who_has_no_token_is_refused(void **state)
{
    struct world *w = *state;
    static const char *const wrong[] = {NULL, "", "a token", TOKEN " and more"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct fetched x cleanup(fetched_done);
        fetch(w, "?place=any&partition=0&partitions=1", wrong[i], &x);
        assert_int_equal(x.status, 401);
        assert_int_equal(x.lines, 0);
    }
}

static void bad_parameters_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const queries[] = {"",
                                          "?place=any",
                                          "?place=any&partition=1&partitions=1",
                                          "?place=any&partition=-1&partitions=4",
                                          "?place=any&partition=0&partitions=0",
                                          "?place=any&partition=0&partitions=99999999999",
                                          "?place=*&partition=0&partitions=1",
                                          "?place=node-&partition=0&partitions=1",
                                          "?place=pop-1%0a&partition=0&partitions=1"};
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct fetched x cleanup(fetched_done);
        fetch(w, queries[i], TOKEN, &x);
        assert_int_equal(x.status, 400);
    }
}

static bool is_paused(const void *arg)
{
    const struct fetched *x = arg;
    return x->paused;
}

// More than the sockets' buffers hold.
static void create_big(struct world *w)
{
    struct buf labels cleanup(buf_done) = BUF_INIT;
    buf_addf(&labels, "{\"filler\":\"%0*d\"}", BIG_BYTES, 0);
    for (size_t i = 0; i < BIG_COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "big-%zu", i);
        struct registration r cleanup(registration_done) = a_registration("big", name);
        r.node = 9;
        set_text(&r.labels, labels.p);
        assert_int_equal(do_create(w->f, &r), 0);
    }
}

static void a_reader_that_pauses_holds_nobody_up_and_one_that_leaves_ends_it(void **state)
{
    struct world *w = *state;
    create_big(w);
    struct fetched x cleanup(fetched_done), y cleanup(fetched_done), small cleanup(fetched_done);
    struct http_fetch *f = start_fetch(w, "?place=node-9&partition=0&partitions=1", TOKEN, &x);
    x.pause_at_first = f;
    assert_true(peer_run_until(w->f->base, is_paused, &x, LONG_MS));
    uint64_t complete = metric(w, BUS_SNAPSHOTS, 0), left = metric(w, BUS_SNAPSHOTS, 2);
    fetch(w, "?place=node-8&partition=0&partitions=1", TOKEN, &small);
    assert_int_equal(small.count, 0);
    expect_metric(w, BUS_SNAPSHOTS, 0, complete + 1);
    assert_int_equal(x.done, 0);
    http_fetch_pause(f, false);
    assert_true(peer_run_until(w->f->base, is_done, &x, LONG_MS));
    assert_int_equal(x.count, BIG_COUNT);
    assert_int_equal(x.lines, BIG_COUNT);
    assert_int_equal(metric(w, BUS_SNAPSHOTS, 0), complete + 2);

    f = start_fetch(w, "?place=node-9&partition=0&partitions=1", TOKEN, &y);
    y.pause_at_first = f;
    assert_true(peer_run_until(w->f->base, is_paused, &y, LONG_MS));
    http_fetch_cancel(f);
    expect_metric(w, BUS_SNAPSHOTS, 2, left + 1);
}

static bool is_noticed_away(const void *arg)
{
    const struct world *w = arg;
    return !bus_health(w->bus).redis_up;
}

static bool never(const void *arg)
{
    (void)arg;
    return false;
}

// The snapshot asks Redis nothing any more: all buffers up to the paused reader are full.
static void wait_until_stalled(struct world *w)
{
    uint64_t before = UINT64_MAX, end_us = clock_monotonic_us() + LONG_MS * UINT64_C(1000);
    for (int same = 0; same < 10 && clock_monotonic_us() < end_us;) {
        const char *calls = strstr(raw(w->f, "INFO commandstats"), "cmdstat_sscan:calls=");
        uint64_t now = calls ? strtoull(strchr(calls, '=') + 1, NULL, 10) : 0;
        same = now == before ? same + 1 : 0;
        before = now;
        (void)peer_run_until(w->f->base, never, NULL, 20);
    }
}

static void what_was_begun_on_one_redis_is_not_ended_on_another(void **state)
{
    struct world *w = *state;
    struct fetched x cleanup(fetched_done);
    struct http_fetch *f = start_fetch(w, "?place=node-9&partition=0&partitions=1", TOKEN, &x);
    x.pause_at_first = f;
    assert_true(peer_run_until(w->f->base, is_paused, &x, LONG_MS));
    wait_until_stalled(w);
    uint64_t broken = metric(w, BUS_SNAPSHOTS, 1);
    (void)peer_stop(w->f->server, SIGKILL);
    assert_true(peer_run_until(w->f->base, is_noticed_away, w, LONG_MS));
    fixture_start_server(w->f); // an empty one
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    http_fetch_pause(f, false);
    assert_true(peer_run_until(w->f->base, is_done, &x, LONG_MS));
    assert_int_equal(x.count, UINT64_MAX);
    expect_metric(w, BUS_SNAPSHOTS, 1, broken + 1);
}

static void without_redis_there_is_no_snapshot(void **state)
{
    struct world *w = *state;
    (void)peer_stop(w->f->server, SIGKILL);
    struct fetched x cleanup(fetched_done) = {.status = 200};
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (x.status != 503 && clock_monotonic_us() < end_us) {
        fetched_done(&x);
        fetch(w, "?place=any&partition=0&partitions=1", TOKEN, &x);
        assert_true(x.status == 503 || x.count == UINT64_MAX); // never whole
    }
    assert_int_equal(x.status, 503);
    fixture_start_server(w->f);
}

// ---- as new as the status topic

// The rest of the group of gateways: it is given partitions of the status topic and applies nothing.
struct idler {
    struct world *w;
    struct kafka_consumer *consumer;
    bool ours[4];
    bool answered, refused; // its commit
};

static void idler_on_records(void *arg, const struct kafka_record *records, size_t count)
{
    (void)arg, (void)records, (void)count;
}

static void idler_on_assigned(void *arg, const char *topic, int32_t partition)
{
    (void)topic;
    ((struct idler *)arg)->ours[partition] = true;
}

static void idler_on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)lost;
    struct idler *i = arg;
    i->ours[partition] = false;
    kafka_consumer_release(i->consumer, topic, partition);
}

static void idler_on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    (void)sent_us;
    struct idler *i = arg;
    i->answered = true;
    i->refused = err != NULL;
}

static bool idler_has_some(const void *arg)
{
    const struct idler *i = arg;
    return i->ours[0] || i->ours[1] || i->ours[2] || i->ours[3];
}

static bool idler_is_answered(const void *arg)
{
    return ((const struct idler *)arg)->answered;
}

static void idler_topic(const struct idler *i, char ret[64])
{
    (void)snprintf(ret, 64, "%s.status.any", i->w->prefix);
}

// The broker takes none while the group rebalances.
static void idler_commit(struct idler *i, uint32_t partition, int64_t next)
{
    char topic[64];
    idler_topic(i, topic);
    do {
        i->answered = false;
        kafka_consumer_commit(i->consumer, topic, (int32_t)partition, next);
        assert_true(peer_run_until(i->w->f->base, idler_is_answered, i, LONG_MS));
    } while (i->refused);
}

static void idler_start(struct idler *i, struct world *w)
{
    char topic[64], group[64];
    *i = (struct idler){.w = w};
    idler_topic(i, topic);
    const char *topics[] = {topic};
    (void)snprintf(group, sizeof(group), "%s-gateway", w->prefix);
    const struct kafka_consumer_params params = {.common = {.base = w->f->base,
                                                            .bootstrap = w->bootstrap,
                                                            .client_id = "idler",
                                                            .extra = BROKER_SETTINGS},
                                                 .group = group,
                                                 .topics = topics,
                                                 .topic_count = 1,
                                                 .from_beginning = true,
                                                 .session_timeout_ms = SESSION_MS,
                                                 .arg = i,
                                                 .on_records = idler_on_records,
                                                 .on_assigned = idler_on_assigned,
                                                 .on_revoked = idler_on_revoked,
                                                 .on_commit = idler_on_commit};
    struct error err;
    assert_int_equal(kafka_consumer_new(&params, &i->consumer, &err), 0);
    assert_true(peer_run_until(w->f->base, idler_has_some, i, LONG_MS));
}

// The first that is its own.
static uint32_t idler_partition(const struct idler *i)
{
    uint32_t n = 0;
    while (n < PARTITIONS && !i->ours[n])
        n++;
    assert_true(n < PARTITIONS);
    return n;
}

// A registration on which reports go to that partition.
static void create_in(struct world *w, uint32_t partition, struct registration *ret)
{
    for (unsigned n = 0;; n++) {
        char name[16], id[24];
        (void)snprintf(name, sizeof(name), "fresh-%u-%u", partition, n);
        *ret = created(w->f, "fresh", name);
        (void)snprintf(id, sizeof(id), "%" PRIu64, ret->id);
        if (hash_partition(str_of(id), PARTITIONS) == partition)
            return;
        registration_done(ret);
    }
}

static bool ran(struct world *w, struct fetched *x, int ms)
{
    return peer_run_until(w->f->base, is_done, x, ms);
}

static struct http_fetch *ask_for(struct world *w, uint32_t partition, uint64_t id, struct fetched *ret)
{
    char query[64];
    (void)snprintf(query, sizeof(query), "?place=any&partition=%u&partitions=%d", partition, PARTITIONS);
    struct http_fetch *f = start_fetch(w, query, TOKEN, ret);
    ret->watched = id;
    return f;
}

static void a_snapshot_begins_when_whoever_of_the_gateways_has_the_reports_has_applied_them(void **state)
{
    struct world *w = *state;
    struct idler i;
    idler_start(&i, w);
    uint32_t partition = idler_partition(&i);
    idler_commit(&i, partition, 1000);
    struct registration r cleanup(registration_done);
    create_in(w, partition, &r);
    uint64_t stale = metric(w, BUS_SNAPSHOTS_STALE, 0);
    struct fetched x cleanup(fetched_done), y cleanup(fetched_done), z cleanup(fetched_done);
    (void)ask_for(w, partition, r.id, &x);
    assert_true(ran(w, &x, LONG_MS)); // all is applied
    assert_int_equal(x.count, x.lines);

    idler_commit(&i, partition, 0);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    (void)ask_for(w, partition, r.id, &y);
    assert_false(ran(w, &y, SNAPSHOT_WAIT_MS / 3));
    (void)start_fetch(w, "?place=node-8&partition=0&partitions=1", TOKEN, &z); // that one is not behind
    assert_true(ran(w, &z, SNAPSHOT_WAIT_MS / 3));
    idler_commit(&i, partition, 1000);
    assert_true(ran(w, &y, LONG_MS));
    assert_int_equal(y.status, 200);
    assert_int_equal(y.count, y.lines);
    assert_int_equal(metric(w, BUS_SNAPSHOTS_STALE, 0), stale);

    idler_commit(&i, partition, 0);
    struct fetched last cleanup(fetched_done);
    uint64_t began_us = clock_monotonic_us();
    (void)ask_for(w, partition, r.id, &last);
    assert_true(ran(w, &last, LONG_MS)); // nobody applies it: an old word is better than none
    assert_true(clock_monotonic_us() - began_us >= SNAPSHOT_WAIT_MS * UINT64_C(1000));
    assert_int_equal(last.count, last.lines);
    assert_int_equal(metric(w, BUS_SNAPSHOTS_STALE, 0), stale + 1);

    kafka_consumer_free(i.consumer, 2000);
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", shard_of("fresh"), r.id);
}

static void no_old_word_is_told_while_reports_wait_to_be_applied(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done);
    create_in(w, 0, &r);
    peer_freeze(w->f->server);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    struct fetched x cleanup(fetched_done);
    (void)ask_for(w, 0, r.id, &x);
    assert_false(ran(w, &x, SNAPSHOT_WAIT_MS / 3));
    (void)kill(w->f->server, SIGCONT);
    assert_true(ran(w, &x, LONG_MS));
    assert_int_equal(x.status, 200);
    assert_int_equal(x.count, x.lines);
    assert_non_null(strstr(x.watched_line, "\"state\":\"registered\""));
}

static void who_leaves_while_it_waits_is_forgotten(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done);
    create_in(w, 1, &r);
    uint64_t left = metric(w, BUS_SNAPSHOTS, 2);
    peer_freeze(w->f->server);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    struct fetched x cleanup(fetched_done);
    struct http_fetch *f = ask_for(w, 1, r.id, &x);
    assert_false(ran(w, &x, SNAPSHOT_WAIT_MS / 3));
    http_fetch_cancel(f);
    expect_metric(w, BUS_SNAPSHOTS, 2, left + 1);
    (void)kill(w->f->server, SIGCONT);
}

static void a_kafka_that_does_not_say_is_waited_for_no_longer_than_patience_lasts(void **state)
{
    struct world *w = *state;
    uint64_t stale = metric(w, BUS_SNAPSHOTS_STALE, 0);
    peer_freeze(w->broker);
    uint64_t began_us = clock_monotonic_us();
    struct fetched x cleanup(fetched_done);
    fetch(w, "?place=any&partition=0&partitions=1", TOKEN, &x);
    assert_int_equal(x.status, 200);
    assert_int_equal(x.count, x.lines);
    assert_true(clock_monotonic_us() - began_us >= SNAPSHOT_WAIT_MS * UINT64_C(1000));
    assert_int_equal(metric(w, BUS_SNAPSHOTS_STALE, 0), stale + 1);
    (void)kill(w->broker, SIGCONT);
}

static void tokens_are_compared_whole(void **state)
{
    (void)state;
    assert_true(token_is_bearer(STR_LIT("Bearer abc"), STR_LIT("abc")));
    assert_true(token_is_bearer(STR_LIT("bearer  abc "), STR_LIT("abc")));
    assert_false(token_is_bearer(STR_LIT("Bearer abd"), STR_LIT("abc")));
    assert_false(token_is_bearer(STR_LIT("Bearer ab"), STR_LIT("abc")));
    assert_false(token_is_bearer(STR_LIT("Bearer abca"), STR_LIT("abc")));
    assert_false(token_is_bearer(STR_LIT("Basic abc"), STR_LIT("abc")));
    assert_false(token_is_bearer(STR_LIT("Bearer "), STR_LIT("")));
    assert_false(token_is_bearer(STR_NONE, STR_LIT("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_partitions_together_hold_every_registration_once),
        cmocka_unit_test(a_line_says_what_a_change_would_say),
        cmocka_unit_test(who_has_no_token_is_refused),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(a_reader_that_pauses_holds_nobody_up_and_one_that_leaves_ends_it),
        cmocka_unit_test(no_old_word_is_told_while_reports_wait_to_be_applied),
        cmocka_unit_test(what_was_begun_on_one_redis_is_not_ended_on_another),
        cmocka_unit_test(who_leaves_while_it_waits_is_forgotten),
        cmocka_unit_test(a_snapshot_begins_when_whoever_of_the_gateways_has_the_reports_has_applied_them),
        cmocka_unit_test(a_kafka_that_does_not_say_is_waited_for_no_longer_than_patience_lasts),
        cmocka_unit_test(tokens_are_compared_whole),
        cmocka_unit_test(without_redis_there_is_no_snapshot),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
