// services/registrant/sip against sockets on loopback, with an engine of a few lines in place of the real
// one.
#include "services/registrant/sip/sip_thread.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/registrant/sip/agent.h"
#include "services/registrant/sip/hosts.h"
#include "services/registrant/sip/outbox.h"
#include "services/registrant/sip/request.h"
#include "tests/unit/dns_peer.h"
#include "tests/unit/fake_engine.h"
#include "tests/unit/sip_peer.h"

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

#define S(text) STR_LIT(text)

// ---- request text

static const struct sip_request plain = {.request_uri = {"sip:example.com", 15},
                                         .to = {"<sip:a@example.com>", 19},
                                         .from = {"<sip:a@example.com>;tag=1", 25},
                                         .call_id = {"c1", 2},
                                         .cseq = 7,
                                         .expires = 60,
                                         .next_hop = {"sip:example.com", 15}};

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
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(request_text(&r, S("192.0.2.1:5080"), "Rollcall/1", &out), 0);
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
                               "Supported: path\r\n"
                               "User-Agent: Rollcall/1\r\n"
                               "Authorization: Digest username=\"a\"\r\n"
                               "Content-Length: 0\r\n\r\n");
}

static void a_strict_router_takes_the_request_line(void **state)
{
    struct str routes[] = {S("\"P\" <sip:strict.example;x=1?h=1>;y"), S("<sip:p2;lr>")};
    struct sip_request r = plain;
    r.routes = routes;
    r.route_count = 2;
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(request_text(&r, S(""), NULL, &out), 0);
    const char *start = "REGISTER sip:strict.example;x=1 SIP/2.0\r\n"
                        "Route: <sip:p2;lr>\r\n"
                        "Route: <sip:example.com>\r\n"
                        "Max-Forwards: 70\r\n";
    assert_memory_equal(out.p, start, strlen(start));
    struct request_target to;
    assert_int_equal(request_target(&r, &to), 0);
    assert_true(str_eq_cstr(to.host, "strict.example"));
}

