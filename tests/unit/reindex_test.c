// Registrations from before there were indexes, found again by a job of services/gateway/jobs on a real
// redis-server.
#include "services/gateway/jobs/reindex.h"

#include "tests/unit/store_bus.h"
#include "tests/unit/store_pages.h"

enum { LOOK_MS = 5, MANY = 130 };

static const char *under(struct fixture *f, const char *key)
{
    return rawf(f, "ZRANGE rc:{s%u}:acct:acme:%s 0 -1", store_shard(STR_LIT("acme")), key);
}

static const char *waiting_jobs(struct fixture *f)
{
    return rawf(f, "ZCARD rc:{s%u}:jobs", store_shard(STR_LIT("acme")));
}

// As a gateway without indexes left it.
static void make_old(struct fixture *f, uint64_t id)
{
    unsigned shard = store_shard(STR_LIT("acme"));
    (void)rawf(f, "HDEL rc:{s%u}:reg:%llu terms", shard, (unsigned long long)id);
    char *keys cleanup(mem_free_cstr) = mem_dup_cstr(rawf(f, "KEYS rc:{s%u}:acct:acme:by:*", shard));
    for (struct str rest = str_of(keys), key; str_split(&rest, ' ', &key);)
        if (str_find_str(key, STR_LIT(":by:binding:")) == key.n)
            (void)rawf(f, "ZREM " STR_FMT " %llu", STR_ARG(key), (unsigned long long)id);
    (void)rawf(f, "ZREM rc:{s%u}:acct:acme:live %llu", shard, (unsigned long long)id);
}

struct run {
    struct fixture *f;
    struct jobs *jobs;
    struct reindex *reindex;
};

static bool is_over(const void *arg)
{
    const struct run *r = arg;
    return reindex_is_over(r->reindex);
}

static void begin(struct run *r, struct fixture *f)
{
    static const char *const accounts[] = {"empty", "acme"};
    const struct job_kind kind = reindex_kind(f->store);
    const struct jobs_params jobs = {.base = f->base,
                                     .store = f->store,
                                     .node = "gateway",
                                     .kinds = &kind,
                                     .kind_count = 1,
                                     .interval_ms = LOOK_MS};
    r->f = f;
    r->jobs = jobs_new(&jobs);
    const struct reindex_params params = {.base = f->base,
                                          .store = f->store,
                                          .jobs = r->jobs,
                                          .accounts = accounts,
                                          .count = ARRAY_LEN(accounts),
                                          .retry_ms = LOOK_MS};
    r->reindex = reindex_new(&params);
}

static void end(struct run *r)
{
    assert_true(peer_run_until(r->f->base, is_over, r, SOON_MS));
    for (uint64_t until = clock_monotonic_us() + SOON_MS * 1000; strcmp(waiting_jobs(r->f), "0") != 0;)
        assert_true(clock_monotonic_us() < until);
    store_free(r->f->store);
    reindex_free(r->reindex);
    jobs_free(r->jobs);
    fixture_open_store(r->f, 0, 0);
}

static void registrations_from_before_are_found_again(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < MANY; i++) {
        struct registration r cleanup(registration_done) = created(f, "acme", "");
        const struct bus_report told = {.id = r.id,
                                        .account = "acme",
                                        .place = "any",
                                        .state = STATE_RETRYING,
                                        .bound_until_ms = 1900000000000};
        if (r.id == 2)
            (void)bus_report(f, &told);
        make_old(f, r.id);
    }
    assert_string_equal(under(f, "by:username:100"), "");
    struct run run;
    begin(&run, f);
    end(&run);
    struct store_query q = {.account = STR_LIT("acme"),
                            .limit = MANY + 1,
                            .terms = &(struct store_term){.field = "username", .value = STR_LIT("100")},
                            .term_count = 1};
    assert_int_equal(page_of(f, &q).total, MANY);
    assert_string_equal(under(f, "by:state:retrying"), "2");
    assert_string_equal(under(f, "live"), "2");
    assert_string_equal(rawf(f, "ZCARD rc:{s%u}:acct:acme:by:state:pending", store_shard(STR_LIT("acme"))),
                        "129");
}

static void it_is_done_once(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "a");
    struct run run;
    begin(&run, f);
    end(&run);
    make_old(f, r.id);
    begin(&run, f);
    end(&run);
    assert_string_equal(under(f, "by:username:100"), "");
    assert_string_equal(rawf(f, "GET rc:{s%u}:job-seq", store_shard(STR_LIT("acme"))), "1");
}

static void what_cannot_be_read_or_was_written_since_holds_nothing_up(void **state)
{
    struct fixture *f = *state;
    unsigned shard = store_shard(STR_LIT("acme"));
    struct registration damaged cleanup(registration_done) = created(f, "acme", "a");
    struct registration since cleanup(registration_done) = created(f, "acme", "b");
    struct registration old cleanup(registration_done) = created(f, "acme", "c");
    make_old(f, old.id);
    (void)rawf(f, "HSET rc:{s%u}:reg:%llu spec nonsense", shard, (unsigned long long)damaged.id);
    (void)rawf(f, "HSET rc:{s%u}:reg:%llu terms username:other", shard, (unsigned long long)since.id);
    struct run run;
    begin(&run, f);
    end(&run);
    assert_string_equal(under(f, "by:username:100"), "1 2 3");
    assert_string_equal(rawf(f, "HGET rc:{s%u}:reg:%llu terms", shard, (unsigned long long)since.id),
                        "username:other");
}

static bool has_tried(const void *arg)
{
    const struct run *r = arg;
    return !store_is_up(r->f->store);
}

static void it_waits_until_redis_may_be_written(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "a");
    make_old(f, r.id);
    uint64_t approved = f->gate.approved;
    f->gate.approved = 0;
    struct run run;
    begin(&run, f);
    (void)raw(f, "CLIENT KILL TYPE normal");
    assert_true(peer_run_until(f->base, has_tried, &run, SOON_MS));
    assert_true(peer_run_until(f->base, fixture_is_up, f, SOON_MS));
    assert_false(reindex_is_over(run.reindex));
    f->gate.approved = approved;
    end(&run);
    assert_string_equal(under(f, "by:username:100"), "1");
}

int main(void)
{
#define REINDEX_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        REINDEX_TEST(registrations_from_before_are_found_again),
        REINDEX_TEST(it_is_done_once),
        REINDEX_TEST(what_cannot_be_read_or_was_written_since_holds_nothing_up),
        REINDEX_TEST(it_waits_until_redis_may_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
