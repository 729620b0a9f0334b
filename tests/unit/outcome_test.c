// services/registrant/core/outcome: every status code has exactly the outcome that the design names.
#include "services/registrant/core/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

static enum outcome wanted(int status)
{
    if (status >= 200 && status < 300)
        return OUTCOME_ACCEPTED;
    if (status >= 300 && status < 400)
        return OUTCOME_REDIRECT;
    if (status == 401 || status == 407)
        return OUTCOME_CHALLENGE;
    if (status == 423)
        return OUTCOME_TOO_BRIEF;
    if (status == 403 || status == 404 || (status >= 600 && status < 700))
        return OUTCOME_REJECTED;
    return OUTCOME_RETRY;
}

static void every_code_has_its_outcome_and_its_clause(void **state)
{
    (void)state;
    for (int status = 200; status < 1000; status++) {
        const struct outcome_row *row = outcome_of(status);
        assert_int_equal(row->outcome, wanted(status));
        assert_non_null(row->clause);
        enum outcome_delay delay = row->outcome == OUTCOME_REJECTED ? DELAY_SLOW
                                   : row->outcome == OUTCOME_RETRY  ? DELAY_BACKOFF
                                                                    : DELAY_NONE;
        assert_int_equal(row->delay, delay);
    }
}

static void a_code_beyond_all_is_retried(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(0)->outcome, OUTCOME_RETRY);
    assert_int_equal(outcome_of(-1)->outcome, OUTCOME_RETRY);
    assert_int_equal(outcome_of(100000)->outcome, OUTCOME_RETRY);
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
        cmocka_unit_test(a_code_beyond_all_is_retried),
        cmocka_unit_test(tells_that_a_cseq_was_too_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