static void no_part_can_start_another_line(void **state)
{
    static const char *const bad[] = {"x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil", "x\x01"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (int part = 0; part < 8; part++) {
            struct str evil = str_of(bad[i]), good = S("<sip:a@h>");
            struct sip_request r = plain;
            r.contacts = part == 4 ? &evil : &good;
            r.routes = part == 5 ? &evil : &good;
            r.authorizations = part == 6 ? &evil : &good;
            r.contact_count = r.route_count = r.authorization_count = 1;
            *(part == 0   ? &r.request_uri
              : part == 1 ? &r.to
              : part == 2 ? &r.from
              : part == 3 ? &r.call_id
                          : &r.interface) = evil;
            const char *agent = part == 7 ? bad[i] : "ua";
            cleanup(buf_done) struct buf out = BUF_INIT;
            assert_int_equal(request_text(&r, S("h:1"), agent, &out), -EINVAL);
        }
    struct sip_request r = plain;
    r.request_uri = S("sip:a SIP/2.0");
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(request_text(&r, S("h:1"), NULL, &out), -EINVAL);
}

static void local_in_a_contact_needs_an_address(void **state)
{
    struct str contact = S("<sip:a@{local}>");
    struct sip_request r = plain;
    r.contacts = &contact;
    r.contact_count = 1;
    cleanup(buf_done) struct buf out = BUF_INIT;
    assert_int_equal(request_text(&r, STR_NONE, NULL, &out), -EINVAL);
}

static int target_of(const char *next_hop, enum registration_transport transport, struct request_target *ret)
{
    struct sip_request r = plain;
    r.next_hop = str_of(next_hop);
    r.transport = transport;
    return request_target(&r, ret);
}

static void the_next_hop_decides_host_port_and_transport(void **state)
{
    struct request_target to;
    assert_int_equal(target_of("sip:user:pw@reg.example:5070;x=y", TRANSPORT_TCP, &to), 0);
    assert_true(str_eq_cstr(to.host, "reg.example"));
    assert_true(str_eq_cstr(to.port_text, "5070"));
    assert_string_equal(to.transport, "tcp");
    assert_int_equal(target_of("sip:reg.example;transport=TCP", TRANSPORT_UDP, &to), 0);
    assert_string_equal(to.transport, "tcp");
    assert_int_equal(to.port_text.n, 0);
    assert_int_equal(target_of("sip:reg.example;maddr=192.0.2.9", TRANSPORT_UDP, &to), 0);
    assert_true(str_eq_cstr(to.host, "192.0.2.9"));
    assert_int_equal(target_of("sip:[2001:db8::1]:5062", TRANSPORT_UDP, &to), 0);
    assert_true(to.ipv6 && str_eq_cstr(to.host, "2001:db8::1"));
}

static void what_cannot_be_carried_is_refused(void **state)
{
    struct request_target to;
    assert_int_equal(target_of("sips:reg.example", TRANSPORT_TCP, &to), -EPROTONOSUPPORT);
    assert_int_equal(target_of("sip:reg.example", TRANSPORT_TLS, &to), -EPROTONOSUPPORT);
    assert_int_equal(target_of("sip:reg.example", TRANSPORT_WS, &to), -EPROTONOSUPPORT);
    assert_int_equal(target_of("sip:reg.example;transport=sctp", TRANSPORT_UDP, &to), -EPROTONOSUPPORT);
    assert_int_equal(target_of("not a uri", TRANSPORT_UDP, &to), -EINVAL);
}

// ---- hosts

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void hosts_gives_the_first_address_of_the_family(void **state)
{
    char path[] = "/tmp/rollcall-hosts-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    write_file(path, "# comment\n127.0.0.1 localhost  Alias\t# more\n::1 localhost\n10.0.0.2 alias\n"
                     "not-an-address broken\n10.0.0.3 local\n");
    struct hosts *h = hosts_new(path);
    assert_string_equal(hosts_address(h, S("localhost"), AF_INET, 1), "127.0.0.1");
    assert_string_equal(hosts_address(h, S("LOCALHOST."), AF_INET6, 1), "::1");
    assert_string_equal(hosts_address(h, S("alias"), AF_INET, 1), "127.0.0.1");
    assert_string_equal(hosts_address(h, S("local"), AF_INET, 1), "10.0.0.3");
    assert_null(hosts_address(h, S("local"), AF_INET6, 1));
    assert_null(hosts_address(h, S("broken"), AF_INET, 1));
    assert_null(hosts_address(h, S("localhos"), AF_INET, 1));
    assert_null(hosts_address(h, S("localhostx"), AF_INET, 1));
    assert_null(hosts_address(h, S(""), AF_INET, 1));

    write_file(path, "10.9.9.9 localhost\n");
    assert_string_equal(hosts_address(h, S("localhost"), AF_INET, 500000), "127.0.0.1"); // not looked yet
    assert_string_equal(hosts_address(h, S("localhost"), AF_INET, 2000000), "10.9.9.9");
    (void)unlink(path);
    assert_null(hosts_address(h, S("localhost"), AF_INET, 4000000));
    hosts_free(h);
}

// ---- outbox

static struct sip_notice *report(void)
{
    struct sip_notice *n = mem_alloc(sizeof(*n));
    n->kind = SIP_REPORT;
    return n;
}

static void a_full_outbox_holds_credits_back_and_drops_nothing(void **state)
{
    struct outbox *o = outbox_new(4);
    assert_int_equal(outbox_credit(o, 10), 4);
    assert_true(outbox_is_blocked(o)); // six are held
    assert_int_equal(outbox_credit(o, 0), 0);
    for (int i = 0; i < 4; i++)
        outbox_put(o, report());
    struct sip_notice *closed = report();
    closed->kind = SIP_CLOSED; // needs no credit: waits
    outbox_put(o, closed);
    assert_int_equal(outbox_credit(o, 0), 0);

    struct sip_notice *got[8];
    assert_int_equal(outbox_take(o, got, 3), 3);
    for (int i = 0; i < 3; i++)
        sip_notice_free(got[i]);
    assert_true(outbox_is_blocked(o));
    assert_int_equal(outbox_credit(o, 0), 2); // four places, two taken
    assert_int_equal(outbox_take(o, got, 8), 2);
    assert_int_equal(got[1]->kind, SIP_CLOSED);
    sip_notice_free(got[0]);
    sip_notice_free(got[1]);
    assert_int_equal(outbox_credit(o, 0), 2);
    assert_int_equal(outbox_credit(o, 0), 0);
    outbox_free(o);
}

