// Datagrams and addresses of the registrant's transport, against sockets on loopback.
#include "tests/unit/transport_fixture.h"

// ---- UDP

static void udp_goes_and_comes(int family)
{
    struct fixture f;
    struct address at, from = {0};
    socklen_t bytes = sizeof(from);
    char got[1024];
    uint32_t flow = 7;
    begin(&f);
    start(&f);
    int peer = peer_socket(family, SOCK_DGRAM, &at);
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &at);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
    assert_int_equal(flow, 0);
    assert_false(can_read(peer));
    transport_flush(f.t);
    UNTIL(&f, can_read(peer));
    assert_int_equal(recvfrom(peer, got, sizeof(got), 0, &from.any, &bytes), sizeof(REQUEST) - 1);
    assert_memory_equal(got, REQUEST, sizeof(REQUEST) - 1);
    struct address local = local_address(&f, family);
    assert_true(address_equal(&from, &local));
    assert_int_equal(sendto(peer, ANSWER, sizeof(ANSWER) - 1, 0, &from.any, bytes), sizeof(ANSWER) - 1);
    UNTIL(&f, f.messages == 1);
    assert_string_equal(f.all.p, ANSWER);
    assert_true(address_equal(&f.path.from, &at));
    assert_int_equal(f.path.flow, 0);
    assert_string_equal(f.path.local, transport_local(f.t, TRANSPORT_UDP, STR_NONE, family));
    assert_int_equal(transport_stats(f.t).sent, 1);
    assert_int_equal(transport_stats(f.t).received, 1);
    (void)close(peer);
    end(&f);
}

static void sends_and_receives_over_udp(void **state)
{
    udp_goes_and_comes(AF_INET);
    udp_goes_and_comes(AF_INET6);
}

// ---- how UDP fails

static void refusal_by_icmp_is_told_at_once(int family)
{
    struct fixture f;
    struct address dead, alive;
    uint32_t flow;
    begin(&f);
    start(&f);
    (void)close(peer_socket(family, SOCK_DGRAM, &dead));
    int peer = peer_socket(family, SOCK_DGRAM, &alive);
    struct endpoint to_dead = endpoint_of(TRANSPORT_UDP, &dead), to = endpoint_of(TRANSPORT_UDP, &alive);
    // what others are told must not cost the living a datagram
    for (int i = 0; i < 20; i++) {
        assert_int_equal(transport_send(f.t, &to_dead, STR_LIT(REQUEST), &flow), 0);
        assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
    }
    uint64_t began_us = clock_monotonic_us();
    transport_flush(f.t);
    UNTIL(&f, f.unreachable == 20);
    assert_true(clock_monotonic_us() - began_us < SOON_US);
    assert_true(address_equal(&f.unreachable_to, &dead));
    assert_string_equal(f.cause, "connection refused");
    char got[1024];
    for (int i = 0; i < 20; i++)
        assert_int_equal(recv(peer, got, sizeof(got), 0), sizeof(REQUEST) - 1);
    assert_false(can_read(peer));
    (void)close(peer);
    end(&f);
}

static void tells_of_icmp_at_once(void **state)
{
    refusal_by_icmp_is_told_at_once(AF_INET);
    refusal_by_icmp_is_told_at_once(AF_INET6);
}

static void tells_of_icmp_for_many_that_left_as_one(void **state)
{
    struct fixture f;
    struct address dead;
    uint32_t flow;
    for (int v6 = 0; v6 < 2; v6++) {
        begin(&f);
        start(&f);
        (void)close(peer_socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, &dead));
        struct endpoint to = endpoint_of(TRANSPORT_UDP, &dead);
        for (int i = 0; i < 20; i++)
            assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
        transport_flush(f.t);
        UNTIL(&f, f.unreachable > 0); // once may be all: a kernel may look for the receiver once
        assert_true(address_equal(&f.unreachable_to, &dead));
        end(&f);
    }
}

static void what_the_system_refuses_is_told_from_the_loop(void **state)
{
    struct fixture f;
    struct address far;
    uint32_t flow;
    begin(&f);
    start(&f);
    assert_true(address_parse(STR_LIT("255.255.255.255"), 5060, &far)); // broadcasts are not allowed
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &far);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
    transport_flush(f.t);
    assert_int_equal(f.unreachable, 0);
    UNTIL(&f, f.unreachable == 1);
    assert_true(address_equal(&f.unreachable_to, &far));
    assert_string_equal(f.cause, "permission denied");
    end(&f);
}

