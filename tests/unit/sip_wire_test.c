// REGISTER transactions of a SIP thread against sockets on loopback.
#include "tests/unit/sip_fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka needs the headers above it
#include <cmocka.h>

static void registers_over_udp_with_via_and_rport(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    assert_false(m.over_tcp);
    char expected[128];
    (void)snprintf(expected, sizeof(expected), "SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bK", f->port);
    assert_memory_equal(sip_header(&m, "Via"), expected, strlen(expected));
    assert_memory_equal(m.text, "REGISTER sip:example.com SIP/2.0\r\n", 34);
    (void)snprintf(expected, sizeof(expected), "<sip:alice@127.0.0.1:%u>", f->port);
    assert_string_equal(sip_header(&m, "Contact"), expected);
    assert_string_equal(sip_header(&m, "Call-ID"), "call-1");
    assert_string_equal(sip_header(&m, "CSeq"), "1 REGISTER");
    assert_string_equal(sip_header(&m, "Max-Forwards"), "70");
    assert_string_equal(sip_header(&m, "Expires"), "300");
    assert_string_equal(sip_header(&m, "Content-Length"), "0");
    assert_int_equal(sip_header_count(&m, "Via"), 1);
    assert_int_equal(sip_header_count(&m, "Route"), 0);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    struct fake_seen seen = fixture_answers(1);
    assert_int_equal(seen.answers[0].status, 200);
    assert_int_equal(seen.answers[0].token, 1);
    assert_false(seen.answers[0].local);
    (void)snprintf(expected, sizeof(expected), "udp:127.0.0.1:%u", f->peer.port);
    assert_string_equal(seen.answers[0].target, expected);
    (void)snprintf(expected, sizeof(expected), "udp:127.0.0.1:%u", f->port);
    assert_string_equal(seen.answers[0].local_address, expected);
    fixture_finish(f);
}

static void registers_over_tcp(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        fixture_wish_sent(f, (struct wish){.transport = TRANSPORT_TCP}, &m);
        assert_true(m.over_tcp);
        assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/TCP 127.0.0.1:", 22);
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        struct fake_seen seen = fixture_answers(i);
        assert_int_equal(seen.answers[i - 1].status, 200);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "tcp:127.0.0.1:%u", f->peer.port);
        assert_string_equal(seen.answers[i - 1].target, expected);
    }
    fixture_finish(f);
}

static void an_answer_is_read_as_it_was_sent(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    sip_peer_answer(&f->peer, &m, "200 All Right",
                    "Contact: \"A, B\" <sip:%41lice@127.0.0.1:1;x=y>;Expires=59;q=0.5 , <sip:b@h>\r\n"
                    "m: <tel:+1234>;expires=junk\r\n"
                    "Contact: sip:c@h;expires=7\r\n"
                    "Expires: 120\r\n"
                    "Service-Route: <sip:s1;lr>, <sip:s2;lr>\r\n"
                    "Service-Route: <sip:s3;lr>\r\n"
                    "Path: <sip:edge;lr>\r\n"
                    "P-Associated-URI: <tel:+1>,\r\n <sip:x@h>\r\n"
                    "Warning: 399 reg.example \"Odd\"\r\n"
                    "Authentication-Info: qop=auth, nextnonce=\"n+/=2\", rspauth=\"x\"\r\n");
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.reason, "All Right");
    assert_int_equal(a.contact_count, 4);
    assert_string_equal(a.contacts[0], "\"A, B\" <sip:%41lice@127.0.0.1:1;x=y>;Expires=59;q=0.5");
    assert_int_equal(a.contact_expires[0], 59);
    assert_string_equal(a.contacts[1], "<sip:b@h>");
    assert_int_equal(a.contact_expires[1], -1);
    assert_string_equal(a.contacts[2], "<tel:+1234>;expires=junk");
    assert_int_equal(a.contact_expires[2], 3600); // malformed: RFC 3261 10.2.1.1
    assert_string_equal(a.contacts[3], "sip:c@h;expires=7");
    assert_int_equal(a.contact_expires[3], 7);
    assert_int_equal(a.expires_s, 120);
    assert_int_equal(a.retry_after_s, -1);
    assert_int_equal(a.min_expires_s, -1);
    assert_int_equal(a.service_route_count, 3);
    assert_string_equal(a.service_routes[1], "<sip:s2;lr>");
    assert_string_equal(a.service_routes[2], "<sip:s3;lr>");
    assert_int_equal(a.path_count, 1);
    assert_string_equal(a.paths[0], "<sip:edge;lr>");
    assert_int_equal(a.associated_count, 2);
    assert_string_equal(a.associated[1], "<sip:x@h>");
    assert_string_equal(a.warning, "399 reg.example \"Odd\"");
    assert_string_equal(a.nextnonce, "n+/=2");
    fixture_finish(f);
}