// ---- the thread

struct fixture {
    struct sip_thread *thread;
    struct sip_peer peer;
    uint16_t port; // of the thread
    uint64_t next_id;
};

static struct fixture *start(bool with_tcp, struct sip_thread_params p)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct error err = {0};
    fake_reset();
    sip_peer_open(&f->peer, with_tcp);
    if (!p.listen)
        p.listen = "127.0.0.1";
    if (!p.policy.transaction_timeout_s) {
        p.policy = engine_policy_default();
        p.policy.transaction_timeout_s = 2;
    }
    if (sip_thread_start(&p, &f->thread, &err) != 0)
        fail_msg("%s", err.text);
    f->port = (uint16_t)atoi(strrchr(sip_thread_listens_on(f->thread), ':') + 1);
    f->next_id = 1;
    return f;
}

static void post(struct fixture *f, struct sip_command *c)
{
    while (sip_thread_post(f->thread, c) == -EAGAIN)
        (void)poll(NULL, 0, 1);
}

static void finish(struct fixture *f)
{
    post(f, sip_command_new(SIP_STOP, 0));
    for (bool stopped = false; !stopped;) {
        struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
        assert_true(poll(&fd, 1, PEER_DEADLINE_MS) > 0);
        struct sip_notice *n;
        while (sip_thread_notices(f->thread, &n, 1)) {
            stopped |= n->kind == SIP_STOPPED;
            sip_notice_free(n);
        }
    }
    sip_thread_join(f->thread);
    sip_peer_close(&f->peer);
    free(f);
}

// Wants a registration kept at `registrar`, else at the peer under the name `host`, else under its address.
struct wish {
    const char *registrar, *host, *contact, *authorization, *interface;
    enum registration_transport transport;
};

static void wish(struct fixture *f, struct wish w)
{
    char hop[256];
    struct sip_command *c = sip_command_new(SIP_DESIRED, 0);
    if (w.registrar)
        (void)snprintf(hop, sizeof(hop), "%s", w.registrar);
    else
        (void)snprintf(hop, sizeof(hop), "sip:someone@%s:%u", w.host ? w.host : "127.0.0.1", f->peer.port);
    registration_init(&c->reg);
    c->has_reg = true;
    c->reg.id = f->next_id++;
    c->reg.domain = mem_dup_cstr("example.com");
    c->reg.username = mem_dup_cstr("alice");
    c->reg.registrar = mem_dup_cstr(hop);
    c->reg.transport = w.transport;
    c->reg.name = mem_dup_cstr(w.authorization);
    c->reg.interface = mem_dup_cstr(w.interface);
    c->reg.contacts[0].uri = mem_dup_cstr(w.contact ? w.contact : "<sip:alice@{local}>");
    c->reg.contact_count = 1;
    post(f, c);
}

// Waits until the engine was told of that many answers.
static struct fake_seen answers(size_t count)
{
    struct fake_seen seen;
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000;
    do {
        fake_seen(&seen);
        if (seen.answer_count >= count)
            return seen;
        (void)poll(NULL, 0, 1);
    } while (clock_monotonic_us() < by_us);
    fail_msg("%zu of %zu answers came", seen.answer_count, count);
    return seen;
}

static struct fake_seen until(bool (*holds)(const struct fake_seen *s))
{
    struct fake_seen seen;
    uint64_t by_us = clock_monotonic_us() + PEER_DEADLINE_MS * 1000;
    do {
        fake_seen(&seen);
        if (holds(&seen))
            return seen;
        (void)poll(NULL, 0, 1);
    } while (clock_monotonic_us() < by_us);
    fail_msg("what was waited for did not come");
    return seen;
}

static void registers_over_udp_with_via_and_rport(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    wish(f, (struct wish){0});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
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
    struct fake_seen seen = answers(1);
    assert_int_equal(seen.answers[0].status, 200);
    assert_int_equal(seen.answers[0].token, 1);
    assert_false(seen.answers[0].local);
    (void)snprintf(expected, sizeof(expected), "udp:127.0.0.1:%u", f->peer.port);
    assert_string_equal(seen.answers[0].target, expected);
    (void)snprintf(expected, sizeof(expected), "udp:127.0.0.1:%u", f->port);
    assert_string_equal(seen.answers[0].local_address, expected);
    finish(f);
}