static void more_datagrams_than_a_batch_all_leave_in_order(void **state)
{
    enum { COUNT = 500 };
    struct fixture f;
    struct address at;
    uint32_t flow;
    char text[256], got[256];
    begin(&f);
    start(&f);
    int peer = peer_socket(AF_INET, SOCK_DGRAM, &at), size = 1 << 20;
    (void)setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &at);
    for (int i = 0, seen = 0; i < COUNT; i++) {
        int n = snprintf(text, sizeof(text), "REGISTER sip:a SIP/2.0\r\nCSeq: %d\r\n\r\n", i);
        assert_int_equal(transport_send(f.t, &to, str_of_bytes(text, (size_t)n), &flow), 0);
        if (i == COUNT - 1)
            transport_flush(f.t);
        for (ssize_t count; (count = recv(peer, got, sizeof(got) - 1, MSG_DONTWAIT)) > 0; seen++) {
            got[count] = '\0';
            assert_int_equal(atoi(strstr(got, "CSeq: ") + 6), seen);
        }
        assert_true(i - seen < 64);
        assert_true(i < COUNT - 1 || seen == COUNT);
    }
    end(&f);
    (void)close(peer);
}

static void a_datagram_has_its_greatest_size(void **state)
{
    static char text[66000] = "REGISTER sip:a SIP/2.0\r\n";
    struct fixture f;
    struct address at;
    uint32_t flow;
    begin(&f);
    start(&f);
    int peer = peer_socket(AF_INET, SOCK_DGRAM, &at);
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &at);
    assert_int_equal(transport_send(f.t, &to, str_of_bytes(text, 65508), &flow), -EMSGSIZE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(transport_send(f.t, &to, str_of_bytes(text, 65507), &flow), 0);
    transport_flush(f.t);
    UNTIL(&f, can_read(peer));
    assert_int_equal(recv(peer, text, sizeof(text), 0), 65507);
    struct address local = local_address(&f, AF_INET);
    assert_int_equal(sendto(peer, text, 65507, 0, &local.any, address_bytes(&local)), 65507);
    UNTIL(&f, f.messages == 1);
    assert_int_equal(f.all.n, 65507);
    (void)close(peer);
    end(&f);
}

static void datagrams_that_are_no_sip_are_counted_at_most(void **state)
{
    struct fixture f;
    struct address at;
    begin(&f);
    start(&f);
    int peer = peer_socket(AF_INET, SOCK_DGRAM, &at);
    struct address local = local_address(&f, AF_INET);
    static const struct str datagrams[] = {
        {"", 0},
        {"\r\n\r\n", 4},
        {"\0\0\0\0", 4},
        {"jaK", 3}, // keep-alives of all kinds
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x16\x03\x01\x02\x00", 5},
        {"SIP/2.0x\r\n\r\n", 12}, // nonsense
        {"\x01\x01\x00\x08\x21\x12\xa4\x42 a STUN answer ", 24},
    };
    for (size_t i = 0; i < ARRAY_LEN(datagrams); i++)
        (void)sendto(peer, datagrams[i].p, datagrams[i].n, 0, &local.any, address_bytes(&local));
    (void)sendto(peer, "\r\n" ANSWER, sizeof(ANSWER) + 1, 0, &local.any, address_bytes(&local));
    UNTIL(&f, f.messages == 1);
    assert_string_equal(f.all.p, ANSWER);
    assert_int_equal(transport_stats(f.t).malformed, 4);
    assert_int_equal(transport_stats(f.t).received, 1);
    (void)close(peer);
    end(&f);
}

static void a_reply_goes_the_way_the_message_came(void **state)
{
    struct fixture f;
    struct address at;
    begin(&f);
    f.interfaces = "other=127.0.0.1";
    f.answer = ANSWER;
    start(&f);
    int udp = peer_socket(AF_INET, SOCK_DGRAM, &at);
    const char *local = transport_local(f.t, TRANSPORT_UDP, STR_LIT("other"), AF_INET);
    struct address there = loopback(AF_INET, (uint16_t)atoi(strchr(local, ':') + 1)), from;
    socklen_t bytes = sizeof(from);
    (void)sendto(udp, REQUEST, sizeof(REQUEST) - 1, 0, &there.any, address_bytes(&there));
    UNTIL(&f, f.messages == 1);
    assert_string_equal(f.path.local, local);
    transport_flush(f.t);
    UNTIL(&f, can_read(udp));
    char got[256];
    assert_int_equal(recvfrom(udp, got, sizeof(got), 0, &from.any, &bytes), sizeof(ANSWER) - 1);
    assert_true(address_equal(&from, &there));
    (void)close(udp);
    end(&f);
}

// ---- where from

