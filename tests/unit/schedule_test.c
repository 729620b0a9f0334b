// services/registrant/core/schedule: every wait stays within the bounds that the design gives it.
#include "services/registrant/core/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

#define ROUNDS 2000

static void assert_refresh_between(uint64_t lifetime_s, uint64_t from_ms, uint64_t to_ms)
{
    struct rng rng = {.state = lifetime_s};
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t at = schedule_refresh_ms(lifetime_s, &rng);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    assert_in_range(least, from_ms, from_ms + (to_ms - from_ms) / 20);
    assert_in_range(most, to_ms - (to_ms - from_ms) / 20, to_ms);
}

static void refreshes_before_the_granted_expiry(void **state)
{
    (void)state;
    assert_refresh_between(3600, 2754000, 3060000); // margin 15 %, jitter 10 % earlier
    assert_refresh_between(300, 216000, 240000);    // margin 60 s
    assert_refresh_between(7 * 86400, 462672000, 514080000);
}

static void never_refreshes_before_half(void **state)
{
    (void)state;
    assert_refresh_between(120, 60000, 60000); // margin at most half: no room for jitter
    assert_refresh_between(60, 30000, 30000);
    assert_refresh_between(1, 500, 500);
    assert_refresh_between(125, 62500, 65000); // jitter is cut at half
}

static void the_mean_is_what_refreshes_are_on_average(void **state)
{
    (void)state;
    static const uint64_t lifetimes[] = {60, 300, 3600};
    for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
        struct rng rng = {.state = 1};
        uint64_t sum = 0;
        for (int k = 0; k < ROUNDS; k++)
            sum += schedule_refresh_ms(lifetimes[i], &rng);
        uint64_t mean = schedule_mean_refresh_ms(lifetimes[i]);
        assert_in_range(sum / ROUNDS, mean - mean / 100, mean + mean / 100);
    }
}

static void a_fixed_delay_stays_fixed(void **state)
{
    (void)state;
    struct rng rng = {.state = 1};
    for (uint32_t n = 1; n < 100; n++)
        assert_int_equal(schedule_backoff_ms(RETRY_FIXED, 5, n, 1800, &rng), 5000);
    assert_int_equal(schedule_backoff_ms(RETRY_FIXED, 0, 1, 1800, &rng), 1000); // never a loop
}

static void growing_delays_double_up_to_the_cap(void **state)
{
    (void)state;
    struct rng rng = {.state = 1};
    for (int i = 0; i < ROUNDS; i++) {
        assert_in_range(schedule_backoff_ms(RETRY_GROWING, 30, 1, 1800, &rng), 30000, 60000);
        assert_in_range(schedule_backoff_ms(RETRY_GROWING, 30, 3, 1800, &rng), 120000, 240000);
        assert_in_range(schedule_backoff_ms(RETRY_GROWING, 30, 6, 1800, &rng), 900000, 1800000);
        assert_in_range(schedule_backoff_ms(RETRY_GROWING, 30, 4000000000, 1800, &rng), 900000, 1800000);
    }
}

static void a_slow_retry_is_half_to_one_and_a_half(void **state)
{
    (void)state;
    struct rng rng = {.state = 1};
    for (int i = 0; i < ROUNDS; i++)
        assert_in_range(schedule_slow_ms(3600, &rng), 1800000, 5400000);
}

static void retry_after_only_lengthens(void **state)
{
    (void)state;
    assert_int_equal(schedule_lengthen_ms(5000, -1, 86400), 5000);
    assert_int_equal(schedule_lengthen_ms(5000, 0, 86400), 5000);
    assert_int_equal(schedule_lengthen_ms(5000, 4, 86400), 5000);
    assert_int_equal(schedule_lengthen_ms(5000, 6, 86400), 6000);
    assert_int_equal(schedule_lengthen_ms(5000, INT64_MAX, 86400), 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refreshes_before_the_granted_expiry),
        cmocka_unit_test(never_refreshes_before_half),
        cmocka_unit_test(the_mean_is_what_refreshes_are_on_average),
        cmocka_unit_test(a_fixed_delay_stays_fixed),
        cmocka_unit_test(growing_delays_double_up_to_the_cap),
        cmocka_unit_test(a_slow_retry_is_half_to_one_and_a_half),
        cmocka_unit_test(retry_after_only_lengthens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