static void challenges_come_in_order_and_unchanged(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(
        f, (struct wish){.authorization = "Authorization: Digest username=\"u, v\", response=\"0\""}, &m);
    assert_int_equal(sip_header_count(&m, "Authorization"), 0);
    sip_peer_answer(&f->peer, &m, "401 Unauthorized",
                    "WWW-Authenticate: Digest realm=\"a\\\"b\",  nonce=\"1,2\",qop=\"auth,auth-int\", "
                    "algorithm=SHA-256\r\n"
                    "Proxy-Authenticate: Digest realm=\"p\", nonce=\"3\"\r\n"
                    "WWW-Authenticate: Digest realm=\"a\\\"b\", nonce=\"4\",\r\n\talgorithm=MD5\r\n"
                    "Min-Expires: 90\r\nRetry-After: 12 (soon);duration=5\r\n");
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    assert_string_equal(sip_header(&m, "Authorization"), "Digest username=\"u, v\", response=\"0\"");
    assert_string_equal(sip_header(&m, "CSeq"), "2 REGISTER");
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    struct fake_answer a = fixture_answers(2).answers[0];
    assert_int_equal(a.status, 401);
    assert_int_equal(a.challenge_count, 3);
    assert_string_equal(a.challenges[0],
                        "Digest realm=\"a\\\"b\",  nonce=\"1,2\",qop=\"auth,auth-int\", algorithm=SHA-256");
    assert_false(a.challenge_is_proxy[0]);
    assert_string_equal(a.challenges[1], "Digest realm=\"p\", nonce=\"3\"");
    assert_true(a.challenge_is_proxy[1]);
    assert_string_equal(a.challenges[2], "Digest realm=\"a\\\"b\", nonce=\"4\",  \talgorithm=MD5");
    assert_int_equal(a.min_expires_s, 90);
    assert_int_equal(a.retry_after_s, 12);
    fixture_finish(f);
}

static void a_provisional_answer_is_no_answer(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    sip_peer_answer(&f->peer, &m, "100 Trying", "");
    sip_peer_answer(&f->peer, &m, "183 Wait", "");
    sip_peer_answer(&f->peer, &m, "403 Forbidden", "");
    struct fake_seen seen = fixture_answers(1);
    assert_int_equal(seen.answers[0].status, 403);
    sip_peer_answer(&f->peer, &m, "403 Forbidden", ""); // a duplicate
    fixture_wish_sent(f, (struct wish){0}, &m);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    seen = fixture_answers(2);
    assert_int_equal(seen.answer_count, 2);
    assert_int_equal(seen.answers[1].status, 200);
    fixture_finish(f);
}

static void silence_is_a_408_of_our_own_after_timer_f(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    uint64_t start_us = clock_monotonic_us();
    fixture_wish(f, (struct wish){0});
    struct fake_answer a = fixture_answer(1);
    uint64_t took_us = clock_monotonic_us() - start_us;
    assert_int_equal(a.status, 408);
    assert_true(a.local);
    assert_true(took_us > 1900000 && took_us < 4000000);
    size_t copies = 0;
    while (sip_peer_receive(&f->peer, &m, 1))
        copies++;
    assert_true(copies >= 2); // it was repeated (timer E)
    fixture_finish(f);
}

