// Where a SIP thread sends to: names, several targets, and what it makes of one that failed (RFC 3263).
#include "tests/unit/sip_fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tests/unit/dns_peer.h"

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

static void names_of_the_hosts_file_need_no_dns(void **state)
{
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.resolv_conf = "/dev/null"});
    static struct sip_message m;
    fixture_wish_sent(f, (struct wish){.host = "localhost"}, &m);
    sip_peer_answer(&f->peer, &m, "200 OK", "");
    assert_int_equal(fixture_answer(1).status, 200);
    fixture_finish(f);
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
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.resolv_conf = dns.resolv_conf});
    static struct sip_message m;
    for (size_t i = 1; i <= 2; i++) {
        fixture_wish(f, (struct wish){.registrar = "sip:user@reg.test",
                                      .transport = i == 1 ? TRANSPORT_UDP : TRANSPORT_TCP});
        assert_true(sip_peer_receive(&second, &m, PEER_DEADLINE_MS));
        assert_int_equal(m.over_tcp, i == 2);
        sip_peer_answer(&second, &m, "200 OK", "");
        struct fake_answer a = fixture_answer(i + 1); // the first target of the first was refused
        assert_int_equal(a.status, 200);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "%s:127.0.0.1:%u", i == 1 ? "udp" : "tcp", second.port);
        assert_string_equal(a.target, expected);
    }
    fixture_finish(f);
    dns_peer_close(&dns);
    sip_peer_close(&second);
}

static void a_name_that_does_not_exist_is_a_503_of_our_own(void **state)
{
    struct dns_peer dns;
    dns_peer_open(&dns, NULL, 0);
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.resolv_conf = dns.resolv_conf});
    fixture_wish(f, (struct wish){.registrar = "sip:nowhere.test"});
    fixture_wish(f, (struct wish){.registrar = "sip:nowhere.test:5070"});
    struct fake_seen seen = fixture_answers(2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen.answers[i].status, 503);
        assert_true(seen.answers[i].local);
        assert_false(seen.answers[i].another_target);
        assert_string_equal(seen.answers[i].target, "");
        assert_string_equal(seen.answers[i].reason, "no address for nowhere.test");
    }
    fixture_finish(f);
    dns_peer_close(&dns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_hosts_file_need_no_dns),
        cmocka_unit_test(a_name_is_resolved_by_srv_and_the_next_target_is_tried),
        cmocka_unit_test(a_name_that_does_not_exist_is_a_503_of_our_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
