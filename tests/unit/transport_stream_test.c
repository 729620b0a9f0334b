// Connections of the registrant's transport over TCP, against sockets on loopback: how they come about, carry
// whole messages, and end.
#include "services/registrant/transport/private.h"
#include "tests/unit/transport_fixture.h"

static void tcp_goes_and_comes(int family)
{
    struct fixture f;
    struct address at;
    uint32_t flow = 0, again = 0;
    begin(&f);
    start(&f);
    int listener = peer_socket(family, SOCK_STREAM, &at);
    struct endpoint to = endpoint_of(TRANSPORT_TCP, &at);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &again), 0);
    assert_int_not_equal(flow, 0);
    assert_int_equal(flow, again);
    int peer = peer_accept(&f, listener);
    expect_bytes(&f, peer, REQUEST REQUEST);
    put(peer, STR_LIT(ANSWER ANSWER));
    UNTIL(&f, f.messages == 2);
    assert_string_equal(f.all.p, ANSWER ANSWER);
    assert_int_equal(f.path.flow, flow);
    assert_int_equal(f.path.kind, TRANSPORT_TCP);
    assert_int_equal(transport_stats(f.t).connections, 1);
    (void)close(peer);
    UNTIL(&f, f.lost == 1);
    assert_int_equal(f.lost_flow, flow);
    assert_true(f.lost_up);
    assert_string_equal(f.cause, "closed by the registrar");
    assert_int_equal(transport_stats(f.t).connections, 0);
    (void)close(listener);
    end(&f);
}

static void a_flow_number_is_neither_0_nor_in_use(void **state)
{
    struct fixture f;
    struct address at, at2;
    uint32_t first, second, third;
    begin(&f);
    start(&f);
    int listeners[] = {peer_socket(AF_INET, SOCK_STREAM, &at), peer_socket(AF_INET, SOCK_STREAM, &at2)};
    struct endpoint to = endpoint_of(TRANSPORT_TCP, &at), to2 = endpoint_of(TRANSPORT_TCP, &at2);
    struct endpoint datagrams = endpoint_of(TRANSPORT_UDP, &at);
    f.t->last_flow = UINT32_MAX; // after a year of strangers
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &first), 0);
    assert_int_equal(first, 1);
    transport_keep_alive(f.t, &datagrams, 0, &second);
    assert_int_equal(second, 2);
    f.t->last_flow = 0;
    assert_int_equal(transport_send(f.t, &to2, STR_LIT(REQUEST), &third), 0);
    assert_int_equal(third, 3);
    (void)close(listeners[0]);
    (void)close(listeners[1]);
    end(&f);
}

static void sends_and_receives_over_tcp(void **state)
{
    tcp_goes_and_comes(AF_INET);
    tcp_goes_and_comes(AF_INET6);
}

static void expect_lost(struct tcp *c, const char *cause)
{
    UNTIL(&c->f, c->f.lost == 1);
    assert_int_equal(c->f.lost_flow, c->flow);
    assert_true(c->f.lost_up);
    assert_string_equal(c->f.cause, cause);
    assert_int_equal(transport_stats(c->f.t).lost, 1);
}

static void connects_from_the_interfaces_address(void **state)
{
    struct tcp c;
    struct address from;
    socklen_t bytes = sizeof(from);
    begin(&c.f);
    c.f.interfaces = "two=127.0.0.2";
    start(&c.f);
    c.listener = peer_socket(AF_INET, SOCK_STREAM, &c.at);
    c.to = endpoint_of(TRANSPORT_TCP, &c.at);
    c.to.interface = STR_LIT("two");
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &c.flow), 0);
    c.peer = peer_accept(&c.f, c.listener);
    assert_int_equal(getpeername(c.peer, &from.any, &bytes), 0);
    assert_int_equal(ntohl(from.v4.sin_addr.s_addr), 0x7f000002);
    uint32_t other;
    c.to.interface = STR_NONE; // from elsewhere it is another connection
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &other), 0);
    assert_int_not_equal(other, c.flow);
    close_tcp(&c);
}