static void a_closed_port_is_a_503_of_our_own_at_once(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    struct sip_peer other;
    sip_peer_open(&other, true);
    sip_peer_close(&other);
    char hop[64];
    (void)snprintf(hop, sizeof(hop), "sip:127.0.0.1:%u", other.port);
    uint64_t start_us = clock_monotonic_us();
    fixture_wish(f, (struct wish){.registrar = hop});
    fixture_wish(f, (struct wish){.registrar = hop, .transport = TRANSPORT_TCP});
    struct fake_seen seen = fixture_answers(2);
    assert_true(clock_monotonic_us() - start_us < 1000000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen.answers[i].status, 503);
        assert_true(seen.answers[i].local);
    }
    fixture_finish(f);
}

static char *long_contact(void)
{
    struct buf b = BUF_INIT;
    buf_add_cstr(&b, "<sip:alice@{local};x=");
    for (int i = 0; i < 1400; i++)
        buf_add_char(&b, 'x');
    buf_add_char(&b, '>');
    return buf_steal(&b);
}

static void a_request_too_large_for_a_datagram_goes_over_tcp(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    cleanup(mem_free_cstr) char *contact = long_contact();
    fixture_wish_sent(f, (struct wish){.contact = contact}, &m);
    assert_true(m.over_tcp);
    assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/TCP ", 12);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(fixture_answer(1).status, 200);
    assert_false(sip_peer_receive(&f->peer, &m, 200)); // and nothing by datagram
    fixture_finish(f);
}

static void and_by_datagram_all_the_same_where_tcp_is_refused(void **state)
{
    struct fixture *f = fixture_start(false, (struct sip_thread_params){0});
    static struct sip_message m;
    cleanup(mem_free_cstr) char *contact = long_contact();
    fixture_wish_sent(f, (struct wish){.contact = contact}, &m);
    assert_false(m.over_tcp);
    assert_true(m.bytes > 1400);
    assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/UDP ", 12);
    assert_int_equal(sip_header_count(&m, "Via"), 1);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    struct fake_seen seen = fixture_answers(1);
    assert_int_equal(seen.answer_count, 1);
    assert_int_equal(seen.answers[0].status, 200);
    assert_memory_equal(seen.answers[0].target, "udp:", 4);
    fixture_finish(f);
}

// Whoever is behind a registrar sees the branch of what it passes on, but has not its connection.
static void an_answer_by_another_way_than_the_requests_is_for_nobody(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){.transport = TRANSPORT_TCP}, &m);
    f->peer.from = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    m.over_tcp = false;
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    fixture_counted(f, offsetof(struct sip_stats, stray), 1);
    m.over_tcp = true;
    sip_peer_answer(&f->peer, &m, "404 Not Found", "");
    assert_int_equal(fixture_answer(1).status, 404);
    fixture_finish(f);
}

static bool five_sent(const struct fake_seen *s)
{
    return s->sent_count == 5;
}

