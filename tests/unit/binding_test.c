// services/registrant/core/binding: our own contacts are found in what registrars make of them, and nobody
// else's.
#include "services/registrant/core/binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

static const struct {
    const char *ours, *theirs;
    bool same;
} pairs[] = {
    {"<sip:bob@192.0.2.1:5060>", "<sip:bob@192.0.2.1:5060>;expires=60", true},
    {"<sip:bob@192.0.2.1>", "sip:bob@192.0.2.1;expires=60", true},
    {"<sip:bob@Host.Example>", "\"Bob\" <sip:bob@hOST.eXAMPLE>;q=0.5", true},
    {"<sip:b%6fb@192.0.2.1>", "<sip:bob@192.0.2.1>", true},
    {"<sip:bob@192.0.2.1;transport=tcp>", "<sip:bob@192.0.2.1;transport=TCP>", true},
    {"<sip:bob@192.0.2.1>", "<sip:Bob@192.0.2.1>", false},
    {"<sip:bob@192.0.2.1>", "<sip:bob@192.0.2.1:5060>", false},
    {"<sip:bob@192.0.2.1>", "<sips:bob@192.0.2.1>", false},
    {"<sip:bob@192.0.2.1>", "<sip:bob@192.0.2.2>", false},
    {"<sip:bob@[2001:db8::1]:5060>", "<sip:bob@[2001:DB8::1]:5060>", true},
    // instance and reg-id decide before the URI
    {"<sip:bob@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
     "<sip:x@198.51.100.1:999>;reg-id=1;+sip.instance=\"<urn:uuid:1>\";expires=60", true},
    {"<sip:bob@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
     "<sip:bob@10.0.0.1>;reg-id=2;+sip.instance=\"<urn:uuid:1>\"", false},
    {"<sip:bob@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\"", "<sip:bob@10.0.0.1>;+sip.instance=\"<urn:uuid:2>\"",
     false},
    {"<sip:bob@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\"", "<sip:bob@10.0.0.1>;expires=60", true},
    // a parameter of our own survives any rewriting
    {"<sip:bob@10.0.0.1;line=abc>", "<sip:bob@198.51.100.1:40000;line=abc;nat=yes>", true},
    {"<sip:bob@10.0.0.1;line=abc>", "<sip:bob@10.0.0.1;line=xyz>", false},
    {"<sip:bob@10.0.0.1;line=abc>", "<sip:eve@10.0.0.1;line=abc>", false},
    {"<sip:bob@10.0.0.1;line=abc>", "<sip:bob@10.0.0.1>", true},
    {"<sip:bob@10.0.0.1>", "<sip:bob@10.0.0.1;nat=yes>", true},
    // for many numbers, or for one address of record
    {"<sip:192.0.2.1;bnc>", "<sip:192.0.2.1;bnc>;expires=7200", true},
    {"<sip:192.0.2.1;bnc>", "<sip:192.0.2.1>;expires=7200", false},
    // not to be read at all
    {"<sip:bob@10.0.0.1>", "*", false},
    {"<sip:bob@10.0.0.1>", "<sip:bob@10.0.0.1", false},
    {"<sip:bob@10.0.0.1>", "", false},
};

static void contacts_are_compared_as_bindings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (binding_is_same(str_of(pairs[i].ours), str_of(pairs[i].theirs)) != pairs[i].same)
            fail_msg("%s and %s", pairs[i].ours, pairs[i].theirs);
}