static void a_refused_connection_is_told_from_the_loop(void **state)
{
    struct tcp c;
    begin(&c.f);
    start(&c.f);
    (void)close(peer_socket(AF_INET, SOCK_STREAM, &c.at));
    c.to = endpoint_of(TRANSPORT_TCP, &c.at);
    uint64_t began_us = clock_monotonic_us();
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &c.flow), 0);
    assert_int_equal(c.f.lost, 0);
    UNTIL(&c.f, c.f.lost == 1);
    assert_true(clock_monotonic_us() - began_us < SOON_US);
    assert_int_equal(c.f.lost_flow, c.flow);
    assert_false(c.f.lost_up);
    assert_string_equal(c.f.cause, "connection refused");
    assert_int_equal(transport_stats(c.f.t).failed, 1);
    uint32_t next;
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &next), 0);
    assert_true(next > c.flow);
    end(&c.f);
}

static void a_connection_that_cannot_begin_is_told_from_the_loop(void **state)
{
    struct tcp c;
    begin(&c.f);
    start(&c.f);
    assert_true(address_parse(STR_LIT("255.255.255.255"), 5060, &c.at));
    c.to = endpoint_of(TRANSPORT_TCP, &c.at);
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &c.flow), 0);
    assert_int_equal(c.f.lost, 0);
    UNTIL(&c.f, c.f.lost == 1);
    assert_int_equal(c.f.lost_flow, c.flow);
    assert_false(c.f.lost_up);
    assert_string_equal(c.f.cause, "network is unreachable");
    end(&c.f);
}

static void a_connection_that_does_not_come_about_times_out(void **state)
{
    struct tcp c;
    struct address filler[16];
    int fillers[16];
    begin(&c.f);
    c.f.times.connect_ms = 150;
    start(&c.f);
    // a listener whose queue is full answers nobody
    c.listener = peer_socket(AF_INET, SOCK_STREAM, &c.at);
    assert_int_equal(listen(c.listener, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        filler[i] = c.at;
        (void)!connect(fillers[i], &filler[i].any, address_bytes(&filler[i]));
    }
    c.to = endpoint_of(TRANSPORT_TCP, &c.at);
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &c.flow), 0);
    UNTIL(&c.f, c.f.lost == 1);
    assert_false(c.f.lost_up);
    assert_string_equal(c.f.cause, "the connection timed out");
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
        (void)close(fillers[i]);
    (void)close(c.listener);
    end(&c.f);
}

