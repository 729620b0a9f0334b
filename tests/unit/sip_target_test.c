// Where a SIP thread sends to: names, several targets, and what it makes of one that failed (RFC 3263).
#include "tests/unit/sip_fixture.h"

#include "common/base/mem.h"
#include "tests/unit/name_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// cmocka needs the headers above it
#include <cmocka.h>

// `text` holds the record's data and lives as long as it.
static struct name_record srv(const char *name, unsigned priority, uint16_t port, const char *target,
                              char text[64])
{
    (void)snprintf(text, 64, "%u 1 %u %s", priority, port, target);
    return (struct name_record){name, "SRV", 60, text};
}

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
    char text[3][64];
    struct name_record records[] = {
        srv("_sip._udp.reg.test", 1, 1, "a.reg.test", text[0]), // refuses
        srv("_sip._udp.reg.test", 2, second.port, "b.reg.test", text[1]),
        srv("_sip._tcp.reg.test", 1, second.port, "b.reg.test", text[2]),
        {"a.reg.test", "A", 60, "127.0.0.1"},
        {"b.reg.test", "A", 60, "127.0.0.1"},
    };
    struct name_server dns;
    name_server_start(&dns, records, ARRAY_LEN(records));
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
    name_server_end(&dns);
    sip_peer_close(&second);
}

static void a_name_that_does_not_exist_is_a_503_of_our_own(void **state)
{
    struct name_server dns;
    name_server_start(&dns, NULL, 0);
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
    name_server_end(&dns);
}

static void another_target_of_one_request_is_none_of_the_next(void **state)
{
    struct sip_peer second;
    sip_peer_open(&second, false);
    char text[2][64];
    struct name_record records[] = {
        srv("_sip._udp.reg.test", 1, 1, "a.reg.test", text[0]), // refuses
        srv("_sip._udp.reg.test", 2, second.port, "a.reg.test", text[1]),
        {"a.reg.test", "A", 60, "127.0.0.1"},
    };
    struct name_server dns;
    name_server_start(&dns, records, ARRAY_LEN(records));
    struct fixture *f = fixture_start(true, (struct sip_thread_params){.resolv_conf = dns.resolv_conf});
    static struct sip_message m;
    fixture_wish(f, (struct wish){.registrar = "sip:user@reg.test"});
    assert_true(sip_peer_receive(&second, &m, PEER_DEADLINE_MS));
    sip_peer_answer(&second, &m, "200 OK", "");
    struct fake_seen seen = fixture_answers(2);
    assert_true(seen.answers[0].another_target);
    // as many at once as there were requests, so that the memory of each of them is used again
    fixture_wish(f, (struct wish){.registrar = "sip:nowhere.test"});
    fixture_wish(f, (struct wish){.registrar = "sip:nor.here.test"});
    seen = fixture_answers(4);
    assert_false(seen.answers[2].another_target || seen.answers[3].another_target);
    fixture_finish(f);
    name_server_end(&dns);
    sip_peer_close(&second);
}

// ---- two registrars behind one name, the first preferred

struct pair {
    struct sip_peer first, second;
    struct name_record records[3];
    char text[2][64];
    struct name_server dns;
    struct fixture *f;
};

static void pair_open(struct pair *p)
{
    sip_peer_open(&p->first, false);
    sip_peer_open(&p->second, false);
    p->records[0] = srv("_sip._udp.reg.test", 1, p->first.port, "a.reg.test", p->text[0]);
    p->records[1] = srv("_sip._udp.reg.test", 2, p->second.port, "a.reg.test", p->text[1]);
    p->records[2] = (struct name_record){"a.reg.test", "A", 60, "127.0.0.1"};
    name_server_start(&p->dns, p->records, ARRAY_LEN(p->records));
    p->f = fixture_start(false, (struct sip_thread_params){.resolv_conf = p->dns.resolv_conf,
                                                           .policy.transaction_timeout_s = 1});
}

static void pair_close(struct pair *p, bool second_too)
{
    fixture_finish(p->f);
    name_server_end(&p->dns);
    sip_peer_close(&p->first);
    if (second_too)
        sip_peer_close(&p->second);
}

