// services/gateway/store and a Redis that may not be written to, went away, or is left in the middle of a
// call.
#include "tests/unit/store_fixture.h"

static void writes_wait_for_the_gate_and_reads_do_not(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration next cleanup(registration_done) = a_registration("acme", "next");
    f->gate.approved = 0;
    assert_int_equal(do_create(f, &next), -EBUSY);
    assert_int_equal(do_update(f, &r, &r), -EBUSY);
    assert_int_equal(do_delete(f, "acme", 1), -EBUSY);
    assert_int_equal(do_refresh(f, "acme", 1), -EBUSY);
    assert_int_equal(do_get(f, "acme", 1), 0);
    assert_string_equal(raw(f, "GET rc:{g}:seq"), "1"); // no id was used up
    f->gate.approved = f->replication_hash + 1;
    assert_int_equal(do_delete(f, "acme", 1), -EBUSY);
    f->gate.approved = f->replication_hash;
    assert_int_equal(do_create(f, &next), 0);
}

static bool is_down(const void *arg)
{
    const struct fixture *f = arg;
    return !f->replication_hash && !store_is_up(f->store);
}

static void a_redis_that_went_away_is_said_and_one_that_came_back_waits_for_the_gate(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    assert_int_equal(f->gate.links_away, 0);
    (void)peer_stop(f->server, SIGKILL);
    assert_true(peer_run_until(f->base, is_down, f, SOON_MS));
    assert_int_equal(f->gate.links_away, 1);
    assert_int_equal(do_get(f, "acme", 1), -ENOTCONN);
    assert_int_equal(do_delete(f, "acme", 1), -ENOTCONN);
    assert_int_equal(do_update(f, &r, &r), -ENOTCONN);
    fixture_start_server(f);
    assert_true(peer_run_until(f->base, fixture_is_up, f, SOON_MS));
    assert_int_equal(f->gate.links_away, 0);
    assert_int_equal(do_get(f, "acme", 1), -ENOENT); // empty, as nothing was kept
    assert_int_equal(do_create(f, &r), -EBUSY);
}

static void a_redis_that_refuses_for_now_counts_as_away(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration after cleanup(registration_done) = {0};
    registration_copy(&after, &r);
    set_text(&after.display_username, "Reception");
    assert_string_equal(raw(f, "CONFIG SET maxmemory 1"), "OK");
    assert_int_equal(do_update(f, &r, &after), -ENOTCONN);
    assert_contains(f->got.err.text, "OOM");
    assert_string_equal(raw(f, "CONFIG SET maxmemory 0"), "OK");
    assert_string_equal(raw(f, "CONFIG SET min-replicas-to-write 1"), "OK");
    assert_int_equal(do_delete(f, "acme", 1), -ENOTCONN);
    assert_contains(f->got.err.text, "NOREPLICAS");
    assert_string_equal(raw(f, "CONFIG SET min-replicas-to-write 0"), "OK");
    assert_int_equal(do_delete(f, "acme", 1), 0);
}

static void a_store_freed_with_calls_under_way_answers_each_once(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    fixture_forget(f);
    store_get(f->store, STR_LIT("acme"), 1, fixture_on_record, f);
    store_update(f->store, &r, &r, &fixture_context, fixture_on_record, f);
    store_delete(f->store, STR_LIT("acme"), 1, 0, &fixture_context, fixture_on_record, f);
    f->gate.approved = 0;
    store_create(f->store, &r, &fixture_context, fixture_on_record, f); // refused: answered on the next turn
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(f->got.count, 4);
    assert_int_equal(f->change_count, 0);
}

#if ROLLCALL_FAULT_POINTS
// What a gateway leaves that dies after Redis took the write: nobody was told, but `due` has it.
static void a_crash_after_the_write_leaves_it_to_the_sweep(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fixture child = {
            .base = event_base_new(), .replication_hash = f->replication_hash, .keys = f->keys};
        (void)snprintf(child.url, sizeof(child.url), "%s", f->url);
        (void)setenv("ROLLCALL_FAULT_POINT", "after_redis_write", 1);
        fixture_open_store(&child, 0, 0);
        (void)created(&child, "acme", "trunk");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 137);
    assert_int_equal(do_get(f, "acme", 1), 0);
    assert_string_equal(rawf(f, "ZRANGE rc:{s%u}:due 0 -1", shard_of("acme")), "1");
    assert_string_equal(rawf(f, "XLEN rc:{s%u}:outbox", shard_of("acme")), "1");
}
#endif

int main(void)
{
#define on_redis(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        on_redis(writes_wait_for_the_gate_and_reads_do_not),
        on_redis(a_redis_that_went_away_is_said_and_one_that_came_back_waits_for_the_gate),
        on_redis(a_redis_that_refuses_for_now_counts_as_away),
        on_redis(a_store_freed_with_calls_under_way_answers_each_once),
#if ROLLCALL_FAULT_POINTS
        on_redis(a_crash_after_the_write_leaves_it_to_the_sweep),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
