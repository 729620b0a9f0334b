// services/registrant/core/learned: what the answers of a registrar teach, and how long it holds.
#include "services/registrant/core/learned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

static void refused_nonces_teach_their_age_for_a_day(void **state)
{
    (void)state;
    struct learned l = {0};
    assert_true(learned_nonce_is_worth(&l, 90000, START));
    learned_nonce_refused(&l, 90000, START);
    assert_true(learned_nonce_is_worth(&l, 90000, START));
    learned_nonce_refused(&l, 60000, START);
    assert_true(learned_nonce_is_worth(&l, 59999, START));
    for (int i = 1; i < 8; i++)
        assert_false(learned_nonce_is_worth(&l, 60000, START));
    assert_true(learned_nonce_is_worth(&l, 60000, START)); // now and then it is tried
    assert_true(learned_nonce_is_worth(&l, 60000, START + 86400 * SECOND));
    learned_nonce_refused(&l, 60000, START);
    learned_nonce_refused(&l, 60000, START);
    assert_false(learned_nonce_is_worth(&l, 60000, START));
    learned_nonce_accepted(&l, 60000);
    assert_true(learned_nonce_is_worth(&l, 60000, START));
}

static void the_usual_grant_is_what_most_had(void **state)
{
    (void)state;
    struct learned l = {0};
    learned_grant(&l, 0);
    assert_int_equal(l.granted_s, 0);
    for (int i = 0; i < 90; i++)
        learned_grant(&l, i % 3 ? 3600 : 60 + (uint32_t)i);
    assert_int_equal(l.granted_s, 3600);
    assert_int_equal(l.granted_least_s, 60);
    for (int i = 0; i < 2000; i++) // it changes its mind
        learned_grant(&l, 300);
    assert_int_equal(l.granted_s, 300);
}

static void the_least_expiry_is_kept_for_a_day_and_an_address_that_is_too_long_is_none(void **state)
{
    (void)state;
    struct learned l = {0};
    char text[80];
    learned_min_expires(&l, 1800, START);
    assert_int_equal(learned_least_s(&l, START + 86399 * SECOND), 1800);
    assert_int_equal(learned_least_s(&l, START + 86400 * SECOND), 0);
    assert_true(learned_received(&l, STR_LIT("203.0.113.7:5060")));
    assert_false(learned_received(&l, STR_LIT("203.0.113.7:5060")));
    memset(text, 'x', sizeof(text));
    assert_false(learned_received(&l, (struct str){.p = text, .n = sizeof(text)}));
    assert_string_equal(l.received, "203.0.113.7:5060");
    assert_true(learned_received(&l, STR_NONE));
    assert_string_equal(l.received, "");
}

static void four_flows_lost_young_are_not_made_again_for_a_day(void **state)
{
    (void)state;
    struct learned l = {0};
    uint64_t now = SECOND;
    for (uint32_t flow = 1; flow <= 3; flow++)
        assert_true(learned_flow_is_worth(&l, flow, 60000, now));
    // asked for each registration that was bound over it
    assert_true(learned_flow_is_worth(&l, 3, 60000, now));
    assert_false(learned_flow_is_worth(&l, 4, 60000, now));
    assert_false(learned_flow_is_worth(&l, 4, 3600000, now));
    // one that lived takes it back, and so does a day
    assert_true(learned_flow_is_worth(&l, 5, 3600000, now));
    for (uint32_t flow = 6; flow <= 8; flow++)
        assert_true(learned_flow_is_worth(&l, flow, 60000, now));
    assert_false(learned_flow_is_worth(&l, 9, 60000, now));
    assert_true(learned_flow_is_worth(&l, 10, 60000, now + 86401 * SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_nonces_teach_their_age_for_a_day),
        cmocka_unit_test(the_usual_grant_is_what_most_had),
        cmocka_unit_test(four_flows_lost_young_are_not_made_again_for_a_day),
        cmocka_unit_test(the_least_expiry_is_kept_for_a_day_and_an_address_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
