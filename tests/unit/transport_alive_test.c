// Keep-alive of connections and of UDP (RFC 5626 4.4), with times so short that nobody waits.
#include "services/registrant/transport/stun.h"
#include "tests/unit/transport_fixture.h"

static void begin_alive(struct tcp *a)
{
    begin(&a->f);
    a->f.times.ping_min_ms = 30;
    a->f.times.ping_max_ms = 40;
    a->f.times.pong_ms = 60;
    a->f.times.stun_min_ms = 20;
    a->f.times.stun_max_ms = 30;
    a->f.times.stun_rto_ms = 10;
    a->peer = a->listener = -1;
}

static uint64_t pings(const struct tcp *a)
{
    return transport_stats(a->f.t).pings;
}

static uint64_t pongs(const struct tcp *a)
{
    return transport_stats(a->f.t).pongs;
}

// ---- connections

static void pings_an_idle_connection_and_takes_pongs(void **state)
{
    struct tcp a;
    begin_alive(&a);
    connect_tcp(&a);
    for (unsigned i = 1; i <= 3; i++) {
        expect_bytes(&a.f, a.peer, "\r\n\r\n");
        assert_true(pings(&a) < 2 * i); // not two of half that length
        put(a.peer, STR_LIT("\r\n"));
        UNTIL(&a.f, pongs(&a) == i);
    }
    assert_int_equal(a.f.messages, 0);
    assert_int_equal(a.f.lost, 0);
    close_tcp(&a);
}

static void silence_is_no_fault_of_one_that_never_answered(void **state)
{
    struct tcp a;
    begin_alive(&a);
    a.f.times.pong_ms = 1;
    connect_tcp(&a);
    for (unsigned i = 0; i < 4; i++)
        expect_bytes(&a.f, a.peer, "\r\n\r\n");
    assert_int_equal(pongs(&a), 0);
    assert_int_equal(a.f.lost, 0);
    close_tcp(&a);
}

static void silence_after_an_answer_is_a_lost_flow(void **state)
{
    struct tcp a;
    begin_alive(&a);
    connect_tcp(&a);
    expect_bytes(&a.f, a.peer, "\r\n\r\n");
    put(a.peer, STR_LIT("\r\n"));
    UNTIL(&a.f, a.f.lost == 1);
    assert_int_equal(a.f.lost_flow, a.flow);
    assert_true(a.f.lost_up);
    assert_string_equal(a.f.cause, "the registrar does not answer pings");
    close_tcp(&a);
}

static void silence_of_one_that_said_it_answers_is_a_lost_flow(void **state)
{
    struct tcp a;
    uint32_t flow;
    begin_alive(&a);
    connect_tcp(&a);
    flow = a.flow;
    transport_keep_alive(a.f.t, &a.to, 0, &flow);
    assert_int_equal(flow, a.flow);
    UNTIL(&a.f, a.f.lost == 1);
    assert_string_equal(a.f.cause, "the registrar does not answer pings");
    transport_keep_alive(a.f.t, &a.to, 0, &flow); // of a lost one: nothing
    assert_int_equal(pings(&a) > 0, 1);
    close_tcp(&a);
}

static void a_pong_may_come_behind_a_message_that_was_coming(void **state)
{
    struct tcp a;
    begin_alive(&a);
    a.f.times.pong_ms = 5;
    connect_tcp(&a);
    transport_keep_alive(a.f.t, &a.to, 0, &a.flow);
    put(a.peer, STR_LIT("SIP/2.0 200"));
    expect_bytes(&a.f, a.peer, "\r\n\r\n\r\n\r\n"); // by the second the first one's pong is overdue
    assert_int_equal(a.f.lost, 0);
    put(a.peer, STR_LIT(" OK\r\nl: 0\r\n\r\n\r\nSIP/2.0 200 OK"));
    UNTIL(&a.f, pongs(&a) == 1);
    assert_int_equal(a.f.messages, 1);
    expect_bytes(&a.f, a.peer, "\r\n\r\n\r\n\r\n");
    assert_int_equal(a.f.lost, 0);
    put(a.peer, STR_LIT("\r\nl: 0\r\n\r\n")); // and without a pong it is lost at once
    UNTIL(&a.f, a.f.lost == 1);
    assert_int_equal(a.f.messages, 2);
    close_tcp(&a);
}

static void traffic_spares_a_ping_that_nobody_asked_for(void **state)
{
    struct tcp a;
    uint32_t flow;
    begin_alive(&a);
    a.f.times.ping_min_ms = a.f.times.ping_max_ms = 200;
    connect_tcp(&a);
    uint64_t began_us = clock_monotonic_us(), last_us = began_us, gap_us = 0;
    while (clock_monotonic_us() - began_us < 500000) {
        uint64_t now_us = clock_monotonic_us();
        gap_us = now_us - last_us > gap_us ? now_us - last_us : gap_us;
        last_us = now_us;
        assert_int_equal(transport_send(a.f.t, &a.to, STR_LIT("SIP/2.0 200 OK\r\n\r\n"), &flow), 0);
        transport_flush(a.f.t);
        (void)event_base_loop(a.f.base, EVLOOP_ONCE);
    }
    assert_true(pings(&a) == 0 || gap_us > 100000);
    close_tcp(&a);
}

