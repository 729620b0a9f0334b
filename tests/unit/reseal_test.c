// Secrets sealed anew by a job of services/gateway/jobs on a real redis-server, when another key seals from
// now on.
#include "services/gateway/jobs/reseal.h"

#include "tests/unit/store_bus.h"
#include "tests/unit/store_pages.h"

enum { LOOK_MS = 5, MANY = 130, LEFT = 0, SEALED = 1 };
#define K1 "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define K2 "k2 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\n"

static const struct metric rows[] = {
    {.name = "left", .type = METRIC_GAUGE, .help = "left"},
    {.name = "sealed_total", .type = METRIC_COUNTER, .help = "sealed"},
};

static struct key_ring *ring_of(const char *text)
{
    struct key_ring *ring;
    struct error err;
    assert_int_equal(key_ring_parse(str_of(text), &ring, &err), 0);
    return ring;
}

// What a gateway has of it: a ring of its own, the job and the watch over accounts.
struct run {
    struct fixture *f;
    struct key_ring_box *keys;
    struct metrics *metrics;
    struct jobs *jobs;
    struct reseal_job *job;
    struct reseal *reseal;
};

static char **accounts(void *arg, size_t *ret_count)
{
    char **names = mem_array(3, sizeof *names);
    names[0] = mem_dup_cstr("empty");
    names[1] = mem_dup_cstr("acme");
    *ret_count = 2;
    return names;
}

static void begin_with(struct run *r, struct fixture *f, const char *ring)
{
    r->f = f;
    r->keys = key_ring_box_new(ring_of(ring));
    r->metrics = metrics_new(rows, ARRAY_LEN(rows));
    metrics_set(r->metrics, LEFT, 0, -1);
    const struct reseal_job_params job = {
        .store = f->store, .keys = r->keys, .metrics = r->metrics, .sealed_metric = SEALED};
    r->job = reseal_job_new(&job);
    const struct job_kind kind = reseal_kind(r->job);
    const struct jobs_params jobs = {.base = f->base,
                                     .store = f->store,
                                     .node = "gateway",
                                     .kinds = &kind,
                                     .kind_count = 1,
                                     .interval_ms = LOOK_MS};
    r->jobs = jobs_new(&jobs);
    const struct reseal_params params = {.base = f->base,
                                         .store = f->store,
                                         .jobs = r->jobs,
                                         .keys = r->keys,
                                         .accounts = accounts,
                                         .metrics = r->metrics,
                                         .left_metric = LEFT,
                                         .interval_ms = LOOK_MS,
                                         .idle_ms = LOOK_MS};
    r->reseal = reseal_new(&params);
}

static void begin(struct run *r, struct fixture *f)
{
    begin_with(r, f, K2 K1);
}

static void end(struct run *r)
{
    store_free(r->f->store);
    r->f->store = NULL;
    reseal_free(r->reseal);
    jobs_free(r->jobs);
    reseal_job_free(r->job);
    metrics_free(r->metrics);
    key_ring_box_free(r->keys);
}

static bool is_proved(const void *arg)
{
    const struct run *r = arg;
    return metrics_get(r->metrics, LEFT, 0) == 0;
}

static bool has_some_left(const void *arg)
{
    const struct run *r = arg;
    return metrics_get(r->metrics, LEFT, 0) == 1;
}

static const char *proof(struct fixture *f)
{
    return rawf(f, "HGET rc:{s%u}:acct:acme:obj:sealed with", shard_of("acme"));
}

static const char *spec(struct fixture *f, uint64_t id)
{
    return rawf(f, "HGET rc:{s%u}:reg:%llu spec", shard_of("acme"), (unsigned long long)id);
}

// The last report of a registration: bound with what it holds now.
static void report_as_bound(struct fixture *f, const struct registration *r)
{
    struct status s;
    struct buf command cleanup(buf_done) = BUF_INIT;
    status_init(&s);
    s.id = r->id;
    s.account = mem_dup_cstr(r->account);
    s.state = STATE_REGISTERED;
    s.has_bound = true;
    registration_copy(&s.bound.sent, r);
    buf_addf(&command, "HSET rc:{s%u}:reg:%llu status ", shard_of("acme"), (unsigned long long)r->id);
    status_write(&command, &s);
    buf_add_char(&command, '\0');
    (void)raw(f, command.p);
    status_done(&s);
}

static void on_done(void *arg, int rc, const struct error *err)
{
    struct fixture *f = arg;
    f->got.count++;
    f->got.rc = rc;
}

// ---- the tests