// Five REGISTERs wait for their answers when the connection goes, with a reset or an orderly close.
static void lose_connection(bool orderly)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (int i = 0; i < 5; i++)
        fixture_wish(f, (struct wish){.transport = TRANSPORT_TCP});
    (void)fixture_until(five_sent);
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    struct linger reset = {.l_onoff = 1};
    if (orderly) // what was read is no cause for a reset
        while (recv(f->peer.stream, m.text, sizeof(m.text), MSG_DONTWAIT) > 0)
            ;
    else
        assert_int_equal(setsockopt(f->peer.stream, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    uint64_t closed_us = clock_monotonic_us();
    (void)close(f->peer.stream);
    f->peer.stream = -1;
    struct fake_seen seen = fixture_answers(5);
    assert_true(clock_monotonic_us() - closed_us < 1000000);
    for (size_t i = 0; i < 5; i++) {
        assert_true(seen.answers[i].local);
        assert_int_equal(seen.answers[i].status, 503);
    }
    fixture_finish(f);
}

static void a_reset_connection_answers_all_that_wait_on_it(void **state)
{
    lose_connection(false);
}

static void a_closed_connection_answers_all_that_wait_on_it(void **state)
{
    lose_connection(true);
}

static void a_connection_that_the_registrar_closed_is_opened_again(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        fixture_wish_sent(f, (struct wish){.transport = TRANSPORT_TCP}, &m);
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        assert_int_equal(fixture_answer(i).status, 200);
        (void)shutdown(f->peer.stream, SHUT_WR);
        char byte;
        assert_int_equal(recv(f->peer.stream, &byte, 1, 0), 0); // it closed its side, too
        (void)close(f->peer.stream);
        f->peer.stream = -1;
    }
    fixture_finish(f);
}

static bool one_refused(const struct fake_seen *s)
{
    return s->refused_count == 1;
}

static void an_unknown_interface_cannot_be_sent_from(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    fixture_wish(f, (struct wish){.interface = "eth7"});
    assert_int_equal(fixture_until(one_refused).last_send_rc, -EADDRNOTAVAIL);
    fixture_finish(f);
}

static void a_contact_that_nobody_can_read_is_refused(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    fixture_wish(f, (struct wish){.contact = "<sip:a@h"});
    assert_int_equal(fixture_until(one_refused).last_send_rc, -EINVAL);
    fixture_finish(f);
}

static void websocket_is_no_transport(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    fixture_wish(f, (struct wish){.transport = TRANSPORT_WS});
    assert_int_equal(fixture_until(one_refused).last_send_rc, -EPROTONOSUPPORT);
    fixture_finish(f);
}

static void a_named_interface_is_sent_from(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.interfaces = "second=127.0.0.2"});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){.interface = "second"}, &m);
    assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/UDP 127.0.0.2:", 22);
    assert_memory_equal(sip_header(&m, "Contact"), "<sip:alice@127.0.0.2:", 21);
    assert_int_equal(ntohl(f->peer.from.sin_addr.s_addr), INADDR_LOOPBACK + 1);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_memory_equal(fixture_answer(1).local_address, "udp:127.0.0.2:", 14);
    fixture_finish(f);
}