static void nobody_uses_it_then_it_ends(void **state)
{
    struct tcp a;
    begin_alive(&a);
    a.f.times.idle_ms = 100;
    connect_tcp(&a);
    UNTIL(&a.f, a.f.lost == 1);
    assert_string_equal(a.f.cause, "unused");
    assert_int_equal(a.f.lost_flow, a.flow);
    close_tcp(&a);
}

// ---- UDP

static void begin_stun(struct tcp *a)
{
    begin_alive(a);
    start(&a->f);
    a->peer = peer_socket(AF_INET, SOCK_DGRAM, &a->at);
    a->to = endpoint_of(TRANSPORT_UDP, &a->at);
    transport_keep_alive(a->f.t, &a->to, 0, &a->flow);
    assert_int_not_equal(a->flow, 0);
}

struct binding {
    uint8_t request[STUN_REQUEST_BYTES];
    struct address from;
};

static void expect_binding_request(struct tcp *a, struct binding *ret)
{
    uint8_t got[64], want[STUN_REQUEST_BYTES];
    socklen_t bytes = sizeof(ret->from);
    UNTIL(&a->f, can_read(a->peer));
    assert_int_equal(recvfrom(a->peer, got, sizeof(got), 0, &ret->from.any, &bytes), STUN_REQUEST_BYTES);
    memcpy(ret->request, got, sizeof(ret->request));
    stun_request(want, got + 8);
    assert_memory_equal(got, want, sizeof(want));
}

// A success with 192.0.2.1:`port`; an error where that is 0.
static void answer_binding(const struct tcp *a, const struct binding *b, uint16_t port)
{
    uint8_t bytes[STUN_REQUEST_BYTES + 12];
    size_t n = port ? sizeof(bytes) : STUN_REQUEST_BYTES;
    memcpy(bytes, b->request, STUN_REQUEST_BYTES);
    bytes[0] = 1;
    bytes[1] = port ? 0x01 : 0x11;
    bytes[3] = port ? 12 : 0;
    memcpy(bytes + STUN_REQUEST_BYTES, "\x00\x20\x00\x08\x00\x01xx\xe1\x12\xa6\x43", 12);
    bytes[26] = (uint8_t)(port >> 8 ^ 0x21);
    bytes[27] = (uint8_t)(port ^ 0x12);
    assert_int_equal(sendto(a->peer, bytes, n, 0, &b->from.any, address_bytes(&b->from)), n);
}

static void keeps_a_binding_by_stun(void **state)
{
    struct tcp a;
    struct binding b;
    uint32_t same = 0;
    uint8_t last[STUN_REQUEST_BYTES] = {0};
    begin_stun(&a);
    transport_keep_alive(a.f.t, &a.to, 0, &same);
    assert_int_equal(same, a.flow);
    for (unsigned i = 1; i <= 3; i++) {
        expect_binding_request(&a, &b);
        assert_memory_not_equal(b.request, last, sizeof(last)); // a transaction of its own each
        memcpy(last, b.request, sizeof(last));
        answer_binding(&a, &b, 4000);
        UNTIL(&a.f, pongs(&a) == i);
    }
    struct address local = local_address(&a.f, AF_INET);
    assert_true(address_equal(&b.from, &local)); // from where SIP leaves
    assert_int_equal(a.f.lost, 0);
    assert_int_equal(a.f.messages, 0);
    assert_int_equal(transport_stats(a.f.t).malformed, 0);
    close_tcp(&a);
}

static void asks_again_until_it_is_answered(void **state)
{
    struct tcp a;
    struct binding b, again;
    begin_stun(&a);
    expect_binding_request(&a, &b);
    for (int i = 1; i < 4; i++) {
        expect_binding_request(&a, &again);
        assert_memory_equal(again.request, b.request, sizeof(b.request));
    }
    answer_binding(&a, &b, 4000);
    UNTIL(&a.f, pongs(&a) == 1);
    assert_int_equal(pings(&a), 1);
    assert_int_equal(a.f.lost, 0);
    close_tcp(&a);
}

static void seven_unanswered_requests_are_a_lost_flow(void **state)
{
    struct tcp a;
    struct binding b;
    begin_stun(&a);
    UNTIL(&a.f, a.f.lost == 1);
    assert_int_equal(a.f.lost_flow, a.flow);
    assert_string_equal(a.f.cause, "the registrar does not answer STUN");
    for (int i = 0; i < 7; i++)
        expect_binding_request(&a, &b);
    assert_false(can_read(a.peer));
    uint32_t next = 0;
    transport_keep_alive(a.f.t, &a.to, 0, &next);
    assert_true(next > a.flow);
    close_tcp(&a);
}

