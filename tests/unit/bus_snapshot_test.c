// The partition snapshot of services/gateway/publish, fetched as a registrant fetches it: whole, closed by
// its count, refused to whoever has no token.
#include "tests/unit/bus_fixture.h"

#include "common/base/hash.h"
#include "common/http/http.h"
#include "services/gateway/publish/snapshot.h"
#include "services/gateway/publish/token.h"

#define US UINT64_C(1000000)

enum { COUNT = 700, PARTITIONS = 4, BIG_COUNT = 1400, BIG_BYTES = 8000 };

struct fetched {
    int status, done;
    uint64_t lines, count; // count: of the closing line, UINT64_MAX while there was none
    bool after_count;      // a line came after it
    uint64_t ids[BIG_COUNT + 8];
    struct http_fetch *pause_at_first; // NULL: read on
    bool paused;
    char first[1024]; // line
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
    x->ids[x->lines++] = json_u64_or(json_get(x->last, "id"), 0);
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

static void no_old_word_is_told_while_reports_wait_to_be_applied(void **state)
{
    struct world *w = *state;
    struct registration r cleanup(registration_done) = created(w->f, "behind", "trunk");
    world_wait_until_heard(w, NULL);
    uint64_t braked = metric(w, BUS_BRAKED, 3);
    peer_freeze(w->f->server);
    report_state(w, &r, 100, 1, STATE_REGISTERED);
    expect_metric(w, BUS_BRAKED, 3, braked + 1);
    struct fetched x cleanup(fetched_done) = {0};
    fetch(w, "?place=any&partition=0&partitions=1", TOKEN, &x);
    assert_int_equal(x.status, 503);
    (void)kill(w->f->server, SIGCONT);
    uint64_t end_us = clock_monotonic_us() + LONG_MS * UINT64_C(1000);
    while (x.count == UINT64_MAX && clock_monotonic_us() < end_us) {
        fetched_done(&x);
        fetch(w, "?place=any&partition=0&partitions=1", TOKEN, &x);
    }
    assert_int_equal(x.status, 200);
    expect_redis(w, "registered", "HGET rc:{s%u}:reg:%" PRIu64 " state", shard_of("behind"), r.id);
}

// A registrant comes again every 2 s at last, and asks another gateway each time.
static void an_old_word_is_told_in_the_end_where_the_lag_never_ends(void **state)
{
    (void)state;
    const uint64_t start_us = 1000 * US, lag_us = 3600 * US;
    for (unsigned gateways = 1; gateways <= 5; gateways++) {
        struct snapshot_patience p = {0};
        uint64_t at_us = start_us, every_us = gateways * (2 * US + 1000);
        while (snapshot_waits(&p, lag_us, at_us) && at_us < start_us + 60 * US)
            at_us += every_us;
        assert_true(at_us >= start_us + 5 * US && at_us < start_us + 5 * US + every_us);
    }
}

static void whoever_has_caught_up_is_waited_for_anew(void **state)
{
    (void)state;
    struct snapshot_patience p = {0};
    assert_true(snapshot_waits(&p, US, 1000 * US));
    assert_true(snapshot_waits(&p, US, 1004 * US));
    assert_false(snapshot_waits(&p, 0, 1004 * US));
    assert_true(snapshot_waits(&p, US, 1006 * US));
    assert_true(snapshot_waits(&p, US, 1010 * US));
    assert_false(snapshot_waits(&p, US, 1011 * US));
    assert_true(snapshot_waits(&p, US, 1078 * US)); // nobody has asked meanwhile
    assert_false(snapshot_waits(&p, UINT64_MAX, 1078 * US));
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
        cmocka_unit_test(an_old_word_is_told_in_the_end_where_the_lag_never_ends),
        cmocka_unit_test(whoever_has_caught_up_is_waited_for_anew),
        cmocka_unit_test(tokens_are_compared_whole),
        cmocka_unit_test(without_redis_there_is_no_snapshot),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
