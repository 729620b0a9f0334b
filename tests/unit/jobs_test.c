// services/gateway/jobs on a real redis-server: who works a job, where it goes on, and when it comes again.
#include "services/gateway/jobs/jobs.h"

#include "tests/unit/store_fixture.h"

enum { LOOK_MS = 5, SLICES_MAX = 64 };

// One gateway's loop: a store and its jobs, whose steps are kept here until the test ends them.
struct gateway {
    struct fixture *f;
    struct store *store;
    struct jobs *jobs;
    struct job_step *held; // the slice under way
    char seen[SLICES_MAX][48];
    size_t seen_count;
    int ends_after;  // slices until a job is finished; 0: each slice is held
    int fails_first; // slices that fail before one gets on
};

static void end_step(struct gateway *g, struct job_step *step)
{
    struct error err;
    if (g->fails_first > 0) {
        g->fails_first--;
        job_step_done(step, error_set(&err, -EIO, "the test says so"), STR_NONE, &err);
        return;
    }
    uint64_t at = 0;
    (void)!str_to_u64(step->cursor, &at);
    struct buf next cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&next, at + 1);
    job_step_done(step, 0, (int)at + 1 >= g->ends_after ? STR_NONE : buf_str(&next), NULL);
}

static void step(void *arg, struct job_step *s)
{
    struct gateway *g = arg;
    assert_true(g->seen_count < SLICES_MAX);
    (void)snprintf(g->seen[g->seen_count++], sizeof g->seen[0], STR_FMT " " STR_FMT " [" STR_FMT "]",
                   STR_ARG(s->account), STR_ARG(s->args), STR_ARG(s->cursor));
    if (g->ends_after)
        end_step(g, s);
    else
        g->held = s;
}

static bool is_up(const void *arg)
{
    const struct gateway *g = arg;
    return store_is_up(g->store);
}

static void nobody_wrote(void *arg, struct store_change *take_change)
{
    store_change_free(take_change);
}

static void no_events(void *arg, unsigned shard)
{
    (void)arg, (void)shard;
}

static void gateway_open_looking(struct gateway *g, struct fixture *f, int ends_after, uint32_t interval_ms)
{
    const struct store_params params = {.base = f->base,
                                        .redis_url = f->url,
                                        .keys = f->keys,
                                        .gate = &f->gate,
                                        .source = "gateway-2",
                                        .on_written = nobody_wrote,
                                        .on_events = no_events};
    struct error err;
    *g = (struct gateway){.f = f, .ends_after = ends_after};
    assert_int_equal(store_new(&params, &g->store, &err), 0);
    assert_true(peer_run_until(f->base, is_up, g, SOON_MS));
    const struct job_kind kind = {"count", g, step};
    const struct jobs_params jobs = {.store = g->store,
                                     .base = f->base,
                                     .node = "gateway",
                                     .kinds = &kind,
                                     .kind_count = 1,
                                     .interval_ms = interval_ms};
    g->jobs = jobs_new(&jobs);
}

static void gateway_open(struct gateway *g, struct fixture *f, int ends_after)
{
    gateway_open_looking(g, f, ends_after, LOOK_MS);
}

// As a gateway dies: what it holds is not given back.
static void gateway_close(struct gateway *g)
{
    store_free(g->store);
    jobs_free(g->jobs);
    g->store = NULL;
    g->jobs = NULL;
}

static void on_done(void *arg, int rc, const struct error *err)
{
    struct fixture *f = arg;
    assert_int_equal(rc, 0);
    f->got.count++;
}

static void accept_job(struct fixture *f, const char *account, const char *kind, const char *args)
{
    const struct store_job job = {.kind = kind, .args = str_of(args)};
    fixture_forget(f);
    store_account_change(f->store, str_of(account), STORE_ANY_VERSION, NULL, 0, &job, on_done, f);
    (void)fixture_answer(f);
}

static const char *jobs_left(struct fixture *f, const char *account)
{
    return rawf(f, "ZRANGE rc:{s%u}:jobs 0 -1", shard_of(account));
}

static bool holds_one(const void *arg)
{
    const struct gateway *g = arg;
    return g->held != NULL;
}

// Whether `count` slices were begun and all that they led to has been saved.
struct seen {
    const struct gateway *g;
    size_t count;
};

