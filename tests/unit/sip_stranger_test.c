// What others may send to the port of a SIP thread.
#include "tests/unit/sip_fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
// cmocka needs the headers above it
#include <cmocka.h>

static void ask(struct fixture *f, const char *method, const char *to_tag, const char *lines,
                struct sip_message *ret)
{
    fixture_ask(f, method, to_tag, lines);
    assert_true(sip_peer_receive(&f->peer, ret, PEER_DEADLINE_MS));
}

static void options_is_answered_and_nothing_else_is_served(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    ask(f, "OPTIONS", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    assert_string_equal(sip_header(&m, "Allow"), "OPTIONS");
    assert_string_equal(sip_header(&m, "Accept"), "application/sdp");
    assert_string_equal(sip_header(&m, "Accept-Encoding"), "identity");
    assert_string_equal(sip_header(&m, "Accept-Language"), "en");
    assert_string_equal(sip_header(&m, "Supported"), "path, outbound, gruu");
    assert_non_null(strstr(sip_header(&m, "To"), "tag="));
    assert_non_null(strstr(sip_header(&m, "Via"), ";branch=z9hG4bKOPTIONS;received=127.0.0.1"));
    ask(f, "INVITE", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 405 ", 12);
    assert_string_equal(sip_header(&m, "Allow"), "OPTIONS");
    ask(f, "BYE", ";tag=z", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 481 ", 12);
    ask(f, "REGISTER", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 405 ", 12);
    ask(f, "CANCEL", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 481 ", 12);
    ask(f, "FROB", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 501 ", 12);
    fixture_ask(f, "ACK", "", ""); // never answered (17.1.1.3)
    ask(f, "OPTIONS", ";tag=mine", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    assert_string_equal(sip_header(&m, "To"), "<sip:alice@127.0.0.1>;tag=mine");
    fixture_finish(f);
}

static void rubbish_and_strange_responses_are_discarded(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    sip_peer_send(&f->peer, f->port, "\r\n\r\n");
    sip_peer_send(&f->peer, f->port, "GET / HTTP/1.1\r\n\r\n");
    sip_peer_send(&f->peer, f->port,
                  "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKno\r\n"
                  "From: <sip:x@y>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: no\r\n"
                  "CSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n");
    sip_peer_send(&f->peer, f->port, "SIP/2.0 999999 \r\n:\r\n\r\n");
    sip_peer_send(&f->peer, f->port, "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n");
    static const char stun[28] = {0, 1, 0, 9, 'x'}; // of a wrong length
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(sendto(f->peer.udp, stun, sizeof(stun), 0, (struct sockaddr *)&to, sizeof(to)),
                     sizeof(stun));
    ask(f, "OPTIONS", "", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    struct fake_seen seen;
    fake_seen(&seen);
    assert_int_equal(seen.answer_count, 0);
    fixture_counted(f, offsetof(struct sip_stats, stray), 1);
    fixture_counted(f, offsetof(struct sip_stats, malformed), 1);
    fixture_finish(f);
}

static void a_repeated_request_gets_the_same_tag(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    char to[256];
    ask(f, "OPTIONS", "", "", &m);
    (void)snprintf(to, sizeof(to), "%s", sip_header(&m, "To"));
    ask(f, "OPTIONS", "", "", &m);
    assert_string_equal(sip_header(&m, "To"), to);
    fixture_finish(f);
}

static void an_extension_that_is_required_is_unsupported(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    ask(f, "OPTIONS", "", "Require: path, 100rel\r\n", &m);
    assert_memory_equal(m.text, "SIP/2.0 420 ", 12);
    assert_string_equal(sip_header(&m, "Unsupported"), "100rel");
    ask(f, "OPTIONS", "", "Require: path, Outbound, gruu\r\n", &m); // as its Supported says
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    fixture_finish(f);
}

// RFC 3581 4 and RFC 3261 18.2.2: with rport to where it came from, else to the port of its Via.
static void the_answer_goes_where_the_via_wants_it(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    struct sip_peer other;
    static struct sip_message m;
    char text[1024], expected[64];
    sip_peer_open(&other, false);
    static const char form[] =
        "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP proxy.invalid:%u%s;branch=z9hG4bKv;received=6.6.6.6, "
        "SIP/2.0/UDP second.invalid;branch=z9hG4bKw\r\nv: SIP/2.0/UDP third.invalid\r\n"
        "f: <sip:x@y>;tag=1\r\nt: <sip:a@b>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    (void)snprintf(text, sizeof(text), form, other.port, "");
    sip_peer_send(&f->peer, f->port, text);
    assert_true(sip_peer_receive(&other, &m, PEER_DEADLINE_MS));
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    assert_non_null(strstr(m.text,
                           ";branch=z9hG4bKv;received=127.0.0.1, SIP/2.0/UDP second.invalid;branch=z9hG4bKw"
                           "\r\nVia: SIP/2.0/UDP third.invalid\r\n"));
    (void)snprintf(text, sizeof(text), form, other.port, ";rport");
    sip_peer_send(&f->peer, f->port, text);
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    (void)snprintf(expected, sizeof(expected), ";received=127.0.0.1;rport=%u", f->peer.port);
    assert_non_null(strstr(sip_header(&m, "Via"), expected));
    sip_peer_close(&other);
    fixture_finish(f);
}

static void a_flood_of_requests_starves_no_answer(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){0}, &m);
    for (int i = 0; i < 5000; i++)
        fixture_ask(f, "OPTIONS", "", "");
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(fixture_answer(1).status, 200);
    struct sip_stats stats = sip_thread_sip_stats(f->thread);
    assert_in_range(stats.incoming, 1, 1000); // the rest was not read
    fixture_finish(f);
}

static void a_request_of_hundreds_of_headers_is_not_read(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&text, "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKlong;rport\r\n"
                        "f: <sip:x@y>;tag=1\r\nt: <sip:a@b>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n");
    for (int i = 0; i < 200; i++)
        buf_add_cstr(&text, "k:a\r\n");
    buf_add_cstr(&text, "\r\n");
    sip_peer_send(&f->peer, f->port, text.p);
    ask(f, "OPTIONS", "", "", &m);
    assert_non_null(strstr(sip_header(&m, "Via"), "z9hG4bKOPTIONS")); // that one has no answer
    fixture_counted(f, offsetof(struct sip_stats, malformed), 1);
    fixture_finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_is_answered_and_nothing_else_is_served),
        cmocka_unit_test(rubbish_and_strange_responses_are_discarded),
        cmocka_unit_test(a_repeated_request_gets_the_same_tag),
        cmocka_unit_test(an_extension_that_is_required_is_unsupported),
        cmocka_unit_test(the_answer_goes_where_the_via_wants_it),
        cmocka_unit_test(a_request_of_hundreds_of_headers_is_not_read),
        cmocka_unit_test(a_flood_of_requests_starves_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
