// services/registrant/transport: which addresses may be sent to.
#include "services/registrant/transport/networks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static enum network_verdict judge(const char *allow, const char *deny, const char *host)
{
    struct networks *n;
    struct error err;
    struct address a;
    assert_int_equal(networks_new(allow, deny, &n, &err), 0);
    assert_true(address_parse(str_of(host), 5060, &a));
    enum network_verdict verdict = networks_judge(n, &a);
    networks_free(n);
    return verdict;
}

static void nothing_named_allows_everything(void **state)
{
    struct networks *n;
    struct error err;
    assert_int_equal(networks_new(NULL, " , ", &n, &err), 0);
    assert_null(n);
    assert_int_equal(judge(NULL, NULL, "127.0.0.1"), NETWORK_ALLOWED);
}

static void a_denial_alone_leaves_the_rest(void **state)
{
    const char *deny = "10.0.0.0/8, 169.254.169.254, fe80::/10";
    assert_int_equal(judge(NULL, deny, "10.255.255.255"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, deny, "11.0.0.0"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, deny, "169.254.169.254"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, deny, "169.254.169.253"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, deny, "febf::1"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, deny, "fec0::1"), NETWORK_ALLOWED);
}

static void what_is_allowed_shuts_the_rest_out(void **state)
{
    assert_int_equal(judge("192.0.2.0/24", NULL, "192.0.2.7"), NETWORK_ALLOWED);
    assert_int_equal(judge("192.0.2.0/24", NULL, "192.0.3.7"), NETWORK_NOT_ALLOWED);
    assert_int_equal(judge("192.0.2.0/24", NULL, "2001:db8::1"), NETWORK_NOT_ALLOWED);
}

static void the_longest_prefix_decides_and_of_equals_the_denial(void **state)
{
    assert_int_equal(judge("10.1.2.0/24", "10.0.0.0/8", "10.1.2.3"), NETWORK_ALLOWED);
    assert_int_equal(judge("10.1.2.0/24", "10.0.0.0/8", "10.1.3.3"), NETWORK_DENIED);
    assert_int_equal(judge("10.0.0.0/8", "10.1.2.3", "10.1.2.3"), NETWORK_DENIED);
    assert_int_equal(judge("10.0.0.0/8", "10.0.0.0/8", "10.1.2.3"), NETWORK_DENIED);
    assert_int_equal(judge("0.0.0.0/0", "10.0.0.0/8", "192.0.2.1"), NETWORK_ALLOWED);
    assert_int_equal(judge("0.0.0.0/0", "10.0.0.0/8", "2001:db8::1"), NETWORK_NOT_ALLOWED);
    assert_int_equal(judge("10.1.2.129/25", "10.1.2.0/24", "10.1.2.128"), NETWORK_ALLOWED);
}

static void an_ipv4_address_in_ipv6_clothes_is_judged_as_what_it_is(void **state)
{
    assert_int_equal(judge(NULL, "127.0.0.0/8", "::ffff:127.0.0.1"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "::ffff:127.0.0.0/104", "127.0.0.1"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "::/0", "127.0.0.1"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, "::/0", "::ffff:127.0.0.1"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, "::/0", "::1"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "0.0.0.0/0", "::1"), NETWORK_ALLOWED);
}

static void an_address_that_leads_to_this_machine_is_judged_as_its_loopback(void **state)
{
    assert_int_equal(judge(NULL, "127.0.0.0/8", "0.0.0.0"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "127.0.0.0/8", "::ffff:0.0.0.0"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "127.0.0.0/8", "0.0.0.1"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, "127.0.0.0/8", "::"), NETWORK_ALLOWED);
    assert_int_equal(judge(NULL, "::1", "::"), NETWORK_DENIED);
    assert_int_equal(judge(NULL, "::1", "0.0.0.0"), NETWORK_ALLOWED);
    assert_int_equal(judge("0.0.0.0", "127.0.0.1", "0.0.0.0"), NETWORK_DENIED);
    assert_int_equal(judge("127.0.0.1", NULL, "0.0.0.0"), NETWORK_NOT_ALLOWED);
    assert_int_equal(judge(NULL, "0.0.0.0", "127.0.0.1"), NETWORK_ALLOWED);
}

static void what_is_no_network_is_refused_by_the_name_of_its_setting(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "::/129",         "10.0.0.0/", "10.0.0.0/-1", "10.0.0",
                                      "example.com", "10.0.0.0/8 ::1", "[::1]",     "/8"};
    struct networks *n = NULL;
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(networks_new(NULL, bad[i], &n, &err), -EINVAL);
        assert_non_null(strstr(err.text, "ROLLCALL_SIP_DENY: \""));
        assert_int_equal(networks_new(bad[i], "10.0.0.0/8", &n, &err), -EINVAL);
        assert_non_null(strstr(err.text, "ROLLCALL_SIP_ALLOW: \""));
    }
    assert_null(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_named_allows_everything),
        cmocka_unit_test(a_denial_alone_leaves_the_rest),
        cmocka_unit_test(what_is_allowed_shuts_the_rest_out),
        cmocka_unit_test(the_longest_prefix_decides_and_of_equals_the_denial),
        cmocka_unit_test(an_ipv4_address_in_ipv6_clothes_is_judged_as_what_it_is),
        cmocka_unit_test(an_address_that_leads_to_this_machine_is_judged_as_its_loopback),
        cmocka_unit_test(what_is_no_network_is_refused_by_the_name_of_its_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