// What we send ourselves is compared as a registrar keys it.
static void our_own_are_one_by_flow_or_by_uri(void **state)
{
    static const struct {
        const char *a, *b;
        bool by_flow, by_uri;
    } cases[] = {
        {"<sip:u@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
         "<sip:u@10.0.0.2>;+sip.instance=\"<urn:uuid:1>\";reg-id=1", true, false},
        {"<sip:u@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
         "<sip:u@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=2", false, true},
        {"<sip:u@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\"", "<sip:u@10.0.0.2>;+sip.instance=\"<urn:uuid:1>\"",
         false, false},
        {"<sip:u@10.0.0.1;line=a>", "<sip:u@10.0.0.2;line=a>", false, false},
        {"<sip:u@10.0.0.1;line=a>", "<sip:u@10.0.0.1;line=a>", true, true},
        {"*", "<sip:u@10.0.0.1>", false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str a = str_of(cases[i].a), b = str_of(cases[i].b);
        if (binding_is_one(a, b, true) != cases[i].by_flow || binding_is_one(a, b, false) != cases[i].by_uri)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static struct sip_answer answer_of(const char *first, int64_t expires, const char *second, int64_t other)
{
    struct sip_answer a = {.status = 200, .expires_s = -1};
    a.contacts[a.contact_count++] = (struct sip_answer_contact){str_of(first), expires};
    if (second)
        a.contacts[a.contact_count++] = (struct sip_answer_contact){str_of(second), other};
    return a;
}

static void the_shortest_of_ours_counts(void **state)
{
    (void)state;
    const struct str ours[] = {STR_LIT("<sip:a@192.0.2.1>"), STR_LIT("<sip:b@192.0.2.1>")};
    struct sip_answer a = answer_of("<sip:a@192.0.2.1>", 600, "<sip:b@192.0.2.1>", 300);
    uint32_t shortest = 0;
    assert_int_equal(binding_count(ours, 2, &a, 3600, &shortest), 2);
    assert_int_equal(shortest, 300);
    a = answer_of("<sip:a@192.0.2.1>", 600, "<sip:else@192.0.2.1>", 30);
    assert_int_equal(binding_count(ours, 2, &a, 3600, &shortest), 1);
    assert_int_equal(shortest, 600);
}

static void the_header_and_then_what_was_asked_fill_in(void **state)
{
    (void)state;
    const struct str ours = STR_LIT("<sip:a@192.0.2.1>");
    struct sip_answer a = answer_of("<sip:a@192.0.2.1>", -1, NULL, 0);
    uint32_t shortest = 0;
    assert_int_equal(binding_count(&ours, 1, &a, 3600, &shortest), 1);
    assert_int_equal(shortest, 3600);
    a.expires_s = 90;
    assert_int_equal(binding_count(&ours, 1, &a, 3600, &shortest), 1);
    assert_int_equal(shortest, 90);
}

static void a_lifetime_of_zero_is_not_bound(void **state)
{
    (void)state;
    const struct str ours = STR_LIT("<sip:a@192.0.2.1>");
    uint32_t shortest = 77;
    struct sip_answer a = answer_of("<sip:a@192.0.2.1>", 0, NULL, 0);
    assert_int_equal(binding_count(&ours, 1, &a, 3600, &shortest), 0);
    a = answer_of("<sip:a@192.0.2.1>", -1, NULL, 0);
    a.expires_s = 0;
    assert_int_equal(binding_count(&ours, 1, &a, 3600, &shortest), 0);
    assert_int_equal(shortest, 77);
}

static void a_lifetime_beyond_all_is_clamped(void **state)
{
    (void)state;
    const struct str ours = STR_LIT("<sip:a@192.0.2.1>");
    struct sip_answer a = answer_of("<sip:a@192.0.2.1>", INT64_MAX, NULL, 0);
    uint32_t shortest = 0;
    assert_int_equal(binding_count(&ours, 1, &a, 3600, &shortest), 1);
    assert_true(shortest == UINT32_MAX);
}

static void others_bindings_are_told_apart(void **state)
{
    (void)state;
    const struct str ours = STR_LIT("<sip:a@192.0.2.1>");
    struct sip_answer a = answer_of("<sip:a@192.0.2.1>", 60, "<sip:b@192.0.2.1>", 0);
    assert_true(binding_is_ours(&ours, 1, &a, 0) && binding_is_bound(&a, 0));
    assert_false(binding_is_ours(&ours, 1, &a, 1) || binding_is_bound(&a, 1));
}

static void gruus_are_read_from_our_own_contact(void **state)
{
    (void)state;
    const struct str ours = STR_LIT("<sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\"");
    struct sip_answer a = answer_of("<sip:a@x>;+sip.instance=\"<urn:uuid:2>\";pub-gruu=\"sip:other\"", 60,
                                    "<sip:a@y>;+sip.instance=\"<urn:uuid:1>\";pub-gruu=\"sip:a@d;gr=1\"", 60);
    assert_true(str_eq_cstr(binding_quoted(&ours, 1, &a, "pub-gruu"), "sip:a@d;gr=1"));
    assert_int_equal(binding_quoted(&ours, 1, &a, "temp-gruu").n, 0);
    a = answer_of("<sip:a@y>;+sip.instance=\"<urn:uuid:1>\";pub-gruu=bare", 60, NULL, 0);
    assert_int_equal(binding_quoted(&ours, 1, &a, "pub-gruu").n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contacts_are_compared_as_bindings),
        cmocka_unit_test(our_own_are_one_by_flow_or_by_uri),
        cmocka_unit_test(the_shortest_of_ours_counts),
        cmocka_unit_test(the_header_and_then_what_was_asked_fill_in),
        cmocka_unit_test(a_lifetime_of_zero_is_not_bound),
        cmocka_unit_test(a_lifetime_beyond_all_is_clamped),
        cmocka_unit_test(others_bindings_are_told_apart),
        cmocka_unit_test(gruus_are_read_from_our_own_contact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
