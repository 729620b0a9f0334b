// The end of an event loop: what libevent put off is done before the base goes.
#include "common/event/base_end.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONNECTIONS = 100 }; // more than libevent runs of what is put off in one turn

static void never(struct bufferevent *connection, void *arg)
{
    (void)connection;
    (void)arg;
    fail_msg("a callback of what was freed ran");
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

static void connect_pair(struct event_base *base, struct bufferevent **ret, int *ret_fd, int *ret_peer)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *ret = bufferevent_socket_new(base, pair[0], BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    assert_non_null(*ret);
    *ret_fd = pair[0];
    *ret_peer = pair[1];
}

static void a_connection_freed_with_a_callback_put_off_is_closed(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct bufferevent *connections[CONNECTIONS];
    int fds[CONNECTIONS], peers[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        connect_pair(base, &connections[i], &fds[i], &peers[i]);
        bufferevent_setcb(connections[i], never, NULL, NULL, NULL);
        bufferevent_trigger(connections[i], EV_READ, 0);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        bufferevent_free(connections[i]);
    base_end(base);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_false(is_open(fds[i]));
        (void)close(peers[i]);
    }
}

static void a_loop_that_was_broken_off_ends_all_the_same(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct bufferevent *connection;
    int fd, peer;
    connect_pair(base, &connection, &fd, &peer);
    (void)event_base_loopbreak(base);
    bufferevent_free(connection);
    base_end(base);
    assert_false(is_open(fd));
    (void)close(peer);
}

static void an_empty_loop_ends_at_once(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    assert_non_null(base);
    base_end(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_freed_with_a_callback_put_off_is_closed),
        cmocka_unit_test(a_loop_that_was_broken_off_ends_all_the_same),
        cmocka_unit_test(an_empty_loop_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