static void registers_over_tcp(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        wish(f, (struct wish){.transport = TRANSPORT_TCP});
        assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
        assert_true(m.over_tcp);
        assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/TCP 127.0.0.1:", 22);
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        struct fake_seen seen = answers(i);
        assert_int_equal(seen.answers[i - 1].status, 200);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "tcp:127.0.0.1:%u", f->peer.port);
        assert_string_equal(seen.answers[i - 1].target, expected);
    }
    finish(f);
}

static void an_answer_is_read_as_it_was_sent(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    wish(f, (struct wish){0});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
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
    struct fake_answer a = answers(1).answers[0];
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
    finish(f);
}

static void challenges_come_in_order_and_unchanged(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    wish(f, (struct wish){.authorization = "Authorization: Digest username=\"u, v\", response=\"0\""});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
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
    struct fake_answer a = answers(2).answers[0];
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
    finish(f);
}

static void a_provisional_answer_is_no_answer(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    wish(f, (struct wish){0});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    sip_peer_answer(&f->peer, &m, "100 Trying", "");
    sip_peer_answer(&f->peer, &m, "183 Wait", "");
    sip_peer_answer(&f->peer, &m, "403 Forbidden", "");
    struct fake_seen seen = answers(1);
    assert_int_equal(seen.answers[0].status, 403);
    sip_peer_answer(&f->peer, &m, "403 Forbidden", ""); // a duplicate
    wish(f, (struct wish){0});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    seen = answers(2);
    assert_int_equal(seen.answer_count, 2);
    assert_int_equal(seen.answers[1].status, 200);
    finish(f);
}

static void silence_is_a_408_of_our_own_after_timer_f(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    uint64_t start_us = clock_monotonic_us();
    wish(f, (struct wish){0});
    struct fake_answer a = answers(1).answers[0];
    uint64_t took_us = clock_monotonic_us() - start_us;
    assert_int_equal(a.status, 408);
    assert_true(a.local);
    assert_true(took_us > 1900000 && took_us < 4000000);
    size_t copies = 0;
    while (sip_peer_receive(&f->peer, &m, 1))
        copies++;
    assert_true(copies >= 2); // it was repeated (timer E)
    finish(f);
}

static void a_closed_port_is_a_503_of_our_own_at_once(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    struct sip_peer other;
    sip_peer_open(&other, true);
    sip_peer_close(&other);
    char hop[64];
    (void)snprintf(hop, sizeof(hop), "sip:127.0.0.1:%u", other.port);
    uint64_t start_us = clock_monotonic_us();
    wish(f, (struct wish){.registrar = hop});
    wish(f, (struct wish){.registrar = hop, .transport = TRANSPORT_TCP});
    struct fake_seen seen = answers(2);
    assert_true(clock_monotonic_us() - start_us < 1000000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen.answers[i].status, 503);
        assert_true(seen.answers[i].local);
    }
    finish(f);
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
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    cleanup(mem_free_cstr) char *contact = long_contact();
    wish(f, (struct wish){.contact = contact});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    assert_true(m.over_tcp);
    assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/TCP ", 12);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(answers(1).answers[0].status, 200);
    assert_false(sip_peer_receive(&f->peer, &m, 200)); // and nothing by datagram
    finish(f);
}

static void and_by_datagram_all_the_same_where_tcp_is_refused(void **state)
{
    struct fixture *f = start(false, (struct sip_thread_params){0});
    static struct sip_message m;
    cleanup(mem_free_cstr) char *contact = long_contact();
    wish(f, (struct wish){.contact = contact});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    assert_false(m.over_tcp);
    assert_true(m.bytes > 1400);
    assert_memory_equal(sip_header(&m, "Via"), "SIP/2.0/UDP ", 12);
    assert_int_equal(sip_header_count(&m, "Via"), 1);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    struct fake_seen seen = answers(1);
    assert_int_equal(seen.answer_count, 1);
    assert_int_equal(seen.answers[0].status, 200);
    assert_memory_equal(seen.answers[0].target, "udp:", 4);
    finish(f);
}

static void names_of_the_hosts_file_need_no_dns(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){.resolv_conf = "/dev/null"});
    static struct sip_message m;
    wish(f, (struct wish){.host = "localhost"});
    assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(answers(1).answers[0].status, 200);
    finish(f);
}

