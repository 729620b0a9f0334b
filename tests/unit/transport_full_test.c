// A UDP socket that takes no more, or only some, or gives errors of earlier datagrams: sendmmsg is the
// test's.
#include "services/registrant/transport/datagram.h"
#include "tests/unit/transport_fixture.h"

int __real_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

// What the next calls give: so many messages leave at most, or a negative errno. Used up, all leave.
static int script[64];
static unsigned script_at, script_count;
static unsigned messages_sent; // a run is one
static int error_of_runs;      // what a call gives that begins with one; 0: it leaves

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (error_of_runs && messages[0].msg_hdr.msg_iovlen > 1) {
        errno = error_of_runs;
        return -1;
    }
    int most = script_at < script_count ? script[script_at++] : (int)count;
    if (most < 0) {
        errno = -most;
        return -1;
    }
    int sent = __real_sendmmsg(fd, messages, count < (unsigned)most ? count : (unsigned)most, flags);
    messages_sent += sent > 0 ? (unsigned)sent : 0;
    return sent;
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
    if (count)
        memcpy(script, steps, count * sizeof(script[0]));
    script_at = messages_sent = 0;
    script_count = count;
    error_of_runs = 0;
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

// ---- runs of one size

static void send_equal(struct full *u, int from, int to, int size)
{
    uint32_t flow;
    char text[2048];
    for (int i = from; i < to; i++) {
        int n = snprintf(text, sizeof(text), "%d REGISTER", i);
        memset(text + n, 'x', (size_t)(size - n));
        memcpy(text + size - 4, "\r\n\r\n", 4);
        assert_int_equal(transport_send(u->f.t, &u->to, str_of_bytes(text, (size_t)size), &flow), 0);
    }
}

static void equal_datagrams_leave_as_one_message(void **state)
{
    struct full u;
    begin_full(&u, NULL, 0);
    send_equal(&u, 0, 30, 600);
    send_equal(&u, 30, 31, 599); // a shorter one may end a run
    send_equal(&u, 31, 51, 600);
    send_equal(&u, 51, 55, 1500); // too large for any link
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 2 + 4);
    expect_numbered(&u, 55);
    send_equal(&u, 55, 119, 1200); // more than a datagram may have
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 6 + 2);
    expect_numbered(&u, 119);
    end_full(&u);
}

static void a_run_is_for_one_address(void **state)
{
    struct full u;
    struct address other_at;
    uint32_t flow;
    begin_full(&u, NULL, 0);
    int other = peer_socket(AF_INET, SOCK_DGRAM, &other_at);
    const struct endpoint elsewhere = endpoint_of(TRANSPORT_UDP, &other_at);
    send_equal(&u, 0, 3, 600);
    assert_int_equal(transport_send(u.f.t, &elsewhere, STR_LIT(REQUEST), &flow), 0);
    send_equal(&u, 3, 6, 600);
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 3);
    expect_numbered(&u, 6);
    expect_bytes(&u.f, other, REQUEST);
    assert_false(can_read(other));
    (void)close(other);
    end_full(&u);
}

static void where_runs_are_not_taken_all_leave_singly(void **state)
{
    struct full u;
    begin_full(&u, NULL, 0);
    error_of_runs = EIO; // as of a device that cannot do checksums
    send_equal(&u, 0, 20, 600);
    transport_flush(u.f.t);
    expect_numbered(&u, 20);
    error_of_runs = 0;
    messages_sent = 0;
    send_equal(&u, 20, 40, 600); // it is not tried again
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 20);
    expect_numbered(&u, 40);
    assert_int_equal(u.f.unreachable, 0);
    end_full(&u);
}

static void a_run_to_a_bad_address_does_not_end_runs(void **state)
{
    struct full u;
    begin_full(&u, (const int[]){-EINVAL, -EINVAL, -EINVAL, -EINVAL}, 4); // the run, then each of it
    send_equal(&u, 0, 3, 600);
    transport_flush(u.f.t);
    UNTIL(&u.f, u.f.unreachable == 3);
    messages_sent = 0;
    send_equal(&u, 0, 20, 600);
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 1);
    expect_numbered(&u, 20);
    end_full(&u);
}

static void a_run_waits_for_room_like_any_other(void **state)
{
    struct full u;
    begin_full(&u, (const int[]){1, -EAGAIN, -EAGAIN}, 3);
    send_equal(&u, 0, 10, 600);
    send_equal(&u, 10, 20, 700);
    transport_flush(u.f.t);
    assert_int_equal(messages_sent, 1);
    send_equal(&u, 20, 25, 700);
    expect_numbered(&u, 25);
    assert_int_equal(messages_sent, 2);
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
        cmocka_unit_test(equal_datagrams_leave_as_one_message),
        cmocka_unit_test(a_run_is_for_one_address),
        cmocka_unit_test(where_runs_are_not_taken_all_leave_singly),
        cmocka_unit_test(a_run_to_a_bad_address_does_not_end_runs),
        cmocka_unit_test(a_run_waits_for_room_like_any_other),
        cmocka_unit_test(a_connection_that_takes_little_at_a_time_gets_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
