// Connections that others make to the registrant's transport: what they may cost, and that they are served.
#include "tests/unit/transport_fixture.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

// From 127.0.0.<host>.
static int connect_from(struct fixture *f, unsigned host)
{
    struct address there = local_address(f, AF_INET), here = loopback(AF_INET, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.v4.sin_addr.s_addr = htonl(0x7f000000 + host);
    assert_int_equal(bind(fd, &here.any, address_bytes(&here)), 0);
    assert_int_equal(connect(fd, &there.any, address_bytes(&there)), 0);
    (void)evutil_make_socket_nonblocking(fd);
    return fd;
}

static int connect_to(struct fixture *f)
{
    return connect_from(f, 1);
}

static void listens_on_the_same_port_for_tcp(void **state)
{
    struct fixture f;
    begin(&f);
    f.answer = ANSWER;
    start(&f);
    int fd = connect_to(&f);
    put(fd, STR_LIT(REQUEST "\r\n\r\n"));
    UNTIL(&f, f.messages == 1);
    assert_string_equal(f.all.p, REQUEST);
    assert_int_equal(f.path.kind, TRANSPORT_TCP);
    assert_int_not_equal(f.path.flow, 0);
    assert_string_equal(f.path.local, transport_local(f.t, TRANSPORT_TCP, STR_NONE, AF_INET));
    transport_flush(f.t);
    expect_bytes(&f, fd, ANSWER "\r\n");
    assert_int_equal(transport_stats(f.t).accepted, 1);
    assert_int_equal(transport_stats(f.t).connections, 0);
    (void)close(fd);
    int silent = connect_to(&f);
    UNTIL(&f, transport_stats(f.t).accepted == 2);
    assert_int_equal(f.lost, 0); // nobody is told of the first one's end
    (void)close(silent);
    end(&f);
}

static void silence_ends_anothers_connection(void **state)
{
    struct fixture f;
    char c;
    begin(&f);
    f.times.incoming_idle_ms = 50;
    start(&f);
    int fd = connect_to(&f);
    UNTIL(&f, can_read(fd));
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    assert_int_equal(f.lost, 0);
    (void)close(fd);
    end(&f);
}

static void a_flood_of_pings_is_answered_once_a_read(void **state)
{
    static char pings[40000];
    struct fixture f;
    char got[1024];
    begin(&f);
    start(&f);
    for (size_t i = 0; i < sizeof(pings); i++)
        pings[i] = "\r\n"[i % 2];
    int fd = connect_to(&f);
    put(fd, str_of_bytes(pings, sizeof(pings)));
    UNTIL(&f, can_read(fd));
    ssize_t n = recv(fd, got, sizeof(got), 0);
    assert_true(n >= 2 && n <= 100);
    assert_memory_equal(got, "\r\n", 2);
    (void)close(fd);
    end(&f);
}

// Its segments and its window are small, so that the system takes little of what it does not read.
static int connect_narrowly(struct fixture *f)
{
    struct address there = local_address(f, AF_INET);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), segment = 536, window = 4096;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window)), 0);
    assert_int_equal(connect(fd, &there.any, address_bytes(&there)), 0);
    return fd;
}

static void little_is_kept_for_a_stranger_who_does_not_read(void **state)
{
    enum { ASKED = 200, MOST = 100 }; // the latter times the answer: no megabyte
    static char answer[8001];
    struct fixture f;
    memset(answer, 'x', sizeof(answer) - 1);
    memcpy(answer, "SIP/2.0 200 ", 12);
    begin(&f);
    f.answer = answer;
    start(&f);
    int fd = connect_narrowly(&f);
    for (unsigned i = 0; i < ASKED; i++) {
        put(fd, STR_LIT(REQUEST));
        UNTIL(&f, f.messages > i);
        transport_flush(f.t);
    }
    assert_in_range(transport_stats(f.t).sent, 1, MOST);
    (void)close(fd);
    end(&f);
}

static void a_stranger_who_never_pauses_has_a_little_of_each_turn(void **state)
{
    enum { SENT = 20000, MOST = 200 };
    struct fixture f;
    int small = 4096;
    size_t taken = 0;
    begin(&f);
    start(&f);
    int fd = connect_to(&f);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    UNTIL(&f, transport_stats(f.t).accepted == 1);
    while (taken < SENT && send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL) == sizeof(REQUEST) - 1)
        taken++;
    assert_in_range(taken, MOST + 1, SENT - 1); // the system keeps some, and not a megabyte
    UNTIL(&f, f.messages > 0);
    assert_in_range(f.messages, 1, MOST);
    UNTIL(&f, f.messages >= taken);
    (void)close(fd);
    end(&f);
}