static void another_mapped_address_is_a_lost_flow(void **state)
{
    struct tcp a;
    struct binding b;
    begin_stun(&a);
    expect_binding_request(&a, &b);
    answer_binding(&a, &b, 4000);
    expect_binding_request(&a, &b);
    answer_binding(&a, &b, 4001);
    UNTIL(&a.f, a.f.lost == 1);
    assert_string_equal(a.f.cause, "the address that the registrar sees has changed");
    close_tcp(&a);
}

static void an_error_response_is_a_lost_flow(void **state)
{
    struct tcp a;
    struct binding b;
    begin_stun(&a);
    expect_binding_request(&a, &b);
    answer_binding(&a, &b, 0);
    UNTIL(&a.f, a.f.lost == 1);
    assert_string_equal(a.f.cause, "the registrar refuses STUN");
    close_tcp(&a);
}

static void an_unreachable_address_is_a_lost_flow(void **state)
{
    struct tcp a;
    begin_stun(&a);
    (void)close(a.peer);
    a.peer = -1;
    UNTIL(&a.f, a.f.lost == 1);
    assert_int_equal(a.f.lost_flow, a.flow);
    assert_int_equal(a.f.unreachable, 1);
    close_tcp(&a);
}

static void forged_answers_change_nothing(void **state)
{
    struct tcp a;
    struct binding b;
    struct address elsewhere;
    begin_stun(&a);
    expect_binding_request(&a, &b);
    answer_binding(&a, &b, 4000);
    UNTIL(&a.f, pongs(&a) == 1);
    answer_binding(&a, &b, 4001); // late
    expect_binding_request(&a, &b);
    struct binding forged = b;
    forged.request[12] ^= 1; // another transaction
    answer_binding(&a, &forged, 4001);
    int other = peer_socket(AF_INET, SOCK_DGRAM, &elsewhere), real = a.peer;
    a.peer = other; // from another address
    answer_binding(&a, &b, 4001);
    a.peer = real;
    answer_binding(&a, &b, 4000);
    UNTIL(&a.f, pongs(&a) == 2);
    assert_int_equal(a.f.lost, 0);
    (void)close(other);
    close_tcp(&a);
}

static void the_registrars_flow_timer_sets_the_pace(void **state)
{
    struct tcp a;
    struct binding b;
    struct address slow_at;
    uint32_t flow = 0;
    begin_stun(&a);
    int slow = peer_socket(AF_INET, SOCK_DGRAM, &slow_at);
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &slow_at);
    transport_keep_alive(a.f.t, &to, 600, &flow);
    for (int i = 0; i < 4; i++) { // meanwhile another, without a Flow-Timer, is asked again and again
        expect_binding_request(&a, &b);
        answer_binding(&a, &b, 4000);
    }
    assert_false(can_read(slow));
    transport_keep_alive(a.f.t, &to, 0, &flow); // the latest answer counts: without one, the default
    UNTIL(&a.f, can_read(slow));
    (void)close(slow);
    close_tcp(&a);
}

static void a_binding_nobody_needs_is_let_go(void **state)
{
    struct tcp a;
    begin_alive(&a);
    a.f.times.idle_ms = 1;
    start(&a.f);
    a.peer = peer_socket(AF_INET, SOCK_DGRAM, &a.at);
    a.to = endpoint_of(TRANSPORT_UDP, &a.at);
    transport_keep_alive(a.f.t, &a.to, 0, &a.flow);
    UNTIL(&a.f, a.f.lost == 1);
    assert_string_equal(a.f.cause, "unused");
    assert_false(can_read(a.peer));
    close_tcp(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_an_idle_connection_and_takes_pongs),
        cmocka_unit_test(silence_is_no_fault_of_one_that_never_answered),
        cmocka_unit_test(silence_after_an_answer_is_a_lost_flow),
        cmocka_unit_test(silence_of_one_that_said_it_answers_is_a_lost_flow),
        cmocka_unit_test(a_pong_may_come_behind_a_message_that_was_coming),
        cmocka_unit_test(traffic_spares_a_ping_that_nobody_asked_for),
        cmocka_unit_test(nobody_uses_it_then_it_ends),
        cmocka_unit_test(keeps_a_binding_by_stun),
        cmocka_unit_test(asks_again_until_it_is_answered),
        cmocka_unit_test(seven_unanswered_requests_are_a_lost_flow),
        cmocka_unit_test(another_mapped_address_is_a_lost_flow),
        cmocka_unit_test(an_error_response_is_a_lost_flow),
        cmocka_unit_test(an_unreachable_address_is_a_lost_flow),
        cmocka_unit_test(forged_answers_change_nothing),
        cmocka_unit_test(the_registrars_flow_timer_sets_the_pace),
        cmocka_unit_test(a_binding_nobody_needs_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