static void a_name_is_resolved_by_srv_and_the_next_target_is_tried(void **state)
{
    struct sip_peer second;
    sip_peer_open(&second, true);
    struct dns_record records[] = {
        {.name = "_sip._udp.reg.test", .target = "a.reg.test", .port = 1, .priority = 1}, // refuses
        {.name = "_sip._udp.reg.test", .target = "b.reg.test", .port = second.port, .priority = 2},
        {.name = "_sip._tcp.reg.test", .target = "b.reg.test", .port = second.port, .priority = 1},
        {.name = "a.reg.test", .address = "127.0.0.1"},
        {.name = "b.reg.test", .address = "127.0.0.1"},
    };
    struct dns_peer dns;
    dns_peer_open(&dns, records, ARRAY_LEN(records));
    struct fixture *f = start(true, (struct sip_thread_params){.resolv_conf = dns.resolv_conf});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        wish(f, (struct wish){.registrar = "sip:user@reg.test",
                              .transport = i == 1 ? TRANSPORT_UDP : TRANSPORT_TCP});
        assert_true(sip_peer_receive(&second, &m, PEER_DEADLINE_MS));
        assert_int_equal(m.over_tcp, i == 2);
        sip_peer_answer(&second, &m, "200 OK", "");
        struct fake_answer a = answers(i).answers[i - 1];
        assert_int_equal(a.status, 200);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "%s:127.0.0.1:%u", i == 1 ? "udp" : "tcp", second.port);
        assert_string_equal(a.target, expected);
    }
    finish(f);
    dns_peer_close(&dns);
    sip_peer_close(&second);
}

static void a_name_that_does_not_exist_is_a_503_of_our_own(void **state)
{
    struct dns_peer dns;
    dns_peer_open(&dns, NULL, 0);
    struct fixture *f = start(true, (struct sip_thread_params){.resolv_conf = dns.resolv_conf});
    wish(f, (struct wish){.registrar = "sip:nowhere.test"});
    wish(f, (struct wish){.registrar = "sip:nowhere.test:5070"});
    struct fake_seen seen = answers(2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen.answers[i].status, 503);
        assert_true(seen.answers[i].local);
        assert_string_equal(seen.answers[i].target, "");
    }
    finish(f);
    dns_peer_close(&dns);
}

static bool five_sent(const struct fake_seen *s)
{
    return s->sent_count == 5;
}

// Five REGISTERs wait for their answers when the connection goes, with a reset or an orderly close.
static void lose_connection(bool orderly)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (int i = 0; i < 5; i++)
        wish(f, (struct wish){.transport = TRANSPORT_TCP});
    (void)until(five_sent);
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
    struct fake_seen seen = answers(5);
    assert_true(clock_monotonic_us() - closed_us < 1000000);
    for (size_t i = 0; i < 5; i++) {
        assert_true(seen.answers[i].local);
        assert_int_equal(seen.answers[i].status, 503);
    }
    finish(f);
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
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        wish(f, (struct wish){.transport = TRANSPORT_TCP});
        assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        assert_int_equal(answers(i).answers[i - 1].status, 200);
        (void)shutdown(f->peer.stream, SHUT_WR);
        char byte;
        assert_int_equal(recv(f->peer.stream, &byte, 1, 0), 0); // it closed its side, too
        (void)close(f->peer.stream);
        f->peer.stream = -1;
    }
    finish(f);
}

static void ipv6_is_written_in_brackets(void **state)
{
    struct sip_thread_params p = {.policy = engine_policy_default(), .listen = "[::1]"};
    struct sip_thread *t = NULL;
    if (sip_thread_start(&p, &t, NULL) != 0)
        skip(); // a machine without IPv6
    assert_memory_equal(sip_thread_listens_on(t), "[::1]:", 6);
    assert_true(atoi(sip_thread_listens_on(t) + 6) > 0);
    sip_thread_join(t);
}

