// What a REGISTER looks like, and where it goes to.
#include "services/registrant/sip/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka needs the headers above it
#include <cmocka.h>

#define S(text) STR_LIT(text)

static const struct sip_request plain = {.request_uri = {"sip:example.com", 15},
                                         .to = {"<sip:a@example.com>", 19},
                                         .from = {"<sip:a@example.com>;tag=1", 25},
                                         .call_id = {"c1", 2},
                                         .cseq = 7,
                                         .expires = 60,
                                         .supported = {"path", 4},
                                         .next_hop = {"sip:example.com", 15}};

static int text_of(const struct sip_request *r, const char *local, const char *agent, struct buf *out)
{
    size_t via_at = 0;
    int rc = request_text(r, str_of(local), agent, out, &via_at);
    if (rc == 0)
        assert_memory_equal(out->p + via_at - 2, "\r\n", 2);
    return rc;
}

static void writes_a_register_with_every_part(void **state)
{
    struct str contacts[] = {S("<sip:a@{local}>;q=1"), S("<sip:b@{local};x={local}>")};
    struct str routes[] = {S("<sip:p1;lr>"), S("<sip:p2>")};
    struct str authorizations[] = {S("Authorization: Digest username=\"a\"")};
    struct sip_request r = plain;
    r.contacts = contacts;
    r.contact_count = 2;
    r.routes = routes;
    r.route_count = 2;
    r.authorizations = authorizations;
    r.authorization_count = 1;
    r.supported = S("path, outbound");
    r.require = S("gin");
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&r, "192.0.2.1:5080", "Rollcall/1", &out), 0);
    assert_string_equal(out.p, "REGISTER sip:example.com SIP/2.0\r\n"
                               "Route: <sip:p1;lr>\r\n"
                               "Route: <sip:p2>\r\n"
                               "Max-Forwards: 70\r\n"
                               "From: <sip:a@example.com>;tag=1\r\n"
                               "To: <sip:a@example.com>\r\n"
                               "Call-ID: c1\r\n"
                               "CSeq: 7 REGISTER\r\n"
                               "Contact: <sip:a@192.0.2.1:5080>;q=1\r\n"
                               "Contact: <sip:b@192.0.2.1:5080;x=192.0.2.1:5080>\r\n"
                               "Expires: 60\r\n"
                               "Supported: path, outbound\r\n"
                               "Require: gin\r\n"
                               "Proxy-Require: gin\r\n"
                               "User-Agent: Rollcall/1\r\n"
                               "Authorization: Digest username=\"a\"\r\n"
                               "Content-Length: 0\r\n\r\n");
}

static void a_fetch_has_neither_contact_nor_expires(void **state)
{
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&plain, "", "", &out), 0);
    assert_string_equal(out.p, "REGISTER sip:example.com SIP/2.0\r\n"
                               "Max-Forwards: 70\r\n"
                               "From: <sip:a@example.com>;tag=1\r\n"
                               "To: <sip:a@example.com>\r\n"
                               "Call-ID: c1\r\n"
                               "CSeq: 7 REGISTER\r\n"
                               "Supported: path\r\n"
                               "Content-Length: 0\r\n\r\n");
}

static int hop_of(const struct sip_request *r, struct resolve_query *ret)
{
    struct str name;
    return request_hop(r, ret, &name);
}

static void a_strict_router_takes_the_request_line(void **state)
{
    struct str routes[] = {S("\"P\" <sip:strict.example;x=1?h=1>;y"), S("<sip:p2;lr>")};
    struct sip_request r = plain;
    r.routes = routes;
    r.route_count = 2;
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&r, "", NULL, &out), 0);
    const char *start = "REGISTER sip:strict.example;x=1 SIP/2.0\r\n"
                        "Route: <sip:p2;lr>\r\n"
                        "Route: <sip:example.com>\r\n"
                        "Max-Forwards: 70\r\n";
    assert_memory_equal(out.p, start, strlen(start));
    struct resolve_query q;
    assert_int_equal(hop_of(&r, &q), 0);
    assert_true(str_eq_cstr(q.host, "strict.example"));
}

static void no_part_can_start_another_line(void **state)
{
    static const char *const bad[] = {"x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil", "x\x01"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (int part = 0; part < 10; part++) {
            struct str evil = str_of(bad[i]), good = S("<sip:a@h>");
            struct sip_request r = plain;
            struct str *const texts[] = {&r.request_uri, &r.to,        &r.from,
                                         &r.call_id,     &r.supported, &r.require};
            r.contacts = part == 6 ? &evil : &good;
            r.routes = part == 7 ? &evil : &good;
            r.authorizations = part == 8 ? &evil : &good;
            r.contact_count = r.route_count = r.authorization_count = 1;
            if (part < 6)
                *texts[part] = evil;
            cleanup(buf_done) struct buf out = BUF_INIT;
            assert_int_equal(text_of(&r, "h:1", part == 9 ? bad[i] : "ua", &out), -EINVAL);
        }
    struct sip_request r = plain;
    r.request_uri = S("sip:a SIP/2.0");
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&r, "h:1", NULL, &out), -EINVAL);
}

