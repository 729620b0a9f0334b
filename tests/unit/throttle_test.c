// services/gateway/auth/throttle: how much passes, and when more does. Time is an argument.
#include "common/base/buf.h"
#include "services/gateway/auth/throttle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
// cmocka needs those above
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

static struct throttle *make(uint32_t requests_per_s, uint32_t failed_logins_per_min)
{
    return throttle_new(&(struct throttle_params){requests_per_s, failed_logins_per_min});
}

static uint32_t passing(struct throttle *t, const char *who, uint32_t asked, uint64_t now_us)
{
    uint32_t passed = 0;
    for (uint32_t i = 0; i < asked; i++)
        passed += throttle_request(t, str_of(who), 1, now_us).passes;
    return passed;
}

static void a_burst_of_two_seconds_passes_and_then_the_rate(void **state)
{
    (void)state;
    struct throttle *t = make(10, 0);
    assert_int_equal(passing(t, "a/ann", 100, START), 20);
    assert_int_equal(passing(t, "a/ann", 100, START + SECOND), 10);
    assert_int_equal(passing(t, "a/ann", 100, START + SECOND + SECOND / 2), 5);
    assert_int_equal(passing(t, "a/ann", 100, START + 100 * SECOND), 20);
    throttle_free(t);
}

static void a_slow_rate_adds_up_however_often_it_is_asked(void **state)
{
    (void)state;
    struct throttle *t = make(1, 0);
    uint32_t passed = 0;
    for (uint64_t us = 0; us < 10 * SECOND; us += 7)
        passed += throttle_request(t, STR_LIT("a/ann"), 1, START + us).passes;
    assert_int_equal(passed, 2 + 9);
    throttle_free(t);
}

static void principals_do_not_share_a_bucket(void **state)
{
    (void)state;
    struct throttle *t = make(1, 0);
    assert_int_equal(passing(t, "a/ann", 5, START), 2);
    assert_int_equal(passing(t, "a/bob", 5, START), 2);
    throttle_free(t);
}

static void a_refusal_says_when_to_come_again(void **state)
{
    (void)state;
    struct throttle *t = make(4, 0);
    assert_int_equal(throttle_request(t, STR_LIT("a/ann"), 1, START).remaining, 7);
    assert_int_equal(passing(t, "a/ann", 100, START), 7);
    struct throttle_answer a = throttle_request(t, STR_LIT("a/ann"), 1, START);
    assert_false(a.passes);
    assert_in_range(a.wait_ms, 250, 251);
    assert_false(throttle_request(t, STR_LIT("a/ann"), 1, START + 249 * 1000).passes);
    assert_true(throttle_request(t, STR_LIT("a/ann"), 1, START + a.wait_ms * UINT64_C(1000)).passes);
    throttle_free(t);
}

static void a_cost_above_the_burst_empties_the_bucket_but_passes(void **state)
{
    (void)state;
    struct throttle *t = make(10, 0);
    assert_true(throttle_request(t, STR_LIT("a/ann"), 1000, START).passes);
    assert_false(throttle_request(t, STR_LIT("a/ann"), 1, START).passes);
    assert_false(throttle_request(t, STR_LIT("a/ann"), 1000, START + SECOND).passes);
    assert_true(throttle_request(t, STR_LIT("a/ann"), 1000, START + 2 * SECOND).passes);
    throttle_free(t);
}

static void without_a_limit_everything_passes(void **state)
{
    (void)state;
    struct throttle *t = make(0, 0);
    assert_int_equal(passing(t, "a/ann", 10000, START), 10000);
    assert_true(throttle_request(t, STR_LIT("a/ann"), 1, START).remaining == UINT32_MAX);
    for (int i = 0; i < 1000; i++)
        throttle_login_failed(t, STR_LIT("ann"), STR_LIT("192.0.2.1"), START);
    assert_true(throttle_login(t, STR_LIT("ann"), STR_LIT("192.0.2.1"), START).passes);
    throttle_free(t);
}

static void fail_logins(struct throttle *t, const char *name, const char *address, int times)
{
    for (int i = 0; i < times; i++)
        throttle_login_failed(t, str_of(name), str_of(address), START);
}

static bool may_try(struct throttle *t, const char *name, const char *address, uint64_t now_us)
{
    return throttle_login(t, str_of(name), str_of(address), now_us).passes;
}

static void failed_logins_of_a_name_stop_it_from_everywhere(void **state)
{
    (void)state;
    struct throttle *t = make(0, 3);
    fail_logins(t, "ann", "192.0.2.1", 1);
    fail_logins(t, "ann", "192.0.2.2", 1);
    assert_true(may_try(t, "ann", "192.0.2.9", START));
    fail_logins(t, "ann", "192.0.2.3", 1);
    assert_false(may_try(t, "ann", "192.0.2.9", START));
    assert_true(may_try(t, "bob", "192.0.2.9", START));
    struct throttle_answer a = throttle_login(t, STR_LIT("ann"), STR_LIT("192.0.2.9"), START);
    assert_in_range(a.wait_ms, 20000, 20001);
    assert_true(may_try(t, "ann", "192.0.2.9", START + a.wait_ms * UINT64_C(1000)));
    throttle_free(t);
}

static void failed_logins_from_an_address_stop_it_for_every_name(void **state)
{
    (void)state;
    struct throttle *t = make(0, 3);
    fail_logins(t, "a", "192.0.2.1", 1);
    fail_logins(t, "b", "192.0.2.1", 1);
    fail_logins(t, "c", "192.0.2.1", 1);
    assert_false(may_try(t, "d", "192.0.2.1", START));
    assert_true(may_try(t, "d", "192.0.2.2", START));
    throttle_free(t);
}

