// services/registrant/core/outcome: every status code has exactly the outcome that the design names.
#include "services/registrant/core/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

// What was received; what the stack makes itself is below.
static const struct {
    int from, to;
    enum outcome outcome;
    enum outcome_delay delay;
} wanted[] = {
    {200, 299, OUTCOME_ACCEPTED, DELAY_BACKOFF},    {300, 399, OUTCOME_REDIRECT, DELAY_BACKOFF},
    {400, 400, OUTCOME_RETRY, DELAY_BACKOFF},       {401, 401, OUTCOME_CHALLENGE, DELAY_SLOW},
    {402, 402, OUTCOME_RETRY, DELAY_BACKOFF},       {403, 404, OUTCOME_REJECTED, DELAY_SLOW},
    {405, 406, OUTCOME_RETRY, DELAY_BACKOFF},       {407, 407, OUTCOME_CHALLENGE, DELAY_SLOW},
    {408, 409, OUTCOME_RETRY, DELAY_BACKOFF},       {410, 410, OUTCOME_REJECTED, DELAY_SLOW},
    {411, 415, OUTCOME_RETRY, DELAY_BACKOFF},       {416, 416, OUTCOME_REJECTED, DELAY_SLOW},
    {417, 419, OUTCOME_RETRY, DELAY_BACKOFF},       {420, 420, OUTCOME_BAD_EXTENSION, DELAY_SLOW},
    {421, 421, OUTCOME_REJECTED, DELAY_SLOW},       {422, 422, OUTCOME_RETRY, DELAY_BACKOFF},
    {423, 423, OUTCOME_TOO_BRIEF, DELAY_BACKOFF},   {424, 438, OUTCOME_RETRY, DELAY_BACKOFF},
    {439, 439, OUTCOME_NO_OUTBOUND, DELAY_BACKOFF}, {440, 483, OUTCOME_RETRY, DELAY_BACKOFF},
    {484, 485, OUTCOME_REJECTED, DELAY_SLOW},       {486, 493, OUTCOME_RETRY, DELAY_BACKOFF},
    {494, 494, OUTCOME_REJECTED, DELAY_SLOW},       {495, 500, OUTCOME_RETRY, DELAY_BACKOFF},
    {501, 501, OUTCOME_REJECTED, DELAY_SLOW},       {502, 502, OUTCOME_RETRY, DELAY_BACKOFF},
    {503, 503, OUTCOME_NEXT_TARGET, DELAY_BACKOFF}, {504, 504, OUTCOME_RETRY, DELAY_BACKOFF},
    {505, 505, OUTCOME_REJECTED, DELAY_SLOW},       {506, 599, OUTCOME_RETRY, DELAY_BACKOFF},
    {600, 699, OUTCOME_REJECTED, DELAY_SLOW},       {700, 999, OUTCOME_RETRY, DELAY_BACKOFF},
};

static void every_code_has_its_outcome_and_its_clause(void **state)
{
    (void)state;
    int next = 200;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_int_equal(wanted[i].from, next);
        for (; next <= wanted[i].to; next++) {
            const struct outcome_row *row = outcome_of(next, false);
            if (row->outcome != wanted[i].outcome || row->delay != wanted[i].delay)
                fail_msg("%d: outcome %d, delay %d", next, row->outcome, row->delay);
            assert_non_null(row->clause);
        }
    }
    assert_int_equal(next, 1000);
}

// RFC 3261 8.1.3.1: what the stack makes of silence and of its transport's errors; RFC 3263 4.3: those, and a
// 503, go on to the next target, while a 408 that was received does not.
static void silence_and_transport_errors_go_on_to_the_next_target(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(408, true)->outcome, OUTCOME_NEXT_TARGET);
    assert_int_equal(outcome_of(503, true)->outcome, OUTCOME_NEXT_TARGET);
    assert_int_equal(outcome_of(408, false)->outcome, OUTCOME_RETRY);
    assert_int_equal(outcome_of(500, true)->outcome, OUTCOME_RETRY);
}

static void a_security_agreement_is_named(void **state)
{
    (void)state;
    assert_non_null(outcome_of(494, false)->reason);
    assert_null(outcome_of(403, false)->reason);
}

static void a_code_beyond_all_is_retried(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(0, false)->outcome, OUTCOME_RETRY);
    assert_int_equal(outcome_of(-1, true)->outcome, OUTCOME_RETRY);
    assert_int_equal(outcome_of(100000, false)->outcome, OUTCOME_RETRY);
}

static void tells_that_a_cseq_was_too_low(void **state)
{
    (void)state;
    assert_true(outcome_is_cseq_too_low(400, STR_LIT("Invalid CSeq number"), STR_NONE));
    assert_true(outcome_is_cseq_too_low(500, STR_LIT("CSEQ too low"), STR_NONE));
    assert_true(outcome_is_cseq_too_low(500, STR_LIT("Request out of order"), STR_NONE));
    assert_true(outcome_is_cseq_too_low(500, STR_NONE, STR_LIT("399 x \"cseq\"")));
    assert_false(outcome_is_cseq_too_low(500, STR_LIT("Server Internal Error"), STR_NONE));
    assert_false(outcome_is_cseq_too_low(403, STR_LIT("CSeq"), STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_outcome_and_its_clause),
        cmocka_unit_test(silence_and_transport_errors_go_on_to_the_next_target),
        cmocka_unit_test(a_security_agreement_is_named),
        cmocka_unit_test(a_code_beyond_all_is_retried),
        cmocka_unit_test(tells_that_a_cseq_was_too_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