static void every_secret_is_sealed_anew_and_nothing_else_changes(void **state)
{
    struct fixture *f = *state;
    struct registration first cleanup(registration_done) = created(f, "acme", "trunk");
    for (int i = 1; i < MANY; i++) {
        struct registration r cleanup(registration_done) = created(f, "acme", "");
    }
    fixture_forget(f);
    struct run run;
    begin(&run, f);
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    assert_int_equal(metrics_get(run.metrics, SEALED, 0), MANY);
    assert_string_equal(proof(f), "\"k2\"");
    assert_int_equal(f->change_count, MANY); // published
    assert_string_equal(rawf(f, "XLEN rc:{s%u}:outbox", shard_of("acme")),
                        "130"); // created, and no word of this
    assert_int_equal(do_get(f, "acme", first.id), 0);
    assert_contains(f->got.reg.credentials[0].secret, "sealed:k2:");
    assert_true(f->got.reg.revision > first.revision);
    assert_true(f->got.reg.updated_at_ms == first.updated_at_ms);
    struct error err;
    char *clear cleanup(mem_free_cstr) = NULL;
    struct key_ring *ring cleanup(key_ring_drop) = ring_of(K2);
    key_ring_box_swap(f->keys, key_ring_ref(ring));
    assert_int_equal(store_open_secret(f->store, &f->got.reg, 0, &clear, &err), 0);
    assert_string_equal(clear, "s3cret");
    end(&run);
}

static void a_secret_that_cannot_be_opened_is_left_and_holds_the_proof_up(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    char *before cleanup(mem_free_cstr) = mem_dup_cstr(spec(f, r.id));
    struct run run;
    begin_with(&run, f, K2);
    assert_true(peer_run_until(f->base, has_some_left, &run, SOON_MS));
    for (int i = 0; i < 20; i++) // of the job, whose second pass meets it
        assert_string_equal(proof(f), "(nil)");
    assert_string_equal(spec(f, r.id), before);
    key_ring_box_swap(run.keys, ring_of(K2 K1));
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    assert_contains(spec(f, r.id), "sealed:k2:");
    end(&run);
}

static bool is_sealed_anew(const void *arg)
{
    const struct run *r = arg;
    return metrics_get(r->metrics, SEALED, 0) > 0 && has_some_left(r);
}

static void what_is_bound_under_another_key_holds_the_proof_up_until_it_is_reported_anew(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    report_as_bound(f, &r);
    struct run run;
    begin(&run, f);
    assert_true(peer_run_until(f->base, is_sealed_anew, &run, SOON_MS));
    assert_contains(spec(f, r.id), "sealed:k2:");
    for (int i = 0; i < 20; i++)
        assert_string_equal(proof(f), "(nil)");
    assert_int_equal(do_get(f, "acme", r.id), 0);
    struct registration now cleanup(registration_done) = {0};
    registration_copy(&now, &f->got.reg);
    report_as_bound(f, &now);
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    end(&run);
}

static void a_write_that_comes_between_wins(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration after cleanup(registration_done) = {0};
    registration_copy(&after, &r);
    set_text(&after.credentials[0].secret, "other");
    after.credentials[0].clear = true;
    assert_int_equal(do_update(f, &r, &after), 0);
    char *written cleanup(mem_free_cstr) = mem_dup_cstr(spec(f, r.id));
    struct key_ring *ring cleanup(key_ring_drop) = ring_of(K2 K1);
    const struct store_record late = {.reg = r};
    fixture_forget(f);
    store_reseal(f->store, &late, ring, on_done, f);
    assert_int_equal(fixture_answer(f), -ESTALE);
    assert_string_equal(spec(f, r.id), written);
}

static void a_record_of_no_revision_is_not_sealed_anew(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    char *before cleanup(mem_free_cstr) = mem_dup_cstr(spec(f, r.id));
    struct key_ring *ring cleanup(key_ring_drop) = ring_of(K2 K1);
    struct store_record nobody_read = {.reg = r};
    nobody_read.reg.revision = 0;
    fixture_forget(f);
    store_reseal(f->store, &nobody_read, ring, on_done, f);
    assert_int_equal(fixture_answer(f), -ESTALE);
    assert_string_equal(spec(f, r.id), before);
}

// Its registrations go on, and so do those that were written back after a fail-over.
static void accounts_that_the_principals_file_has_no_longer_are_sealed_anew_too(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "former", "trunk");
    struct registration lost cleanup(registration_done) = created(f, "lost", "trunk");
    char *of_lost cleanup(mem_free_cstr) =
        mem_dup_cstr(rawf(f, "HGET rc:{s%u}:reg:%llu spec", shard_of("lost"), (unsigned long long)lost.id));
    (void)rawf(f, "DEL rc:{s%u}:accounts rc:{s%u}:reg:%llu", shard_of("lost"), shard_of("lost"),
               (unsigned long long)lost.id);
    const struct bus_lost back = {.id = lost.id,
                                  .revision = lost.revision,
                                  .account = "lost",
                                  .place = "any",
                                  .op = "desired",
                                  .spec = str_of(of_lost)};
    assert_string_equal(bus_restore(f, &back), "restored");
    struct run run;
    begin(&run, f);
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    assert_int_equal(metrics_get(run.metrics, SEALED, 0), 2);
    assert_int_equal(do_get(f, "former", r.id), 0);
    assert_contains(f->got.reg.credentials[0].secret, "sealed:k2:");
    assert_int_equal(do_get(f, "lost", lost.id), 0);
    assert_contains(f->got.reg.credentials[0].secret, "sealed:k2:");
    end(&run);
}

