// What is read of a response, and what is not believed.
#include "services/registrant/sip/answer.h"
#include "services/registrant/sip/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka needs the headers above it
#include <cmocka.h>

#define BASICS "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
#define VIA    "Via: SIP/2.0/UDP 192.0.2.1:5080;rport;branch=z9hG4bKx\r\n"

// A 200 with these header lines.
static msg_t *response(const char *via, const char *lines)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_addf(&text, "SIP/2.0 200 OK\r\n%s" BASICS "%sContent-Length: 0\r\n\r\n", via, lines);
    return message_parse(buf_str(&text));
}

static bool has_via(const char *text)
{
    return message_has_via(str_of(text));
}

static void a_via_is_found_by_either_name_and_not_in_the_body(void **state)
{
    assert_true(has_via("SIP/2.0 200 OK\r\nX: 1\r\n" VIA "\r\n"));
    assert_true(has_via("SIP/2.0 200 OK\nX: 1\n\tVia: folded\nv : x\n\n"));
    assert_true(has_via("SIP/2.0 200 OK\r\nVia:\r\n\r\n"));
    assert_false(has_via("SIP/2.0 200 OK\r\nViax: 1\r\nX: 1\r\n Via: folded\r\n\r\n"));
    assert_false(has_via("SIP/2.0 200 OK\r\n\r\n" VIA));
    assert_false(has_via("SIP/2.0 200 OK"));
    assert_false(has_via(""));
}

static bool parses_with(const char *line, size_t times)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&text, "SIP/2.0 200 OK\r\n" VIA BASICS);
    for (size_t i = 0; i < times; i++)
        buf_add_cstr(&text, line);
    buf_add_cstr(&text, "\r\n");
    msg_t *msg = message_parse(buf_str(&text));
    msg_destroy(msg);
    return msg != NULL;
}

// Of these the library would take a second for one datagram.
static void thousands_of_headers_or_elements_are_no_message(void **state)
{
    assert_true(parses_with("Contact: <sip:a@h>\r\n", 500));
    assert_true(parses_with("k: a,b\r\n", 500));
    assert_false(parses_with("k: a\r\n", 2000));
    assert_false(parses_with("k:a\r", 4000));
    assert_false(parses_with("k:a\n", 4000));
    assert_false(parses_with("m: <sip:a>,<sip:a>,<sip:a>,<sip:a>,<sip:a>,<sip:a>,<sip:a>,<sip:a>\r\n", 500));
}

static void half_a_message_is_none(void **state)
{
    static const char *const bad[] = {
        "SIP/2.0 200 OK\r\n" VIA "\r\n",    // no From
        "SIP/2.0 200 OK\r\n" BASICS "\r\n", // no Via
        "SIP/2.0 200 OK\r\n" VIA BASICS "Content-Length: 10\r\n\r\nshort",
        "SIP/2.0 200 OK\r\n" VIA BASICS "Content-Length: -1\r\n\r\n",
        "SIP/2.0 abc OK\r\n" VIA BASICS "\r\n",
        "SIP/2.0 200 OK\r\n" VIA
        "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: c\r\nCSeq: x REGISTER\r\n\r\n",
        "SIP/2.0 200 OK\r\n" VIA BASICS "Call-ID: d\r\n\r\n",
        "SIP/2.0 200 OK\r\n" VIA BASICS "i: c\r\n\r\n",
        "SIP/2.0 200 OK\r\n" VIA BASICS "CSeq: 2 REGISTER\r\n\r\n",
        "SIP/2.0 200 OK\r\n" VIA BASICS "To: <sip:b@h>\r\n\r\n",
        "SIP/2.0 200 OK\r\n" VIA BASICS "Content-Length: 0\r\nContent-Length: 1\r\n\r\nx",
        "",
        "\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        msg_t *msg = message_parse(str_of(bad[i]));
        if (msg)
            fail_msg("%s", bad[i]);
    }
    msg_t *good = message_parse(STR_LIT("SIP/2.0 200 OK\r\n" VIA BASICS "\r\n"));
    assert_non_null(good);
    msg_destroy(good);
}

static void an_unreadable_header_costs_only_itself(void **state)
{
    struct sip_answer a;
    msg_t *msg =
        response(VIA, "Contact: <sip:a@h>;expires=5\r\nRetry-After: ,,\r\nWarning: ???\r\nContact: <<<>\r\n"
                      "No colon here\r\nExpires: soon\r\nMin-Expires: 60\r\n");
    assert_non_null(msg);
    answer_of_response(msg, &a);
    assert_true(a.contact_count >= 1);
    assert_int_equal(a.contacts[0].expires, 5);
    assert_int_equal(a.min_expires_s, 60);
    assert_int_equal(a.expires_s, -1);
    assert_int_equal(a.retry_after_s, -1);
    msg_destroy(msg);
}

static void numbers_are_clamped_and_never_wrap(void **state)
{
    struct sip_answer a;
    msg_t *msg = response(VIA, "Contact: <sip:a@h>;expires=99999999999999999999\r\nExpires: 4294967296\r\n"
                               "Retry-After: 18446744073709551617\r\nFlow-Timer: 4294967300\r\n");
    answer_of_response(msg, &a);
    assert_int_equal(a.contacts[0].expires, UINT32_MAX);
    assert_int_equal(a.expires_s, UINT32_MAX);
    assert_int_equal(a.retry_after_s, UINT32_MAX);
    assert_int_equal(a.flow_timer_s, UINT32_MAX);
    msg_destroy(msg);
}