static void two_threads_have_a_port_each(void **state)
{
    char listen[64];
    // A pair of ports that were free a moment ago; another process may take one.
    for (uint16_t port = 20000; port < 60000; port += 997) {
        struct sip_thread *threads[2] = {NULL};
        (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
        size_t started = 0;
        for (unsigned i = 0; i < 2; i++) {
            struct sip_thread_params p = {.index = i, .policy = engine_policy_default(), .listen = listen};
            started += sip_thread_start(&p, &threads[i], NULL) == 0;
        }
        if (started == 2) {
            char expected[64];
            (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", port + 1);
            assert_string_equal(sip_thread_listens_on(threads[0]), listen);
            assert_string_equal(sip_thread_listens_on(threads[1]), expected);
        }
        for (unsigned i = 0; i < 2; i++)
            sip_thread_join(threads[i]);
        if (started == 2)
            return;
    }
    fail_msg("no two free ports");
}

static bool one_refused(const struct fake_seen *s)
{
    return s->refused_count == 1;
}

static void an_unknown_interface_cannot_be_sent_from(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    wish(f, (struct wish){.interface = "eth7"});
    assert_int_equal(until(one_refused).last_send_rc, -EADDRNOTAVAIL);
    finish(f);
}

static void a_contact_that_sofia_cannot_read_is_refused(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    wish(f, (struct wish){.contact = "<sip:a@h"});
    assert_int_equal(until(one_refused).last_send_rc, -EINVAL);
    finish(f);
}

// ---- strangers

static void ask(struct fixture *f, const char *method, const char *to_tag, struct sip_message *ret)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "%s sip:alice@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\r\n"
                   "From: <sip:x@y>;tag=1\r\nTo: <sip:alice@127.0.0.1>%s\r\nCall-ID: stranger\r\n"
                   "CSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                   method, f->peer.port, method, to_tag, method);
    sip_peer_send(&f->peer, f->port, text);
    assert_true(sip_peer_receive(&f->peer, ret, PEER_DEADLINE_MS));
}

static void options_is_answered_and_nothing_else_is_served(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    ask(f, "OPTIONS", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    assert_string_equal(sip_header(&m, "Allow"), "OPTIONS");
    assert_non_null(strstr(sip_header(&m, "To"), "tag="));
    ask(f, "INVITE", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 405 ", 12);
    assert_string_equal(sip_header(&m, "Allow"), "OPTIONS");
    ask(f, "BYE", ";tag=z", &m);
    assert_memory_equal(m.text, "SIP/2.0 481 ", 12);
    ask(f, "REGISTER", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 405 ", 12);
    finish(f);
}

static void rubbish_and_strange_responses_are_discarded(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    sip_peer_send(&f->peer, f->port, "\r\n\r\n");
    sip_peer_send(&f->peer, f->port, "GET / HTTP/1.1\r\n\r\n");
    sip_peer_send(&f->peer, f->port,
                  "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKno\r\n"
                  "From: <sip:x@y>;tag=1\r\nTo: <sip:x@y>;tag=2\r\nCall-ID: no\r\n"
                  "CSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n");
    sip_peer_send(&f->peer, f->port, "SIP/2.0 999999 \r\n:\r\n\r\n");
    static const char stun[28] = {0, 1, 0, 9, 'x'}; // of a wrong length
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(sendto(f->peer.udp, stun, sizeof(stun), 0, (struct sockaddr *)&to, sizeof(to)),
                     sizeof(stun));
    ask(f, "OPTIONS", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    struct fake_seen seen;
    fake_seen(&seen);
    assert_int_equal(seen.answer_count, 0);
    finish(f);
}

// ---- lease, queues, end

static size_t leases_awaited;

static bool was_told_leases(const struct fake_seen *s)
{
    return s->lease_count >= leases_awaited;
}

// The nth lease that the engine was told, from 1.
static enum engine_lease lease_told(size_t nth)
{
    leases_awaited = nth;
    struct fake_seen seen = until(was_told_leases);
    return seen.leases[nth - 1];
}

static void post_lease_for(struct fixture *f, enum engine_lease lease, uint64_t lasts_us)
{
    struct sip_command *c = sip_command_new(SIP_LEASE, 0);
    c->lease = lease;
    c->proved_us = clock_monotonic_us();
    c->until_us = lasts_us ? c->proved_us + lasts_us : 0;
    post(f, c);
}

static void post_lease(struct fixture *f, enum engine_lease lease)
{
    post_lease_for(f, lease, 0);
}

static void standing_still_ends_the_lease_until_a_proof_asked_for_later(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){.stall_ms = 100});
    struct timespec quiet = {.tv_nsec = 250000000}; // idle for longer than that is no stall
    (void)nanosleep(&quiet, NULL);
    assert_int_equal(lease_told(1), LEASE_EXPIRED); // nobody has vouched for it yet
    fake_stand_still_once(300);
    wish(f, (struct wish){0});
    post_lease(f, LEASE_FRESH); // asked for while it stands still: proves nothing
    assert_int_equal(lease_told(2), LEASE_STALLED);
    post_lease(f, LEASE_EXPIRED); // no proof either
    post_lease(f, LEASE_FRESH);
    assert_int_equal(lease_told(3), LEASE_FRESH);
    post_lease(f, LEASE_EXPIRED);
    assert_int_equal(lease_told(4), LEASE_EXPIRED);
    finish(f);
}

static void a_proof_that_is_not_repeated_runs_out(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){.stall_ms = 5000});
    assert_int_equal(lease_told(1), LEASE_EXPIRED);
    post_lease_for(f, LEASE_FRESH, 100000);
    assert_int_equal(lease_told(2), LEASE_FRESH);
    assert_int_equal(lease_told(3), LEASE_EXPIRED);
    post_lease_for(f, LEASE_FRESH, 1); // it was over before it was heard of
    assert_int_equal(lease_told(4), LEASE_EXPIRED);
    finish(f);
}

static bool burst_was_obeyed(const struct fake_seen *s)
{
    return s->desired_count == 20000;
}

static void a_burst_of_commands_does_not_starve_sip(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){.max_queue = 1024});
    static struct sip_message m;
    for (int i = 0; i < 20000; i++)
        post(f, sip_command_new(SIP_DESIRED, 0));
    ask(f, "OPTIONS", "", &m);
    assert_memory_equal(m.text, "SIP/2.0 200 ", 12);
    (void)until(burst_was_obeyed);
    finish(f);
}