static void a_reset_while_something_waits_is_told(void **state)
{
    struct tcp c;
    const struct linger hard = {.l_onoff = 1};
    begin(&c.f);
    connect_tcp(&c);
    assert_int_equal(setsockopt(c.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    (void)close(c.peer);
    c.peer = -1;
    uint32_t flow;
    assert_int_equal(transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &flow), 0);
    assert_int_equal(flow, c.flow);
    transport_flush(c.f.t);
    assert_int_equal(c.f.lost, 0);
    UNTIL(&c.f, c.f.lost == 1);
    assert_true(c.f.lost_up);
    assert_true(strcmp(c.f.cause, "connection reset by peer") == 0 || strcmp(c.f.cause, "broken pipe") == 0 ||
                strcmp(c.f.cause, "closed by the registrar") == 0);
    close_tcp(&c);
}

static void what_came_before_the_end_is_delivered_before_it(void **state)
{
    struct tcp c;
    begin(&c.f);
    connect_tcp(&c);
    put(c.peer, STR_LIT(ANSWER ANSWER));
    (void)close(c.peer);
    c.peer = -1;
    uint32_t flow;
    (void)!transport_send(c.f.t, &c.to, STR_LIT(REQUEST), &flow); // the peer answers this with a reset
    transport_flush(c.f.t);
    UNTIL(&c.f, c.f.lost == 1);
    assert_int_equal(c.f.messages, 2);
    close_tcp(&c);
}

static void messages_are_whole_however_they_come(void **state)
{
    static const char stream[] = "\r\n" ANSWER "\r\n\r\nSIP/2.0 100 Trying\nl: 2\n\nab" ANSWER;
    struct tcp c;
    begin(&c.f);
    connect_tcp(&c);
    for (size_t i = 0; i < sizeof(stream) - 1; i++) {
        put(c.peer, str_of_bytes(stream + i, 1));
        (void)event_base_loop(c.f.base, EVLOOP_NONBLOCK);
    }
    UNTIL(&c.f, c.f.messages == 3);
    assert_string_equal(c.f.all.p, ANSWER "SIP/2.0 100 Trying\nl: 2\n\nab" ANSWER);
    expect_bytes(&c.f, c.peer, "\r\n"); // it answers pings, too
    assert_int_equal(c.f.lost, 0);
    close_tcp(&c);
}

static void garbage_ends_the_connection(void **state)
{
    struct tcp c;
    begin(&c.f);
    connect_tcp(&c);
    put(c.peer, STR_LIT(ANSWER "HTTP/1.1 200 OK\r\n"));
    expect_lost(&c, "what comes is not SIP");
    assert_int_equal(c.f.messages, 1);
    assert_int_equal(transport_stats(c.f.t).malformed, 1);
    close_tcp(&c);
}

static void ten_megabytes_without_an_end_are_not_kept(void **state)
{
    static char much[65536];
    struct tcp c;
    begin(&c.f);
    connect_tcp(&c);
    put(c.peer, STR_LIT("SIP/2.0 200 OK\r\nX: "));
    memset(much, 'x', sizeof(much));
    for (int i = 0; i < 160 && !c.f.lost; i++) {
        (void)!send(c.peer, much, sizeof(much), MSG_NOSIGNAL);
        (void)event_base_loop(c.f.base, EVLOOP_NONBLOCK);
    }
    expect_lost(&c, "what comes is not SIP");
    close_tcp(&c);
}

static void a_message_that_does_not_end_ends_the_connection(void **state)
{
    struct tcp c;
    begin(&c.f);
    c.f.times.message_ms = 100;
    connect_tcp(&c);
    put(c.peer, STR_LIT(ANSWER "SIP/2.0"));
    for (int i = 0; i < 1000 && !c.f.lost; i++) { // a byte now and then does not help
        (void)!send(c.peer, " ", 1, MSG_NOSIGNAL);
        (void)event_base_loop(c.f.base, EVLOOP_ONCE);
    }
    expect_lost(&c, "a message did not end");
    close_tcp(&c);
}

static void a_peer_that_never_reads_is_given_up(void **state)
{
    static char message[60000] = "REGISTER sip:a SIP/2.0\r\n\r\n";
    struct tcp c;
    uint32_t flow;
    int rc = 0, sent = 0;
    begin(&c.f);
    c.f.times.write_ms = 100;
    connect_tcp(&c);
    for (; rc == 0 && sent < 1000; sent++) {
        rc = transport_send(c.f.t, &c.to, str_of_bytes(message, sizeof(message)), &flow);
        transport_flush(c.f.t);
    }
    assert_int_equal(rc, -ENOBUFS);
    assert_int_equal(c.f.lost, 0);
    expect_lost(&c, "the registrar does not read");
    close_tcp(&c);
}

static void a_slow_reader_gets_everything(void **state)
{
    static char message[60000], got[60000];
    struct tcp c;
    uint32_t flow;
    size_t sent = 0, received = 0;
    begin(&c.f);
    connect_tcp(&c);
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (char)('a' + i % 26);
    while (sent < (20 << 20) || received < sent) { // its queue is never empty before the end
        while (sent < (20 << 20) &&
               transport_send(c.f.t, &c.to, str_of_bytes(message, sizeof(message)), &flow) == 0)
            sent += sizeof(message);
        transport_flush(c.f.t);
        UNTIL(&c.f, can_read(c.peer));
        ssize_t n = recv(c.peer, got, 17777, 0);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            if (got[i] != message[(received + (size_t)i) % sizeof(message)])
                fail_msg("byte %zu is another", received + (size_t)i);
        received += (size_t)n;
    }
    assert_int_equal(c.f.lost, 0);
    close_tcp(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_and_receives_over_tcp),
        cmocka_unit_test(a_flow_number_is_neither_0_nor_in_use),
        cmocka_unit_test(connects_from_the_interfaces_address),
        cmocka_unit_test(a_refused_connection_is_told_from_the_loop),
        cmocka_unit_test(a_connection_that_cannot_begin_is_told_from_the_loop),
        cmocka_unit_test(a_connection_that_does_not_come_about_times_out),
        cmocka_unit_test(a_reset_while_something_waits_is_told),
        cmocka_unit_test(what_came_before_the_end_is_delivered_before_it),
        cmocka_unit_test(messages_are_whole_however_they_come),
        cmocka_unit_test(garbage_ends_the_connection),
        cmocka_unit_test(ten_megabytes_without_an_end_are_not_kept),
        cmocka_unit_test(a_message_that_does_not_end_ends_the_connection),
        cmocka_unit_test(a_peer_that_never_reads_is_given_up),
        cmocka_unit_test(a_slow_reader_gets_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
