// services/registrant/core/breaker: when a registrar that fails is left alone, and when it is tried again.
#include "services/registrant/core/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

static void silence_opens_the_breaker_and_a_probe_closes_it(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 4; i++)
        breaker_event(&b, BREAKER_SILENCE, 1, 0, 8, START);
    assert_true(breaker_allows(&b, START) == UINT32_MAX);
    breaker_event(&b, BREAKER_SILENCE, 1, 0, 8, START);
    assert_int_equal(breaker_allows(&b, START), 0);
    assert_int_equal(breaker_allows(&b, START + 3 * SECOND), 0);
    uint64_t later = START + 5 * SECOND;
    assert_int_equal(breaker_allows(&b, later), 1);
    breaker_event(&b, BREAKER_ANSWER, 1, 0, 8, later);
    assert_int_equal(breaker_allows(&b, later), 2);
    for (int i = 0; i < 7; i++)
        breaker_event(&b, BREAKER_ANSWER, 1, 0, 8, later);
    assert_true(breaker_allows(&b, later) == UINT32_MAX);
}

static void an_answer_between_silences_keeps_the_breaker_closed(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 100; i++)
        breaker_event(&b, i % 5 == 4 ? BREAKER_ANSWER : BREAKER_SILENCE, 1, 0, 8, START);
    assert_true(breaker_allows(&b, START) == UINT32_MAX);
}

static void half_of_the_last_twenty_503_of_three_registrations_open_it(void **state)
{
    (void)state;
    struct breaker two = {0}, three = {0};
    for (uint64_t i = 0; i < 20; i++)
        breaker_event(&two, BREAKER_UNAVAILABLE, i % 2, 0, 8, START);
    assert_true(breaker_allows(&two, START) == UINT32_MAX); // of two registrations only
    for (uint64_t i = 0; i < 18; i++)
        breaker_event(&three, i % 2 ? BREAKER_UNAVAILABLE : BREAKER_ANSWER, i % 3 + 1, 0, 8, START);
    assert_true(breaker_allows(&three, START) == UINT32_MAX); // nine of eighteen: not yet ten
    breaker_event(&three, BREAKER_UNAVAILABLE, 1, 0, 8, START);
    assert_int_equal(breaker_allows(&three, START), 0);
}

static void retry_after_of_a_503_opens_it_for_so_long(void **state)
{
    (void)state;
    struct breaker b = {0};
    breaker_event(&b, BREAKER_UNAVAILABLE, 1, 120 * SECOND, 8, START);
    assert_int_equal(breaker_allows(&b, START + 119 * SECOND), 0);
    assert_int_equal(breaker_allows(&b, START + 120 * SECOND), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_opens_the_breaker_and_a_probe_closes_it),
        cmocka_unit_test(an_answer_between_silences_keeps_the_breaker_closed),
        cmocka_unit_test(half_of_the_last_twenty_503_of_three_registrations_open_it),
        cmocka_unit_test(retry_after_of_a_503_opens_it_for_so_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