static void rubbish_where_tls_should_be_is_a_503_with_its_cause(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.policy.transaction_timeout_s = 30});
    fixture_wish(f, (struct wish){.transport = TRANSPORT_TLS});
    struct pollfd fd = {.fd = f->peer.listener, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PEER_DEADLINE_MS), 1);
    f->peer.stream = accept(f->peer.listener, NULL, NULL);
    assert_int_equal(send(f->peer.stream, "SIP/2.0 200 OK\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 503);
    assert_true(a.local);
    assert_true(strlen(a.reason) > 5);
    assert_memory_equal(a.target, "tls:127.0.0.1:", 14);
    fixture_finish(f);
}

static void what_the_registrar_saw_of_us_is_told(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    char *rport = strstr(m.text, ";rport"), tail[4096];
    (void)snprintf(tail, sizeof(tail), ";rport=40000;received=203.0.113.7%s", rport + 6);
    (void)snprintf(rport, sizeof(m.text) - (size_t)(rport - m.text), "%s", tail);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_string_equal(fixture_answer(1).received, "203.0.113.7:40000");
    fixture_finish(f);
}

// ---- answers that are none

// Sends the answer to m with `from` in it replaced by `to`.
static void answer_with(struct fixture *f, const struct sip_message *m, const char *from, const char *to)
{
    char text[4096], out[4096];
    (void)snprintf(text, sizeof(text),
                   "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n"
                   "Call-ID: call-1\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n",
                   sip_header(m, "Via"));
    const char *at = strstr(text, from);
    assert_non_null(at);
    (void)snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    sip_peer_send(&f->peer, f->port, out);
}

static void an_answer_that_is_not_quite_ours_changes_nothing(void **state)
{
    static const char *const changes[][2] = {
        {"CSeq: 1 REGISTER", "CSeq: 1 OPTIONS"},
        {"From:", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKz\r\nFrom:"},
        {";branch=", ";brunch="},
        {"127.0.0.1", "127.0.0.2"}, // the Via's sent-by
        {"z9hG4bK", "other;x=z9hG4bK"},
        {"From: <sip:a@h>;tag=1\r\n", ""},
        {"To: <sip:a@h>;tag=2", "To: <<<"},
        {"Call-ID: call-1\r\n", ""},
        {"CSeq: 1 REGISTER", "CSeq: 4294967296000 REGISTER"},
        {"Content-Length: 0", "Content-Length: 10"},
        {"Content-Length: 0", "Content-Length: x"},
        {"SIP/2.0 200 OK", "SIP/2.0 20 OK"},
        {"SIP/2.0 200 OK", "SIP/2.0 OK"},
        {"SIP/2.0 200 OK", "SIP/7.0 200 OK"},
    };
    static const char *const strays[][2] = {{"z9hG4bK", "z9hG4bL"}, {"z9hG4bK0", "z9hG4bK1"}};
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.policy.transaction_timeout_s = 30});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        answer_with(f, &m, changes[i][0], changes[i][1]);
        fixture_counted(f, offsetof(struct sip_stats, malformed), i + 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
        answer_with(f, &m, strays[i][0], strays[i][1]);
        fixture_counted(f, offsetof(struct sip_stats, stray), i + 1);
    }
    struct fake_seen seen;
    fake_seen(&seen);
    assert_int_equal(seen.answer_count, 0);
    answer_with(f, &m, "200 OK", "200 OK");
    assert_int_equal(fixture_answer(1).status, 200);
    answer_with(f, &m, "200 OK", "200 OK"); // once more: nobody waits for it
    fixture_counted(f, offsetof(struct sip_stats, stray), ARRAY_LEN(strays) + 1);
    fixture_finish(f);
}

static void unreadable_answers_are_read_so_many_times_at_most(void **state)
{
    enum { READ = 32, MORE = 8 };
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.policy.transaction_timeout_s = 30});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    for (size_t i = 0; i < READ + MORE; i++)
        answer_with(f, &m, "Content-Length: 0", "Content-Length: x");
    fixture_counted(f, offsetof(struct sip_stats, malformed), READ);
    fixture_counted(f, offsetof(struct sip_stats, stray), MORE);
    fixture_finish(f);
}

static void of_provisional_answers_the_first_is_read(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.policy.transaction_timeout_s = 30});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    sip_peer_answer(&f->peer, &m, "100 Trying", "");
    sip_peer_answer(&f->peer, &m, "183 Still", "CSeq: 2 REGISTER\r\n"); // unreadable
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(fixture_answer(1).status, 200);
    assert_int_equal(sip_thread_sip_stats(f->thread).malformed, 0);
    fixture_finish(f);
}

// ---- flows

static bool one_flow_lost(const struct fake_seen *s)
{
    return s->flow_lost_count == 1;
}

static void an_answer_names_its_flow_and_the_engine_is_told_when_it_is_lost(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){.transport = TRANSPORT_TCP}, &m);
    sip_peer_answer(&f->peer, &m, "200 OK", "Require: outbound\r\nFlow-Timer: 120\r\n");
    struct fake_answer a = fixture_answer(1);
    assert_true(a.flow != 0);
    assert_true(a.outbound);
    assert_int_equal(a.flow_timer_s, 120);
    struct fake_seen seen;
    fake_seen(&seen);
    assert_int_equal(seen.kept_alive, a.flow);
    (void)close(f->peer.stream);
    f->peer.stream = -1;
    assert_int_equal(fixture_until(one_flow_lost).flow_lost, a.flow);
    fixture_finish(f);
}