static void so_many_connections_of_others_at_most(void **state)
{
    enum { MOST = 1024, MORE = 20, SOURCE = 60 };
    static int fds[MOST + MORE];
    struct fixture f;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    begin(&f);
    start(&f);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_from(&f, 1 + (unsigned)i / SOURCE);
        (void)event_base_loop(f.base, EVLOOP_NONBLOCK);
    }
    for (size_t i = MOST; i < ARRAY_LEN(fds); i++) {
        char c;
        UNTIL(&f, can_read(fds[i]));
        assert_true(recv(fds[i], &c, 1, 0) <= 0); // closed at once
    }
    assert_int_equal(transport_stats(f.t).accepted, MOST);
    put(fds[MOST - 1], STR_LIT(REQUEST)); // and the others are served
    UNTIL(&f, f.messages == 1);
    (void)close(fds[0]);
    (void)close(fds[MOST]);
    put(fds[1], STR_LIT(REQUEST));
    UNTIL(&f, f.messages == 2); // by now the end of the first was seen
    fds[0] = connect_to(&f);
    fds[MOST] = -1;
    put(fds[0], STR_LIT(REQUEST));
    UNTIL(&f, f.messages == 3);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    end(&f);
}

static void one_address_leaves_room_for_others(void **state)
{
    enum { SOURCE = 64 };
    int fds[SOURCE + 2];
    struct fixture f;
    char c;
    begin(&f);
    start(&f);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_from(&f, i <= SOURCE ? 1 : 2);
        (void)event_base_loop(f.base, EVLOOP_NONBLOCK);
    }
    UNTIL(&f, can_read(fds[SOURCE]));
    assert_true(recv(fds[SOURCE], &c, 1, 0) <= 0); // closed at once
    put(fds[SOURCE + 1], STR_LIT(REQUEST));
    UNTIL(&f, f.messages == 1);
    assert_int_equal(transport_stats(f.t).accepted, SOURCE + 1);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
    end(&f);
}

static void strangers_leave_the_last_descriptors(void **state)
{
    enum { SPARE = 64, TRIED = 30 };
    int fds[TRIED];
    struct fixture f;
    struct address at;
    struct rlimit before, few;
    uint32_t flow;
    begin(&f);
    start(&f);
    int listener = peer_socket(AF_INET, SOCK_STREAM, &at), next = dup(listener);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)next + SPARE, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (size_t i = 0; i < TRIED; i++) {
        fds[i] = connect_to(&f);
        (void)event_base_loop(f.base, EVLOOP_NONBLOCK);
    }
    UNTIL(&f, can_read(fds[TRIED - 1])); // closed
    assert_in_range(transport_stats(f.t).accepted, 1, TRIED - 1);
    struct endpoint to = endpoint_of(TRANSPORT_TCP, &at);
    assert_int_equal(transport_send(f.t, &to, STR_LIT(REQUEST), &flow), 0);
    int peer = peer_accept(&f, listener);
    expect_bytes(&f, peer, REQUEST);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < TRIED; i++)
        (void)close(fds[i]);
    (void)close(peer);
    (void)close(listener);
    end(&f);
}

static void without_descriptors_it_accepts_later(void **state)
{
    struct fixture f;
    struct rlimit before, none;
    begin(&f);
    start(&f);
    int fd = connect_to(&f), next = dup(fd);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    put(fd, STR_LIT(REQUEST));
    unsigned turns = 0;
    for (uint64_t end_us = clock_monotonic_us() + 30000; clock_monotonic_us() < end_us; turns++)
        (void)event_base_loop(f.base, EVLOOP_ONCE);
    assert_true(turns < 500); // it does not spin
    assert_int_equal(f.messages, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    UNTIL(&f, f.messages == 1);
    (void)close(fd);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listens_on_the_same_port_for_tcp),
        cmocka_unit_test(silence_ends_anothers_connection),
        cmocka_unit_test(a_flood_of_pings_is_answered_once_a_read),
        cmocka_unit_test(little_is_kept_for_a_stranger_who_does_not_read),
        cmocka_unit_test(a_stranger_who_never_pauses_has_a_little_of_each_turn),
        cmocka_unit_test(so_many_connections_of_others_at_most),
        cmocka_unit_test(one_address_leaves_room_for_others),
        cmocka_unit_test(strangers_leave_the_last_descriptors),
        cmocka_unit_test(without_descriptors_it_accepts_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
