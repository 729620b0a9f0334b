// Datagrams, connections, and addresses of the registrant's transport, against sockets on loopback.
#include "tests/unit/transport_fixture.h"

#include <netinet/tcp.h>

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

// ---- TCP

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

static void sends_and_receives_over_tcp(void **state)
{
    tcp_goes_and_comes(AF_INET);
    tcp_goes_and_comes(AF_INET6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_and_receives_over_udp),
        cmocka_unit_test(sends_and_receives_over_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