static bool has_seen(const void *arg)
{
    const struct seen *s = arg;
    return s->g->seen_count >= s->count;
}

static void wait_for_slices(const struct gateway *g, size_t count)
{
    const struct seen wanted = {g, count};
    assert_true(peer_run_until(g->f->base, has_seen, &wanted, SOON_MS));
}

// Commands of one connection are answered in their order, so a claim that was sent before has been answered.
static void let_both_look(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        (void)raw(f, "DEBUG SLEEP 0.001");
}

static void a_job_is_worked_slice_by_slice_from_its_cursor_to_its_end(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    gateway_open(&g, f, 3);
    accept_job(f, "acme", "count", "{\"n\":1}");
    wait_for_slices(&g, 3);
    assert_string_equal(g.seen[0], "acme {\"n\":1} []");
    assert_string_equal(g.seen[1], "acme {\"n\":1} [1]");
    assert_string_equal(g.seen[2], "acme {\"n\":1} [2]");
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    assert_int_equal(g.seen_count, 3);
    gateway_close(&g);
}

static void a_job_is_worked_by_one_gateway_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct gateway one, two;
    gateway_open(&one, f, 0);
    accept_job(f, "acme", "count", "{}");
    assert_true(peer_run_until(f->base, holds_one, &one, SOON_MS));
    gateway_open(&two, f, 1);
    let_both_look(f);
    assert_int_equal(one.seen_count, 1);
    assert_int_equal(two.seen_count, 0);
    gateway_close(&one);
    gateway_close(&two);
}

static void a_job_survives_the_death_of_its_holder_and_goes_on_at_its_cursor(void **state)
{
    struct fixture *f = *state;
    struct gateway one, two;
    gateway_open(&one, f, 0);
    accept_job(f, "acme", "count", "{}");
    assert_true(peer_run_until(f->base, holds_one, &one, SOON_MS));
    job_step_done(one.held, 0, STR_LIT("7"), NULL);
    one.held = NULL;
    assert_true(peer_run_until(f->base, holds_one, &one, SOON_MS));
    gateway_close(&one);
    gateway_open(&two, f, 1);
    let_both_look(f);
    assert_int_equal(two.seen_count, 0);                       // the dead one's lease
    (void)rawf(f, "ZADD rc:{s%u}:jobs 1 1", shard_of("acme")); // is over
    wait_for_slices(&two, 1);
    assert_string_equal(two.seen[0], "acme {} [7]");
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    gateway_close(&two);
}

static void a_holder_that_is_late_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct gateway one, two;
    gateway_open(&one, f, 0);
    accept_job(f, "acme", "count", "{}");
    assert_true(peer_run_until(f->base, holds_one, &one, SOON_MS));
    struct job_step *late = one.held;
    gateway_open(&two, f, 0);
    (void)rawf(f, "ZADD rc:{s%u}:jobs 1 1", shard_of("acme"));
    one.held = NULL;
    while (!one.held && !two.held)
        let_both_look(f);
    job_step_done(late, 0, STR_NONE, NULL); // "finished"
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "1");
    struct gateway *holder = one.held ? &one : &two;
    job_step_done(holder->held, 0, STR_NONE, NULL);
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    gateway_close(&one);
    gateway_close(&two);
}

// How long from now nobody takes the job.
static int64_t rests_ms(struct fixture *f)
{
    uint64_t until = strtoull(rawf(f, "ZSCORE rc:{s%u}:jobs 1", shard_of("acme")), NULL, 10);
    return (int64_t)(until - now_ms(f));
}

static void a_slice_that_fails_comes_again_after_a_growing_pause(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    gateway_open(&g, f, 1);
    g.fails_first = 12;
    accept_job(f, "acme", "count", "{}");
    int64_t pauses[12];
    for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
        wait_for_slices(&g, i + 1);
        assert_string_equal(g.seen[i], "acme {} []");
        let_both_look(f);
        pauses[i] = rests_ms(f);
        (void)rawf(f, "ZADD rc:{s%u}:jobs 1 1", shard_of("acme")); // the pause is over
    }
    assert_in_range(pauses[0], 1, 500);
    assert_in_range(pauses[1], 501, 1000);
    assert_in_range(pauses[4], 4001, 8000);
    assert_in_range(pauses[11], 50000, 60000);
    wait_for_slices(&g, 13);
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    gateway_close(&g);
}

