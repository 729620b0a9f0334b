// A UDP socket that takes no more, or only some, or gives errors of earlier datagrams: sendmmsg is the
// test's.
#include "services/registrant/transport/datagram.h"
#include "tests/unit/transport_fixture.h"

int __real_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

// What the next calls give: so many leave at most, or a negative errno. Used up, all leave.
static int script[64];
static unsigned script_at, script_count;

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int most = script_at < script_count ? script[script_at++] : (int)count;
    if (most < 0) {
        errno = -most;
        return -1;
    }
    return __real_sendmmsg(fd, messages, count < (unsigned)most ? count : (unsigned)most, flags);
}

ssize_t __real_send(int fd, const void *bytes, size_t count, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t count, int flags);

static size_t send_most; // at once, and nothing at every other call; 0: all
static bool send_full;

ssize_t __wrap_send(int fd, const void *bytes, size_t count, int flags)
{
    send_full = send_most && !send_full;
    if (!send_full && send_most) {
        errno = EAGAIN;
        return -1;
    }
    return __real_send(fd, bytes, send_most && count > send_most ? send_most : count, flags);
}

struct full {
    struct fixture f;
    struct address at;
    struct endpoint to;
    int peer, next; // what the peer has to see next
};

static void begin_full(struct full *u, const int *steps, unsigned count)
{
    memcpy(script, steps, count * sizeof(script[0]));
    script_at = 0;
    script_count = count;
    begin(&u->f);
    start(&u->f);
    u->peer = peer_socket(AF_INET, SOCK_DGRAM, &u->at);
    u->to = endpoint_of(TRANSPORT_UDP, &u->at);
    u->next = 0;
}

static void end_full(struct full *u)
{
    assert_int_equal(script_at, script_count);
    (void)close(u->peer);
    end(&u->f);
}

static void send_numbered(struct full *u, int from, int to)
{
    uint32_t flow;
    char text[1024];
    for (int i = from; i < to; i++) { // of different sizes
        int n = snprintf(text, sizeof(text), "%d REGISTER sip:a SIP/2.0\r\n%*s\r\n\r\n", i, i * 7 % 300, "");
        assert_int_equal(transport_send(u->f.t, &u->to, str_of_bytes(text, (size_t)n), &flow), 0);
    }
}

static void expect_numbered(struct full *u, int to)
{
    char got[2048];
    for (; u->next < to; u->next++) {
        UNTIL(&u->f, can_read(u->peer));
        ssize_t n = recv(u->peer, got, sizeof(got) - 1, 0);
        assert_true(n > 0);
        got[n] = '\0';
        assert_int_equal(atoi(got), u->next);
        assert_string_equal(got + n - 4, "\r\n\r\n");
    }
}

static void what_does_not_fit_leaves_when_there_is_room(void **state)
{
    struct full u;
    begin_full(&u, (const int[]){5, -EAGAIN, 3, 1, -ENOBUFS, -EAGAIN}, 6);
    send_numbered(&u, 0, 20);
    transport_flush(u.f.t);
    assert_int_equal(script_at, 2);
    send_numbered(&u, 20, 30); // behind those that wait
    expect_numbered(&u, 30);
    assert_false(can_read(u.peer));
    assert_int_equal(u.f.unreachable, 0);
    end_full(&u);
}

static void a_socket_that_stays_full_drops_what_comes_last(void **state)
{
    struct full u;
    begin_full(&u, (const int[]){-EAGAIN, -EAGAIN, -EAGAIN}, 3);
    send_numbered(&u, 0, 64 + 2); // the last two find 64 waiting
    transport_flush(u.f.t);
    expect_numbered(&u, 64);
    send_numbered(&u, 64, 70);
    transport_flush(u.f.t);
    expect_numbered(&u, 70);
    assert_int_equal(u.f.unreachable, 0);
    end_full(&u);
}

static void anothers_error_costs_no_datagram(void **state)
{
    struct full u;
    begin_full(&u, (const int[]){2, -ECONNREFUSED, -EHOSTUNREACH, 1, -ECONNREFUSED}, 5);
    send_numbered(&u, 0, 10);
    transport_flush(u.f.t);
    expect_numbered(&u, 10);
    assert_int_equal(u.f.unreachable, 0);
    end_full(&u);
}

static void its_own_error_costs_that_one_alone(void **state)
{
    static const int steps[] = {3,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH,
                                -ENETUNREACH};
    struct full u;
    begin_full(&u, steps, ARRAY_LEN(steps));
    send_numbered(&u, 0, 10);
    transport_flush(u.f.t);
    expect_numbered(&u, 3);
    u.next = 4;
    expect_numbered(&u, 10);
    UNTIL(&u.f, u.f.unreachable == 1);
    assert_string_equal(u.f.cause, "network is unreachable");
    assert_true(address_equal(&u.f.unreachable_to, &u.at));
    end_full(&u);
}

static void a_connection_that_takes_little_at_a_time_gets_all_in_order(void **state)
{
    enum { ALL = 4 << 20 };
    static char message[50000], got[50000];
    struct full u;
    uint32_t flow;
    size_t sent = 0, received = 0;
    begin(&u.f);
    start(&u.f);
    int listener = peer_socket(AF_INET, SOCK_STREAM, &u.at);
    u.to = endpoint_of(TRANSPORT_TCP, &u.at);
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (char)('a' + i % 26);
    send_most = 33333;
    while (sent < ALL || received < sent) {
        while (sent < ALL && transport_send(u.f.t, &u.to, str_of_bytes(message, sizeof(message)), &flow) == 0)
            sent += sizeof(message);
        if (!received)
            u.peer = peer_accept(&u.f, listener);
        UNTIL(&u.f, can_read(u.peer));
        ssize_t n = recv(u.peer, got, sizeof(got), 0);
        for (ssize_t i = 0; i < n; i++)
            if (got[i] != message[(received + (size_t)i) % sizeof(message)])
                fail_msg("byte %zu is another", received + (size_t)i);
        received += (size_t)n;
    }
    send_most = 0;
    assert_int_equal(u.f.lost, 0);
    (void)close(u.peer);
    (void)close(listener);
    end(&u.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_leaves_when_there_is_room),
        cmocka_unit_test(a_socket_that_stays_full_drops_what_comes_last),
        cmocka_unit_test(anothers_error_costs_no_datagram),
        cmocka_unit_test(its_own_error_costs_that_one_alone),
        cmocka_unit_test(a_connection_that_takes_little_at_a_time_gets_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