static void each_interface_has_its_own_address(void **state)
{
    struct fixture f;
    struct address at = loopback(AF_INET, 9), at6 = loopback(AF_INET6, 9);
    uint32_t flow;
    begin(&f);
    f.listen = "127.0.0.1";
    f.interfaces = "a=127.0.0.2, a=[::1]:0 ,b=127.0.0.3:0";
    start(&f);
    assert_memory_equal(transport_local(f.t, TRANSPORT_UDP, STR_NONE, AF_UNSPEC), "127.0.0.1:", 10);
    assert_memory_equal(transport_local(f.t, TRANSPORT_UDP, STR_LIT("a"), AF_UNSPEC), "127.0.0.2:", 10);
    assert_memory_equal(transport_local(f.t, TRANSPORT_TCP, STR_LIT("a"), AF_INET6), "[::1]:", 6);
    assert_memory_equal(transport_local(f.t, TRANSPORT_TCP, STR_LIT("b"), AF_INET), "127.0.0.3:", 10);
    assert_null(transport_local(f.t, TRANSPORT_UDP, STR_LIT("b"), AF_INET6));
    assert_null(transport_local(f.t, TRANSPORT_UDP, STR_LIT("c"), AF_UNSPEC));
    assert_null(transport_local(f.t, TRANSPORT_WS, STR_NONE, AF_UNSPEC));
    struct endpoint to = endpoint_of(TRANSPORT_UDP, &at6);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), -EADDRNOTAVAIL);
    to = endpoint_of(TRANSPORT_TCP, &at);
    to.interface = STR_LIT("c");
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), -EADDRNOTAVAIL);
    to = endpoint_of(TRANSPORT_WS, &at);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), -EPROTONOSUPPORT);
    end(&f);
}

static void listening_on_all_addresses_gives_a_real_one(void **state)
{
    struct fixture f;
    struct address a;
    begin(&f);
    f.listen = "0.0.0.0,::";
    start(&f);
    for (int i = 0; i < 2; i++) {
        const char *text = transport_local(f.t, TRANSPORT_UDP, STR_NONE, i ? AF_INET6 : AF_INET);
        struct str host = str_slice(str_of(text), (size_t)i, str_of(text).n);
        host = str_slice(host, 0, str_find(host, i ? ']' : ':', 0));
        assert_true(address_parse(host, 0, &a));
        assert_true(i ? !IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr) : a.v4.sin_addr.s_addr != 0);
    }
    end(&f);
}

static void addresses_that_cannot_be_are_errors(void **state)
{
    static const struct {
        const char *listen, *interfaces, *error;
    } rows[] = {
        {"example.com", NULL, "SIP address: \"example.com\" is no numeric address with or without a port"},
        {"127.0.0.1:65536", NULL,
         "SIP address: \"127.0.0.1:65536\" is no numeric address with or without a port"},
        {"127.0.0.1,127.0.0.2", NULL, "SIP address: \"127.0.0.2\" is a second address of its family"},
        {"", NULL, "there is no SIP address to send from"},
        {"192.0.2.1", NULL, "SIP address: 192.0.2.1: Cannot assign requested address"},
        {"127.0.0.1", "127.0.0.2", "SIP interface \"127.0.0.2\" is not name=address"},
        {"127.0.0.1", "a=127.0.0.2,a=127.0.0.3",
         "SIP interface a: \"127.0.0.3\" is a second address of its family"},
        {"127.0.0.1", "a=[::1", "SIP interface a: \"[::1\" is no numeric address with or without a port"},
    };
    struct fixture f;
    struct error err;
    begin(&f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f.listen = rows[i].listen;
        f.interfaces = rows[i].interfaces;
        if (open_transport(&f, &err) >= 0)
            fail_msg("%s, %s is taken", rows[i].listen, rows[i].interfaces);
        assert_string_equal(err.text, rows[i].error);
    }
    end(&f);
}

static void a_taken_port_is_an_error_be_it_udp_or_tcp(void **state)
{
    struct fixture f;
    struct error err;
    struct address at;
    char listen[64];
    for (int i = 0; i < 2; i++) {
        begin(&f);
        int taken = peer_socket(AF_INET, i ? SOCK_STREAM : SOCK_DGRAM, &at);
        (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", address_port(&at));
        f.listen = listen;
        int next = dup(taken), after;
        (void)close(next);
        assert_int_equal(open_transport(&f, &err), -EADDRINUSE);
        after = dup(taken);
        assert_int_equal(after, next); // no descriptor of the attempt is left
        (void)close(after);
        (void)close(taken);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_and_receives_over_udp),
        cmocka_unit_test(tells_of_icmp_at_once),
        cmocka_unit_test(tells_of_icmp_for_many_that_left_as_one),
        cmocka_unit_test(what_the_system_refuses_is_told_from_the_loop),
        cmocka_unit_test(more_datagrams_than_a_batch_all_leave_in_order),
        cmocka_unit_test(a_datagram_has_its_greatest_size),
        cmocka_unit_test(datagrams_that_are_no_sip_are_counted_at_most),
        cmocka_unit_test(a_reply_goes_the_way_the_message_came),
        cmocka_unit_test(each_interface_has_its_own_address),
        cmocka_unit_test(listening_on_all_addresses_gives_a_real_one),
        cmocka_unit_test(addresses_that_cannot_be_are_errors),
        cmocka_unit_test(a_taken_port_is_an_error_be_it_udp_or_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
