// services/registrant/core/rules: limits of registrars by pattern, and what is said of a file that is wrong.
#include "services/registrant/core/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static struct rules *parse(const char *text)
{
    struct rules *rules = NULL;
    struct error err = {0};
    if (rules_parse(str_of(text), &rules, &err))
        fail_msg("%s", err.text);
    return rules;
}

static void refuse(const char *text, const char *cause)
{
    struct rules *rules = NULL;
    struct error err = {0};
    assert_true(rules_parse(str_of(text), &rules, &err) < 0);
    assert_null(rules);
    if (!strstr(err.text, cause))
        fail_msg("\"%s\" does not say \"%s\"", err.text, cause);
}

static struct pacer_limits limits_for(const struct rules *rules, const char *host)
{
    struct pacer_limits limits = {.rate = 100, .in_flight = 200, .aor_rate = 5, .expires_min_s = 0};
    const struct rule *rule = rules_find(rules, str_of(host));
    if (rule)
        rule_apply(rule, &limits);
    return limits;
}

static bool has_rule(const struct rules *rules, const char *host)
{
    return rules_find(rules, str_of(host)) != NULL;
}

static void a_rule_changes_what_it_names_and_leaves_the_rest(void **state)
{
    (void)state;
    struct rules *rules = parse("# of a carrier\n"
                                "\n"
                                "*.twilio.com  rate=2.5 aor_rate=4 hard # as agreed\n"
                                "sip.example.com in_flight=10\texpires_min=600");
    struct pacer_limits twilio = limits_for(rules, "acme.pstn.twilio.com");
    assert_true(twilio.rate > 2.49 && twilio.rate < 2.51);
    assert_int_equal(twilio.aor_rate, 4);
    assert_int_equal(twilio.in_flight, 200);
    assert_true(twilio.hard);
    struct pacer_limits other = limits_for(rules, "sip.example.com");
    assert_true(other.rate > 99 && !other.hard);
    assert_int_equal(other.in_flight, 10);
    assert_int_equal(other.expires_min_s, 600);
    assert_false(has_rule(rules, "twilio.com"));
    assert_false(has_rule(NULL, "twilio.com"));
    rules_free(rules);
}

static void the_first_that_matches_wins_whatever_the_case(void **state)
{
    (void)state;
    struct rules *rules = parse("SIP.Example.com rate=1\r\n*.example.com rate=2\n* rate=3\n");
    assert_int_equal((int)limits_for(rules, "sip.EXAMPLE.com").rate, 1);
    assert_int_equal((int)limits_for(rules, "b.example.com").rate, 2);
    assert_int_equal((int)limits_for(rules, "192.0.2.1").rate, 3);
    assert_int_equal((int)limits_for(rules, "2001:db8::1").rate, 3);
    rules_free(rules);
}

static void stars_take_any_characters_or_none(void **state)
{
    (void)state;
    struct rules *rules = parse("a*b*c\n");
    assert_true(has_rule(rules, "abc"));
    assert_true(has_rule(rules, "axxbbxc"));
    assert_true(has_rule(rules, "abcbc"));
    assert_false(has_rule(rules, "abcb"));
    assert_false(has_rule(rules, "xabc"));
    assert_false(has_rule(rules, ""));
    rules_free(rules);
    // No pattern costs more than its length times that of the host.
    rules = parse("*a*a*a*a*a*a*a*a*a*a*b\n");
    assert_false(
        has_rule(rules, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    rules_free(rules);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    (void)state;
    refuse("a rate=1\n\nb speed=1\n", "line 3: unknown key \"speed\"");
    refuse("a rate=1 rate=2", "line 1: rate is given twice");
    refuse("a hard hard", "hard is given twice");
    refuse("a hard=1", "hard takes no value");
    refuse("a rate", "rate needs a value");
    refuse("a rate=", "rate is not a number");
    refuse("a rate=-1", "rate is not a number");
    refuse("a rate=1e5", "rate is not a number");
    refuse("a rate=1.2.3", "rate is not a number");
    refuse("a rate=nan", "rate is not a number");
    refuse("a rate=.5", "rate is not a number");
    refuse("a rate=1000001", "rate is not a number from 0 to 1000000");
    refuse("a in_flight=0", "in_flight is not a whole number from 1");
    refuse("a in_flight=1.5", "in_flight is not a whole number");
    refuse("a rate=1\nA rate=2", "line 2: \"A\" has a line already");
    refuse("rate=1", "a line begins with a host pattern");
    refuse("a rate=00000000000000001", "rate is not a number");
}

static void an_empty_file_has_no_rules(void **state)
{
    (void)state;
    struct rules *rules = parse("");
    assert_false(has_rule(rules, "a"));
    rules_free(rules);
    rules_free(NULL);
}

static void the_host_of_a_key_has_no_transport_port_or_brackets(void **state)
{
    (void)state;
    const char *const pairs[][2] = {{"udp:sip.example.com:0", "sip.example.com"},
                                    {"tls:192.0.2.1:5061", "192.0.2.1"},
                                    {"tcp:2001:db8::1:5060", "2001:db8::1"},
                                    {"tcp:[2001:db8::1]:5060", "2001:db8::1"},
                                    {"udp:odd", "odd"},
                                    {"udp:", ""}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (!str_eq_cstr(rules_host_of(str_of(pairs[i][0])), pairs[i][1]))
            fail_msg("%s", pairs[i][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_changes_what_it_names_and_leaves_the_rest),
        cmocka_unit_test(the_first_that_matches_wins_whatever_the_case),
        cmocka_unit_test(stars_take_any_characters_or_none),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(an_empty_file_has_no_rules),
        cmocka_unit_test(the_host_of_a_key_has_no_transport_port_or_brackets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