static void reports_come_out_by_credit(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    struct sip_command *c = sip_command_new(SIP_CREDIT, 0);
    c->credit = 1;
    post(f, c);
    for (size_t i = 1; i <= 2; i++) {
        wish(f, (struct wish){0});
        assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        (void)answers(i);
    }
    struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PEER_DEADLINE_MS), 1);
    struct sip_notice *n[4];
    assert_int_equal(sip_thread_notices(f->thread, n, 4), 1);
    assert_int_equal(n[0]->kind, SIP_REPORT);
    assert_int_equal(n[0]->id, 1);
    assert_string_equal(n[0]->account, "a");
    assert_int_equal(n[0]->value[0], '{');
    assert_int_equal(strlen(n[0]->value), n[0]->value_bytes);
    sip_notice_free(n[0]);
    finish(f);
}

static void stopping_closes_every_shard_first(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    for (uint32_t shard = 5; shard < 8; shard++)
        post(f, sip_command_new(SIP_SHARD_LOAD, shard));
    post(f, sip_command_new(SIP_STOP, 0));
    enum sip_notice_kind kinds[8];
    size_t count = 0;
    while (count == 0 || (kinds[count - 1] != SIP_STOPPED && count < 8)) {
        struct pollfd fd = {.fd = sip_thread_fd(f->thread), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, PEER_DEADLINE_MS), 1);
        struct sip_notice *n;
        while (count < 8 && sip_thread_notices(f->thread, &n, 1)) {
            kinds[count++] = n->kind;
            sip_notice_free(n);
        }
    }
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(kinds[i], SIP_CLOSED);
    sip_thread_join(f->thread);
    sip_peer_close(&f->peer);
    free(f);
}

static void a_listen_address_that_cannot_be_had_is_an_error(void **state)
{
    static const char *const bad[] = {"", "no such host", "192.0.2.77:5060", "127.0.0.1:99999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sip_thread_params p = {.policy = engine_policy_default(), .listen = bad[i]};
        struct sip_thread *t = NULL;
        struct error err = {0};
        assert_true(sip_thread_start(&p, &t, &err) < 0);
        assert_null(t);
        assert_true(strlen(err.text) > 10);
    }
}