static void a_login_that_does_not_fail_costs_nothing(void **state)
{
    (void)state;
    struct throttle *t = make(0, 3);
    for (int i = 0; i < 100; i++)
        assert_true(may_try(t, "ann", "192.0.2.1", START));
    throttle_free(t);
}

static void logins_that_failed_side_by_side_are_owed(void **state)
{
    (void)state;
    struct throttle *t = make(0, 6);
    fail_logins(t, "ann", "192.0.2.1", 6 + 3); // all were under way when the limit was reached
    assert_false(may_try(t, "ann", "192.0.2.9", START + 39 * SECOND));
    assert_true(may_try(t, "ann", "192.0.2.9", START + 41 * SECOND));
    fail_logins(t, "bob", "192.0.2.2", 1000);
    assert_false(may_try(t, "bob", "192.0.2.9", START + 8 * 60 * SECOND));
    assert_true(may_try(t, "bob", "192.0.2.9", START + 8 * 60 * SECOND + 11 * SECOND));
    throttle_free(t);
}

static void an_empty_name_is_not_counted(void **state)
{
    (void)state;
    struct throttle *t = make(0, 2);
    fail_logins(t, "", "192.0.2.1", 9);
    assert_false(may_try(t, "", "192.0.2.1", START));
    assert_true(may_try(t, "", "192.0.2.2", START));
    throttle_free(t);
}

static void an_ipv6_host_is_one_whatever_address_of_its_network_it_takes(void **state)
{
    (void)state;
    struct throttle *t = make(0, 2);
    fail_logins(t, "a", "2001:db8:0:1::1", 1);
    fail_logins(t, "b", "2001:db8:0:1:ffff::2", 1);
    assert_false(may_try(t, "c", "2001:db8:0:1::3", START));
    assert_true(may_try(t, "c", "2001:db8:0:2::3", START));
    fail_logins(t, "d", "::ffff:192.0.2.1", 2);
    assert_true(may_try(t, "e", "::ffff:192.0.2.2", START));
    throttle_free(t);
}

static void a_clock_that_goes_back_gives_nothing_away(void **state)
{
    (void)state;
    struct throttle *t = make(1, 0);
    assert_int_equal(passing(t, "a/ann", 5, START), 2);
    assert_int_equal(passing(t, "a/ann", 5, START - 100 * SECOND), 0);
    assert_int_equal(passing(t, "a/ann", 5, START), 0);
    throttle_free(t);
}

// 16 shards of 8192: three times as many names push the first out, and those asked last stay.
static void what_is_idle_longest_makes_room(void **state)
{
    (void)state;
    struct throttle *t = make(1, 0);
    struct buf name cleanup(buf_done) = BUF_INIT;
    assert_int_equal(passing(t, "first", 5, START), 2);
    assert_int_equal(passing(t, "busy", 5, START), 2);
    for (unsigned i = 0; i < 3 * 16 * 8192; i++) {
        buf_clear(&name);
        buf_addf(&name, "a/%u", i);
        assert_true(throttle_request(t, buf_str(&name), 1, START).passes);
        if (i % 1000 == 0)
            assert_false(throttle_request(t, STR_LIT("busy"), 1, START).passes);
    }
    assert_int_equal(passing(t, "first", 5, START), 2); // forgotten, and full again
    throttle_free(t);
}

// One host that asks for many names that nobody has must not free another name of what it owes.
static void asking_pushes_out_nobody_who_owes(void **state)
{
    (void)state;
    struct throttle *t = make(0, 2);
    struct buf name cleanup(buf_done) = BUF_INIT;
    fail_logins(t, "ann", "192.0.2.1", 2);
    for (unsigned i = 0; i < 3 * 16 * 8192; i++) {
        buf_clear(&name);
        buf_addf(&name, "nobody-%u", i);
        assert_true(throttle_login(t, buf_str(&name), STR_LIT("192.0.2.66"), START).passes);
    }
    assert_false(may_try(t, "ann", "192.0.2.9", START));
    throttle_free(t);
}

struct crowd {
    struct throttle *throttle;
    atomic_uint passed;
};

static void *ask_much(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 10000; i++)
        c->passed += throttle_request(c->throttle, STR_LIT("a/ann"), 1, START).passes;
    return NULL;
}

static void threads_share_one_bucket(void **state)
{
    (void)state;
    struct crowd c = {.throttle = make(1000, 0)};
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_much, &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(c.passed, 2000);
    throttle_free(c.throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_of_two_seconds_passes_and_then_the_rate),
        cmocka_unit_test(a_slow_rate_adds_up_however_often_it_is_asked),
        cmocka_unit_test(principals_do_not_share_a_bucket),
        cmocka_unit_test(a_refusal_says_when_to_come_again),
        cmocka_unit_test(a_cost_above_the_burst_empties_the_bucket_but_passes),
        cmocka_unit_test(without_a_limit_everything_passes),
        cmocka_unit_test(failed_logins_of_a_name_stop_it_from_everywhere),
        cmocka_unit_test(failed_logins_from_an_address_stop_it_for_every_name),
        cmocka_unit_test(a_login_that_does_not_fail_costs_nothing),
        cmocka_unit_test(logins_that_failed_side_by_side_are_owed),
        cmocka_unit_test(an_empty_name_is_not_counted),
        cmocka_unit_test(an_ipv6_host_is_one_whatever_address_of_its_network_it_takes),
        cmocka_unit_test(a_clock_that_goes_back_gives_nothing_away),
        cmocka_unit_test(what_is_idle_longest_makes_room),
        cmocka_unit_test(asking_pushes_out_nobody_who_owes),
        cmocka_unit_test(threads_share_one_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