static void a_kind_that_nobody_knows_here_is_left_to_another_gateway(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    gateway_open(&g, f, 1);
    accept_job(f, "acme", "newer", "{}");
    accept_job(f, "acme", "count", "{}");
    wait_for_slices(&g, 1);
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "1");
    assert_string_equal(rawf(f, "HGET rc:{s%u}:job:1 kind", shard_of("acme")), "newer");
    gateway_close(&g);
}

static void a_long_job_does_not_hold_up_a_short_one(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    accept_job(f, "acme", "count", "long");
    accept_job(f, "acme", "count", "short");
    gateway_open(&g, f, 20);
    wait_for_slices(&g, 40);
    size_t short_ones = 0;
    for (size_t i = 0; i < 20; i++)
        short_ones += strstr(g.seen[i], "short") != NULL;
    assert_in_range(short_ones, 5, 15);
    gateway_close(&g);
}

static void a_gateway_that_is_woken_does_not_wait_for_its_next_look(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    gateway_open_looking(&g, f, 3, 60 * 60 * 1000);
    accept_job(f, "acme", "count", "{}");
    jobs_wake(g.jobs);
    jobs_wake(g.jobs); // while it looks
    wait_for_slices(&g, 3);
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    gateway_close(&g);
}

static void accept_once(struct fixture *f, const char *kind, const char *args)
{
    const struct store_job job = {.kind = kind, .args = str_of(args), .once = true};
    fixture_forget(f);
    store_account_change(f->store, STR_LIT("acme"), STORE_ANY_VERSION, NULL, 0, &job, on_done, f);
    (void)fixture_answer(f);
}

// Whoever asks again and again neither fills Redis nor holds up the jobs of others.
static void one_under_way_stands_for_those_that_are_asked_for_once(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    unsigned shard = shard_of("acme");
    for (int i = 0; i < 20; i++) {
        accept_once(f, "count", i ? "{\"n\":2}" : "{\"n\":1}");
        accept_once(f, "other", "{}");
    }
    assert_string_equal(jobs_left(f, "acme"), "1 2");
    accept_job(f, "acme", "count", "{\"n\":3}");
    assert_string_equal(jobs_left(f, "acme"), "1 2 3");
    (void)rawf(f, "HINCRBY rc:{s%u}:job:1 tries 1", shard); // begun: it may have passed what is asked now
    accept_once(f, "count", "{\"n\":4}");
    accept_once(f, "count", "{\"n\":5}");
    assert_string_equal(jobs_left(f, "acme"), "1 2 3");
    (void)rawf(f, "ZREM rc:{s%u}:jobs 2", shard); // of a kind that nobody works here
    gateway_open(&g, f, 1);
    wait_for_slices(&g, 3);
    let_both_look(f);
    assert_string_equal(jobs_left(f, "acme"), "");
    assert_string_equal(g.seen[2], "acme {\"n\":1} []"); // once more, from its beginning
    assert_int_equal(g.seen_count, 3);
    assert_string_equal(rawf(f, "HKEYS rc:{s%u}:acct:acme:jobs", shard), "other");
    accept_once(f, "count", "{\"n\":6}");
    wait_for_slices(&g, 4);
    gateway_close(&g);
}

static void jobs_of_all_shards_are_found(void **state)
{
    struct fixture *f = *state;
    struct gateway g;
    gateway_open(&g, f, 1);
    char account[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(account, sizeof account, "acct-%d", i);
        accept_job(f, account, "count", "{}");
    }
    wait_for_slices(&g, 40);
    gateway_close(&g);
}

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(a_job_is_worked_slice_by_slice_from_its_cursor_to_its_end),
        on_redis(a_job_is_worked_by_one_gateway_at_a_time),
        on_redis(a_job_survives_the_death_of_its_holder_and_goes_on_at_its_cursor),
        on_redis(a_holder_that_is_late_changes_nothing),
        on_redis(a_slice_that_fails_comes_again_after_a_growing_pause),
        on_redis(a_kind_that_nobody_knows_here_is_left_to_another_gateway),
        on_redis(a_long_job_does_not_hold_up_a_short_one),
        on_redis(a_gateway_that_is_woken_does_not_wait_for_its_next_look),
        on_redis(one_under_way_stands_for_those_that_are_asked_for_once),
        on_redis(jobs_of_all_shards_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