// A gateway that did not get the new ring goes on writing: it is found, and sealed anew, by those that did.
static void a_write_under_another_key_takes_the_proof_back(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct run run;
    begin(&run, f);
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    struct registration late cleanup(registration_done) =
        created(f, "acme", "late"); // the fixture's ring: k1
    assert_contains(late.credentials[0].secret, "sealed:k1:");
    assert_string_equal(proof(f), "(nil)");
    assert_true(peer_run_until(f->base, has_some_left, &run, SOON_MS));
    assert_true(peer_run_until(f->base, is_proved, &run, SOON_MS));
    assert_contains(spec(f, late.id), "sealed:k2:");
    assert_int_equal(metrics_get(run.metrics, SEALED, 0), 2);
    end(&run);
}

static bool is_held_up(const void *arg)
{
    const struct run *r = arg;
    return strstr(rawf(r->f, "HGET rc:{s%u}:job:1 cursor", shard_of("acme")), "3:1") != NULL;
}

// What a pass for the former key has behind it is under that one.
static void a_pass_begins_anew_when_another_key_is_wanted_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct registration first cleanup(registration_done) = created(f, "acme", "first");
    struct registration last cleanup(registration_done) = created(f, "acme", "last");
    struct registration bound cleanup(registration_done) = {0};
    registration_copy(&bound, &last);
    set_text(&bound.credentials[0].secret, "sealed:k0:AAAA");
    report_as_bound(f, &bound);
    struct run run;
    begin_with(&run, f, K1 K2);
    for (uint64_t until = clock_monotonic_us() + SOON_MS * 1000; !is_held_up(&run);)
        assert_true(clock_monotonic_us() < until);
    key_ring_box_swap(run.keys, ring_of(K2 K1));
    assert_true(peer_run_until(f->base, is_sealed_anew, &run, SOON_MS));
    for (uint64_t until = clock_monotonic_us() + SOON_MS * 1000; !strstr(spec(f, last.id), "sealed:k2:");)
        assert_true(clock_monotonic_us() < until);
    assert_int_equal(do_get(f, "acme", last.id), 0);
    struct registration now cleanup(registration_done) = {0};
    registration_copy(&now, &f->got.reg);
    report_as_bound(f, &now);
    for (uint64_t until = clock_monotonic_us() + SOON_MS * 1000; strcmp(proof(f), "\"k2\"") != 0;)
        assert_true(clock_monotonic_us() < until);
    assert_contains(spec(f, first.id), "sealed:k2:");
    end(&run);
}

static void an_account_that_another_gateway_seals_with_its_own_key_is_told_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct run old;
    begin(&old, f);
    assert_true(peer_run_until(f->base, is_proved, &old, SOON_MS));
    struct run other; // started last, so its key is wanted
    begin_with(&other, f, K1 K2);
    assert_true(peer_run_until(f->base, is_proved, &other, SOON_MS));
    assert_contains(spec(f, r.id), "sealed:k1:");
    metrics_set(old.metrics, LEFT, 0, -1);
    bool looked = peer_run_until(f->base, is_proved, &old, 200);
    assert_false(looked);
    assert_int_equal(metrics_get(old.metrics, LEFT, 0), 1); // "empty" has nothing that could be
    assert_contains(spec(f, r.id), "sealed:k1:");
    store_free(f->store); // of both
    f->store = NULL;
    end(&other);
    end(&old);
}

int main(void)
{
#define RESEAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        RESEAL_TEST(every_secret_is_sealed_anew_and_nothing_else_changes),
        RESEAL_TEST(a_secret_that_cannot_be_opened_is_left_and_holds_the_proof_up),
        RESEAL_TEST(what_is_bound_under_another_key_holds_the_proof_up_until_it_is_reported_anew),
        RESEAL_TEST(a_write_that_comes_between_wins),
        RESEAL_TEST(a_record_of_no_revision_is_not_sealed_anew),
        RESEAL_TEST(accounts_that_the_principals_file_has_no_longer_are_sealed_anew_too),
        RESEAL_TEST(a_write_under_another_key_takes_the_proof_back),
        RESEAL_TEST(a_pass_begins_anew_when_another_key_is_wanted_meanwhile),
        RESEAL_TEST(an_account_that_another_gateway_seals_with_its_own_key_is_told_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
