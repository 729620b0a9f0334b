// What the sweep gives up of `due` because nobody can read it, on a real redis-server.
#include "tests/unit/store_bus.h"

static const char *given_up(struct fixture *f, const struct registration *r, const char *revision)
{
    struct buf due cleanup(buf_done) = BUF_INIT, id cleanup(buf_done) = BUF_INIT;
    key_shard(&due, shard_of(r->account), "due");
    buf_add_u64(&id, r->id);
    const struct str args[] = {buf_str(&id), str_of(revision)};
    return bus_run(f, script_give_up(), buf_str(&due), args, ARRAY_LEN(args));
}

static const char *time_of(struct fixture *f, const struct registration *r)
{
    return rawf(f, "ZSCORE rc:{s%u}:due 1", shard_of(r->account));
}

static void what_nobody_can_read_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    (void)rawf(f, "HSET rc:{s%u}:reg:1 revision x1", shard_of("acme"));
    assert_string_equal(given_up(f, &r, "x1"), "1");
    assert_string_equal(time_of(f, &r), "(nil)");
    assert_string_equal(given_up(f, &r, "x1"), "0");
}

static void what_was_written_since_it_was_read_is_not_given_up(void **state)
{
    struct fixture *f = *state;
    struct registration r cleanup(registration_done) = created(f, "acme", "trunk");
    struct registration after cleanup(registration_done) = {0};
    registration_copy(&after, &r);
    set_text(&after.name, "mended");
    char *read cleanup(mem_free_cstr) =
        mem_dup_cstr(rawf(f, "HGET rc:{s%u}:reg:1 revision", shard_of("acme")));
    (void)rawf(f, "HSET rc:{s%u}:reg:1 spec {", shard_of("acme"));
    assert_int_equal(do_update(f, &r, &after), 0);
    assert_string_equal(given_up(f, &r, read), "0");
    assert_string_not_equal(time_of(f, &r), "(nil)");
}

int main(void)
{
#define SWEEP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        SWEEP_TEST(what_nobody_can_read_is_given_up),
        SWEEP_TEST(what_was_written_since_it_was_read_is_not_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