static void a_kept_alive_udp_flow_has_a_number_of_its_own(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    sip_peer_answer(&f->peer, &m, "200 OK", "Require: outbound\r\n");
    assert_int_equal(fixture_answer(1).flow, 0);
    struct fake_seen seen;
    fake_seen(&seen);
    assert_true(seen.kept_alive != 0);
    fixture_finish(f);
}

// ---- cost

#define DEAD 1000

static bool all_timed_out(const struct fake_seen *s)
{
    return s->answer_count == DEAD;
}

// What the thread shows once it has shown that nothing is under way: a little after it has told of the last.
static struct sip_stats stats_at_rest(const struct fixture *f)
{
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000;
    struct sip_stats stats = sip_thread_sip_stats(f->thread);
    while (stats.transactions && clock_monotonic_us() < by_us) {
        (void)poll(NULL, 0, 1);
        stats = sip_thread_sip_stats(f->thread);
    }
    return stats;
}

static void a_silent_registrar_with_a_thousand_under_way_costs_next_to_nothing(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.policy.transaction_timeout_s = 2});
    struct fake_seen before;
    for (int i = 0; i < DEAD; i++)
        fixture_wish(f, (struct wish){0});
    fixture_counted(f, offsetof(struct sip_stats, transactions), DEAD);
    fake_seen(&before);
    struct fake_seen after = fixture_until(all_timed_out);
    struct sip_stats stats = stats_at_rest(f);
    assert_int_equal(stats.retransmissions, 2 * DEAD);
    assert_int_equal(stats.transactions, 0);
    print_message("1000 repeated twice and given up in 2 s: %.1f ms of CPU\n",
                  (after.cpu_s - before.cpu_s) * 1e3);
    assert_true(after.cpu_s - before.cpu_s < 0.3);
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_over_udp_with_via_and_rport),
        cmocka_unit_test(registers_over_tcp),
        cmocka_unit_test(an_answer_is_read_as_it_was_sent),
        cmocka_unit_test(challenges_come_in_order_and_unchanged),
        cmocka_unit_test(a_provisional_answer_is_no_answer),
        cmocka_unit_test(silence_is_a_408_of_our_own_after_timer_f),
        cmocka_unit_test(a_closed_port_is_a_503_of_our_own_at_once),
        cmocka_unit_test(a_request_too_large_for_a_datagram_goes_over_tcp),
        cmocka_unit_test(and_by_datagram_all_the_same_where_tcp_is_refused),
        cmocka_unit_test(an_answer_by_another_way_than_the_requests_is_for_nobody),
        cmocka_unit_test(a_reset_connection_answers_all_that_wait_on_it),
        cmocka_unit_test(a_closed_connection_answers_all_that_wait_on_it),
        cmocka_unit_test(a_connection_that_the_registrar_closed_is_opened_again),
        cmocka_unit_test(an_unknown_interface_cannot_be_sent_from),
        cmocka_unit_test(a_contact_that_nobody_can_read_is_refused),
        cmocka_unit_test(websocket_is_no_transport),
        cmocka_unit_test(a_named_interface_is_sent_from),
        cmocka_unit_test(rubbish_where_tls_should_be_is_a_503_with_its_cause),
        cmocka_unit_test(what_the_registrar_saw_of_us_is_told),
        cmocka_unit_test(an_answer_that_is_not_quite_ours_changes_nothing),
        cmocka_unit_test(unreadable_answers_are_read_so_many_times_at_most),
        cmocka_unit_test(of_provisional_answers_the_first_is_read),
        cmocka_unit_test(an_answer_names_its_flow_and_the_engine_is_told_when_it_is_lost),
        cmocka_unit_test(a_kept_alive_udp_flow_has_a_number_of_its_own),
        cmocka_unit_test(a_silent_registrar_with_a_thousand_under_way_costs_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