static void lists_beyond_their_bound_are_cut(void **state)
{
    struct buf lines cleanup(buf_done) = BUF_INIT;
    struct sip_answer a;
    for (int i = 0; i < 200; i++)
        buf_addf(&lines, "Contact: <sip:%d@h>\r\nPath: <sip:%d>\r\nWWW-Authenticate: Digest realm=\"%d\"\r\n",
                 i, i, i);
    msg_t *msg = response(VIA, lines.p);
    answer_of_response(msg, &a);
    assert_int_equal(a.contact_count, ANSWER_MAX_CONTACTS);
    assert_int_equal(a.path_count, STATUS_MAX_LIST);
    assert_int_equal(a.challenge_count, ARRAY_LEN(a.challenges));
    msg_destroy(msg);
}

static void outbound_counts_where_a_2xx_requires_it(void **state)
{
    struct sip_answer a;
    msg_t *msg = response(VIA, "Require: path, Outbound\r\nFlow-Timer: 120\r\n");
    answer_of_response(msg, &a);
    assert_true(a.outbound);
    assert_int_equal(a.flow_timer_s, 120);
    msg_destroy(msg);
    msg = message_parse(STR_LIT("SIP/2.0 420 Bad Extension\r\n" VIA BASICS
                                "Require: outbound\r\nUnsupported: gin, foo\r\nUnsupported: bar\r\n\r\n"));
    answer_of_response(msg, &a);
    assert_false(a.outbound);
    assert_true(str_eq_cstr(a.unsupported, "gin, foo"));
    msg_destroy(msg);
    msg = response(VIA, "Require: outbounds\r\nSupported: outbound\r\n");
    answer_of_response(msg, &a);
    assert_false(a.outbound);
    msg_destroy(msg);
}

// What the Via of a response says of us, who sent it from `local`.
static const char *received(const char *via_params, const char *local, bool stream)
{
    static struct buf out;
    char via[256];
    (void)snprintf(via, sizeof(via), "Via: SIP/2.0/UDP %s;branch=z9hG4bKx%s\r\n", local, via_params);
    msg_t *msg = response(via, "");
    assert_non_null(msg);
    buf_clear(&out);
    answer_received(msg, str_of(local), stream, &out);
    msg_destroy(msg);
    return out.n ? out.p : "";
}

static void received_is_told_where_it_is_another_address(void **state)
{
    assert_string_equal(received(";received=203.0.113.7;rport=40000", "192.0.2.1:5080", false),
                        "203.0.113.7:40000");
    assert_string_equal(received(";rport=40000", "192.0.2.1:5080", false), "192.0.2.1:40000");
    assert_string_equal(received(";received=203.0.113.7", "192.0.2.1:5080", false), "203.0.113.7:5080");
    assert_string_equal(received(";received=2001:db8::9;rport=7", "[2001:db8::1]:5080", false),
                        "[2001:db8::9]:7");
    assert_string_equal(received(";received=[2001:db8::9];rport=7", "[2001:db8::1]:5080", false),
                        "[2001:db8::9]:7");
}

static void received_is_empty_where_nothing_differs(void **state)
{
    assert_string_equal(received("", "192.0.2.1:5080", false), "");
    assert_string_equal(received(";rport", "192.0.2.1:5080", false), "");
    assert_string_equal(received(";received=192.0.2.1;rport=5080", "192.0.2.1:5080", false), "");
    assert_string_equal(received(";received=2001:DB8:0::1;rport=5080", "[2001:db8::1]:5080", false), "");
    assert_string_equal(received(";received=192.0.2.1;rport=40000", "192.0.2.1:5080", true), "");
    assert_string_equal(received(";received=203.0.113.7;rport=40000", "192.0.2.1:5080", true),
                        "203.0.113.7:40000");
}

static void a_received_that_is_no_address_is_not_believed(void **state)
{
    assert_string_equal(received(";received=evil.example;rport=7", "192.0.2.1:5080", false), "");
    assert_string_equal(received(";received=203.0.113.7;rport=99999", "192.0.2.1:5080", false), "");
    assert_string_equal(received(";received=203.0.113.7;rport=0", "192.0.2.1:5080", false), "");
}

static int set_up(void **state)
{
    message_library_start();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_via_is_found_by_either_name_and_not_in_the_body),
        cmocka_unit_test(thousands_of_headers_or_elements_are_no_message),
        cmocka_unit_test(half_a_message_is_none),
        cmocka_unit_test(an_unreadable_header_costs_only_itself),
        cmocka_unit_test(numbers_are_clamped_and_never_wrap),
        cmocka_unit_test(lists_beyond_their_bound_are_cut),
        cmocka_unit_test(outbound_counts_where_a_2xx_requires_it),
        cmocka_unit_test(received_is_told_where_it_is_another_address),
        cmocka_unit_test(received_is_empty_where_nothing_differs),
        cmocka_unit_test(a_received_that_is_no_address_is_not_believed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