static void an_address_that_is_not_closed_is_refused(void **state)
{
    static const char *const bad[] = {"<sip:a@h",    "sip:a@h>",          "\"a <sip:a@h>",
                                      "<<sip:a@h>>", "\"a\\\" <sip:a@h>", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str contact = str_of(bad[i]);
        struct sip_request r = plain;
        r.contacts = &contact;
        r.contact_count = 1;
        cleanup(buf_done) struct buf out = BUF_INIT;
        assert_int_equal(text_of(&r, "h:1", NULL, &out), -EINVAL);
        r = plain;
        r.to = contact;
        assert_int_equal(text_of(&r, "h:1", NULL, &out), -EINVAL);
    }
    struct str good = S("\"<\\\"\" <sip:a@h>;x=\">\"");
    struct sip_request r = plain;
    r.contacts = &good;
    r.contact_count = 1;
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&r, "h:1", NULL, &out), 0);
}

static void local_in_a_contact_needs_an_address(void **state)
{
    struct str contact = S("<sip:a@{local}>");
    struct sip_request r = plain;
    r.contacts = &contact;
    r.contact_count = 1;
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(text_of(&r, "", NULL, &out), -EINVAL);
}

static int hop_to(const char *next_hop, enum registration_transport transport, struct resolve_query *ret)
{
    struct sip_request r = plain;
    r.next_hop = str_of(next_hop);
    r.transport = transport;
    return hop_of(&r, ret);
}

static void the_next_hop_decides_host_port_and_transport(void **state)
{
    struct resolve_query q;
    assert_int_equal(hop_to("sip:user:pw@reg.example:5070;x=y", TRANSPORT_TCP, &q), 0);
    assert_true(str_eq_cstr(q.host, "reg.example"));
    assert_int_equal(q.port, 5070);
    assert_int_equal(q.transport, TRANSPORT_TCP);
    assert_true(q.transport_given);
    assert_int_equal(hop_to("sip:reg.example", TRANSPORT_UDP, &q), 0);
    assert_false(q.transport_given); // the model's udp is no choice
    assert_int_equal(hop_to("sip:reg.example;transport=TCP", TRANSPORT_UDP, &q), 0);
    assert_int_equal(q.transport, TRANSPORT_TCP);
    assert_true(q.transport_given);
    assert_int_equal(q.port, 0);
    assert_int_equal(hop_to("sip:reg.example;transport=tls", TRANSPORT_UDP, &q), 0);
    assert_int_equal(q.transport, TRANSPORT_TLS);
    assert_false(q.sips);
    assert_int_equal(hop_to("sip:[2001:db8::1]:5062", TRANSPORT_UDP, &q), 0);
    assert_true(str_eq_cstr(q.host, "2001:db8::1"));
}

static void sips_is_tls_and_nothing_less(void **state)
{
    struct resolve_query q;
    static const char *const good[] = {"sips:reg.example", "sips:reg.example;transport=tcp",
                                       "sips:reg.example;transport=tls"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(hop_to(good[i], TRANSPORT_UDP, &q), 0);
        assert_int_equal(q.transport, TRANSPORT_TLS);
        assert_true(q.sips);
    }
    assert_int_equal(hop_to("sips:reg.example;transport=udp", TRANSPORT_TCP, &q), -EPROTONOSUPPORT);
}

static void an_maddr_is_resolved_and_the_name_stays_the_certificates(void **state)
{
    struct resolve_query q;
    struct str name;
    struct sip_request r = plain;
    r.next_hop = S("sip:reg.example;maddr=192.0.2.9");
    assert_int_equal(request_hop(&r, &q, &name), 0);
    assert_true(str_eq_cstr(q.host, "192.0.2.9"));
    assert_true(str_eq_cstr(name, "reg.example"));
    r.next_hop = S("sip:reg.example;maddr=[2001:db8::9]");
    assert_int_equal(request_hop(&r, &q, &name), 0);
    assert_true(str_eq_cstr(q.host, "2001:db8::9"));
}

static void what_cannot_be_carried_is_refused(void **state)
{
    struct resolve_query q;
    assert_int_equal(hop_to("sip:reg.example", TRANSPORT_WS, &q), -EPROTONOSUPPORT);
    assert_int_equal(hop_to("sip:reg.example;transport=ws", TRANSPORT_UDP, &q), -EPROTONOSUPPORT);
    assert_int_equal(hop_to("sip:reg.example;transport=sctp", TRANSPORT_UDP, &q), -EPROTONOSUPPORT);
    assert_int_equal(hop_to("not a uri", TRANSPORT_UDP, &q), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_register_with_every_part),
        cmocka_unit_test(a_fetch_has_neither_contact_nor_expires),
        cmocka_unit_test(a_strict_router_takes_the_request_line),
        cmocka_unit_test(no_part_can_start_another_line),
        cmocka_unit_test(an_address_that_is_not_closed_is_refused),
        cmocka_unit_test(local_in_a_contact_needs_an_address),
        cmocka_unit_test(the_next_hop_decides_host_port_and_transport),
        cmocka_unit_test(sips_is_tls_and_nothing_less),
        cmocka_unit_test(an_maddr_is_resolved_and_the_name_stays_the_certificates),
        cmocka_unit_test(what_cannot_be_carried_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