static void expect_at(struct sip_peer *peer, struct sip_message *ret)
{
    assert_true(sip_peer_receive(peer, ret, PEER_DEADLINE_MS));
}

static const struct wish at_name = {.registrar = "sip:user@reg.test"};

static void a_silent_target_is_set_aside(void **state)
{
    struct pair p;
    static struct sip_message m;
    pair_open(&p);
    fixture_wish(p.f, at_name);
    expect_at(&p.second, &m); // after timer F
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 408);
    assert_true(a.local && a.another_target);
    assert_string_equal(a.reason, "no answer");
    sip_peer_answer(&p.second, &m, "200 OK", "");
    assert_int_equal(fixture_answer(2).status, 200);
    fixture_wish(p.f, at_name);
    expect_at(&p.second, &m); // at once
    sip_peer_answer(&p.second, &m, "200 OK", "");
    assert_int_equal(fixture_answer(3).status, 200);
    pair_close(&p, true);
}

static void a_503_leads_to_the_next_target_and_no_other_status_does(void **state)
{
    struct pair p;
    static struct sip_message m;
    static const char *const others[] = {"408 Request Timeout", "500 No", "502 No", "504 No", "600 No"};
    pair_open(&p);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        fixture_wish(p.f, at_name);
        expect_at(&p.first, &m);
        sip_peer_answer(&p.first, &m, others[i], "");
        struct fake_answer a = fixture_answer(i + 1);
        assert_false(a.another_target || a.local);
    }
    fixture_wish(p.f, at_name);
    expect_at(&p.first, &m);
    sip_peer_answer(&p.first, &m, "503 Overload", "Retry-After: 30\r\n");
    expect_at(&p.second, &m);
    struct fake_answer a = fixture_answer(ARRAY_LEN(others) + 1);
    assert_true(a.another_target);
    assert_int_equal(a.retry_after_s, 30);
    sip_peer_answer(&p.second, &m, "200 OK", "");
    (void)fixture_answers(ARRAY_LEN(others) + 2);
    pair_close(&p, true);
}

static void one_that_is_working_on_it_is_not_left(void **state)
{
    struct pair p;
    static struct sip_message m;
    pair_open(&p);
    fixture_wish(p.f, at_name);
    expect_at(&p.first, &m);
    sip_peer_answer(&p.first, &m, "100 Trying", "");
    struct fake_answer a = fixture_answer(1);
    assert_int_equal(a.status, 408);
    assert_true(a.local);
    assert_false(a.another_target);
    assert_string_equal(a.reason, "no final answer");
    pair_close(&p, true);
}

static void the_last_resort_is_taken_back_when_it_answers(void **state)
{
    struct pair p;
    static struct sip_message m;
    pair_open(&p);
    sip_peer_close(&p.second); // refuses
    fixture_wish(p.f, at_name);
    struct fake_seen seen = fixture_answers(2);
    assert_true(seen.answers[0].another_target);
    assert_int_equal(seen.answers[1].status, 503);
    assert_string_equal(seen.answers[1].reason, "connection refused");
    assert_false(seen.answers[1].another_target);
    while (sip_peer_receive(&p.first, &m, 1))
        ;
    for (size_t i = 3; i <= 4; i++) { // all are set aside; then the first no longer
        fixture_wish(p.f, at_name);
        expect_at(&p.first, &m);
        sip_peer_answer(&p.first, &m, "200 OK", "");
        assert_int_equal(fixture_answer(i).status, 200);
    }
    pair_close(&p, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_hosts_file_need_no_dns),
        cmocka_unit_test(a_name_is_resolved_by_srv_and_the_next_target_is_tried),
        cmocka_unit_test(a_name_that_does_not_exist_is_a_503_of_our_own),
        cmocka_unit_test(another_target_of_one_request_is_none_of_the_next),
        cmocka_unit_test(a_silent_target_is_set_aside),
        cmocka_unit_test(a_503_leads_to_the_next_target_and_no_other_status_does),
        cmocka_unit_test(one_that_is_working_on_it_is_not_left),
        cmocka_unit_test(the_last_resort_is_taken_back_when_it_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
