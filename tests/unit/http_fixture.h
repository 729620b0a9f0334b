// A server of common/http on loopback and raw clients, all on one loop. A client sends bytes and the loop
// turns until what is awaited has come; a deadline of a minute (valgrind is slow) fails the test.
#ifndef ROLLCALL_TESTS_HTTP_FIXTURE_H
#define ROLLCALL_TESTS_HTTP_FIXTURE_H

#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "common/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka needs some of the above
#include <cmocka.h>

struct fixture {
    struct event_base *base;
    struct http_server *server;
    uint16_t port;
    struct event *deadline;
    bool late;
};

struct client {
    struct fixture *f;
    int fd;
    struct event *readable;
    struct buf got;
    bool closed; // end or reset
    bool reset;
    bool deaf; // reads nothing
};

static inline void fixture_late(evutil_socket_t fd, short what, void *arg)
{
    ((struct fixture *)arg)->late = true;
}

// One turn of the loop; false when the time is up.
static inline bool turn(struct fixture *f)
{
    (void)event_base_loop(f->base, EVLOOP_ONCE);
    return !f->late;
}

static inline void begin_wait(struct fixture *f)
{
    f->late = false;
    (void)event_add(f->deadline, &(struct timeval){.tv_sec = 60});
}

#define WAIT_UNTIL(f, condition)                                                                             \
    do {                                                                                                     \
        begin_wait(f);                                                                                       \
        while (!(condition))                                                                                 \
            if (!turn(f))                                                                                    \
                fail_msg("not within a minute: %s", #condition);                                             \
        (void)event_del((f)->deadline);                                                                      \
    } while (0)

// The server's base and socket are made here.
static inline void fixture_init_with(struct fixture *f, const struct http_server_params *p)
{
    struct error err;
    int fd = -1;
    (void)signal(SIGPIPE, SIG_IGN);
    *f = (struct fixture){.base = event_base_new()};
    f->deadline = event_new(f->base, -1, 0, fixture_late, f);
    if (http_listen("127.0.0.1:0", false, &fd, &f->port, &err))
        fail_msg("%s", err.text);
    struct http_server_params params = *p;
    params.base = f->base;
    params.listen_fd = fd;
    f->server = http_server_new(&params);
}

static inline void fixture_init(struct fixture *f, struct http_limits limits, void *arg,
                                void (*on_request)(void *arg, struct http_request *r))
{
    fixture_init_with(f,
                      &(struct http_server_params){.limits = limits, .arg = arg, .on_request = on_request});
}

static inline void fixture_done(struct fixture *f)
{
    http_server_free(f->server);
    event_free(f->deadline);
    base_end(f->base);
}

static inline void client_readable(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    static char bytes[65536];
    ssize_t count = recv(fd, bytes, sizeof(bytes), 0);
    if (count > 0) {
        buf_add(&c->got, bytes, (size_t)count);
        return;
    }
    c->closed = true;
    c->reset = count < 0;
    (void)event_del(c->readable);
}

static inline void client_connect(struct client *c, struct fixture *f)
{
    *c = (struct client){.f = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(c->fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    const int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); // pieces are to arrive as pieces
    (void)evutil_make_socket_nonblocking(c->fd);
    c->readable = event_new(f->base, c->fd, EV_READ | EV_PERSIST, client_readable, c);
    (void)event_add(c->readable, NULL);
}

static inline void client_close(struct client *c)
{
    event_free(c->readable);
    (void)close(c->fd);
    buf_done(&c->got);
}

// Closes so that the server gets a reset.
static inline void client_abort(struct client *c)
{
    const struct linger now = {.l_onoff = 1};
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    client_close(c);
}

// Sends all of it, the loop turning while the server's window is shut.
static inline void client_send(struct client *c, struct str bytes)
{
    begin_wait(c->f);
    while (bytes.n && !c->closed) {
        ssize_t count = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            return;
        if (count > 0)
            bytes = str_slice(bytes, (size_t)count, bytes.n);
        (void)event_base_loop(c->f->base, EVLOOP_NONBLOCK);
        if (c->f->late)
            fail_msg("the server does not read");
    }
    (void)event_del(c->f->deadline);
}

static inline void client_say(struct client *c, const char *text)
{
    client_send(c, str_of(text));
}

// Waits for exactly this text and forgets it.
static inline void expect_text(struct client *c, const char *text)
{
    WAIT_UNTIL(c->f, c->got.n >= strlen(text) || c->closed);
    assert_string_equal(c->got.n ? c->got.p : "", text);
    buf_clear(&c->got);
}

// The server's own answer with this status, then the end of the connection without a reset.
static inline void expect_refusal(struct client *c, int status)
{
    char line[32], code[32];
    (void)snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    (void)snprintf(code, sizeof(code), "\"code\":\"%d\"", status);
    WAIT_UNTIL(c->f, c->closed);
    assert_false(c->reset);
    assert_true(str_starts(buf_str(&c->got), str_of(line)));
    assert_non_null(
        strstr(c->got.p, "\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "));
    assert_non_null(strstr(c->got.p, "\r\n\r\n{\"errors\":[{\"title\":\""));
    assert_non_null(strstr(c->got.p, code));
    assert_null(strstr(c->got.p, "<"));
}

#endif