static void port_0_takes_a_free_one_for_each_thread(void **state)
{
    struct sip_thread *t[2];
    struct error err = {0};
    for (unsigned i = 0; i < 2; i++) {
        struct sip_thread_params p = {.policy = engine_policy_default(), .listen = "127.0.0.1:0", .index = i};
        assert_int_equal(sip_thread_start(&p, &t[i], &err), 0);
        assert_int_equal(strncmp(sip_thread_listens_on(t[i]), "127.0.0.1:", 10), 0);
    }
    assert_string_not_equal(sip_thread_listens_on(t[0]), sip_thread_listens_on(t[1]));
    for (unsigned i = 0; i < 2; i++)
        sip_thread_join(t[i]);
}

static void waiting_costs_next_to_nothing(void **state)
{
    struct fixture *f = start(true, (struct sip_thread_params){0});
    static struct sip_message m;
    // Sparse traffic is where a loop that spins to its next timer shows.
    struct fake_seen seen, before;
    fake_seen(&before);
    for (size_t i = 1; i <= 20; i++) {
        wish(f, (struct wish){0});
        assert_true(sip_peer_receive(&f->peer, &m, PEER_DEADLINE_MS));
        sip_peer_answer(&f->peer, &m, "200 OK", "");
        (void)answers(i);
        struct timespec pause = {.tv_nsec = 50000000};
        (void)nanosleep(&pause, NULL);
    }
    fake_seen(&seen);
    double used = seen.cpu_s - before.cpu_s;
    print_message("20 registrations in a second: %.1f ms of CPU\n", used * 1e3);
    assert_true(used < 0.1);
    finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_register_with_every_part),
        cmocka_unit_test(a_strict_router_takes_the_request_line),
        cmocka_unit_test(no_part_can_start_another_line),
        cmocka_unit_test(local_in_a_contact_needs_an_address),
        cmocka_unit_test(the_next_hop_decides_host_port_and_transport),
        cmocka_unit_test(what_cannot_be_carried_is_refused),
        cmocka_unit_test(hosts_gives_the_first_address_of_the_family),
        cmocka_unit_test(a_full_outbox_holds_credits_back_and_drops_nothing),
        cmocka_unit_test(registers_over_udp_with_via_and_rport),
        cmocka_unit_test(registers_over_tcp),
        cmocka_unit_test(an_answer_is_read_as_it_was_sent),
        cmocka_unit_test(challenges_come_in_order_and_unchanged),
        cmocka_unit_test(a_provisional_answer_is_no_answer),
        cmocka_unit_test(silence_is_a_408_of_our_own_after_timer_f),
        cmocka_unit_test(a_closed_port_is_a_503_of_our_own_at_once),
        cmocka_unit_test(a_request_too_large_for_a_datagram_goes_over_tcp),
        cmocka_unit_test(and_by_datagram_all_the_same_where_tcp_is_refused),
        cmocka_unit_test(names_of_the_hosts_file_need_no_dns),
        cmocka_unit_test(a_name_is_resolved_by_srv_and_the_next_target_is_tried),
        cmocka_unit_test(a_name_that_does_not_exist_is_a_503_of_our_own),
        cmocka_unit_test(a_reset_connection_answers_all_that_wait_on_it),
        cmocka_unit_test(a_closed_connection_answers_all_that_wait_on_it),
        cmocka_unit_test(a_connection_that_the_registrar_closed_is_opened_again),
        cmocka_unit_test(ipv6_is_written_in_brackets),
        cmocka_unit_test(two_threads_have_a_port_each),
        cmocka_unit_test(an_unknown_interface_cannot_be_sent_from),
        cmocka_unit_test(a_contact_that_sofia_cannot_read_is_refused),
        cmocka_unit_test(options_is_answered_and_nothing_else_is_served),
        cmocka_unit_test(rubbish_and_strange_responses_are_discarded),
        cmocka_unit_test(standing_still_ends_the_lease_until_a_proof_asked_for_later),
        cmocka_unit_test(a_proof_that_is_not_repeated_runs_out),
        cmocka_unit_test(a_burst_of_commands_does_not_starve_sip),
        cmocka_unit_test(reports_come_out_by_credit),
        cmocka_unit_test(stopping_closes_every_shard_first),
        cmocka_unit_test(a_listen_address_that_cannot_be_had_is_an_error),
        cmocka_unit_test(port_0_takes_a_free_one_for_each_thread),
        cmocka_unit_test(waiting_costs_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
