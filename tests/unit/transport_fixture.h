// A transport on loopback whose peers are sockets of the test, all on one loop. What is told is written down.
#ifndef ROLLCALL_TESTS_TRANSPORT_FIXTURE_H
#define ROLLCALL_TESTS_TRANSPORT_FIXTURE_H

#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "services/registrant/transport/transport.h"
#include "tests/unit/peer.h"

#include <stdio.h>

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct transport *t;
    struct transport_times times;
    const char *listen, *interfaces;
    const struct tls_settings *tls;
    // what was told
    unsigned messages, unreachable, lost;
    struct buf all; // every message, one after the other
    struct transport_path path;
    struct address unreachable_to;
    uint32_t lost_flow;
    bool lost_up;
    char cause[512];
    const char *answer; // sent back to every message, at once
};

static inline void on_message(void *arg, const struct transport_path *path, struct str message)
{
    struct fixture *f = arg;
    f->messages++;
    buf_add_str(&f->all, message);
    f->path = *path;
    if (f->answer)
        transport_reply(f->t, path, str_of(f->answer));
}

static inline void on_unreachable(void *arg, const struct address *to, const char *cause)
{
    struct fixture *f = arg;
    f->unreachable++;
    f->unreachable_to = *to;
    (void)snprintf(f->cause, sizeof(f->cause), "%s", cause);
}

static inline void on_flow_lost(void *arg, uint32_t flow, bool was_up, const char *cause)
{
    struct fixture *f = arg;
    f->lost++;
    f->lost_flow = flow;
    f->lost_up = was_up;
    (void)snprintf(f->cause, sizeof(f->cause), "%s", cause);
}

static const struct transport_ops fixture_ops = {
    .message = on_message, .unreachable = on_unreachable, .flow_lost = on_flow_lost};

static inline int open_transport(struct fixture *f, struct error *err)
{
    const struct transport_params p = {.base = f->base,
                                       .listen = f->listen,
                                       .interfaces = f->interfaces,
                                       .tls = f->tls,
                                       .times = &f->times,
                                       .ops = &fixture_ops,
                                       .arg = f};
    return transport_new(&p, &f->t, err);
}

static inline void begin(struct fixture *f)
{
    *f = (struct fixture){.times = transport_times_default(), .listen = "127.0.0.1,[::1]"};
    f->base = event_base_new();
    const struct timeval tick = {.tv_usec = 2000};
    f->tick = event_new(f->base, -1, EV_PERSIST, peer_tick, NULL);
    (void)event_add(f->tick, &tick);
}

static inline void start(struct fixture *f)
{
    struct error err;
    if (open_transport(f, &err))
        fail_msg("%s", err.text);
}

static inline void end(struct fixture *f)
{
    transport_free(f->t);
    event_free(f->tick);
    base_end(f->base);
    buf_done(&f->all);
}

#define DEADLINE_US UINT64_C(20000000)
#define SOON_US     UINT64_C(5000000) // milliseconds, on a machine that does nothing else
#define UNTIL(f, condition)                                                                                  \
    do {                                                                                                     \
        uint64_t end_us_ = clock_monotonic_us() + DEADLINE_US;                                               \
        while (!(condition)) {                                                                               \
            if (clock_monotonic_us() > end_us_)                                                              \
                fail_msg("not within the deadline: %s", #condition);                                         \
            (void)event_base_loop((f)->base, EVLOOP_ONCE);                                                   \
        }                                                                                                    \
    } while (0)

// ---- peers

static inline struct address loopback(int family, uint16_t port)
{
    struct address a;
    assert_true(address_parse(family == AF_INET6 ? STR_LIT("::1") : STR_LIT("127.0.0.1"), port, &a));
    return a;
}

// Bound to a free port of loopback; *ret_at is where.
static inline int peer_socket(int family, int type, struct address *ret_at)
{
    struct address a = loopback(family, 0);
    socklen_t bytes = sizeof(a);
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &a.any, address_bytes(&a)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, &a.any, &bytes), 0);
    *ret_at = a;
    return fd;
}

static inline bool can_read(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static inline int peer_accept(struct fixture *f, int listener)
{
    int fd = -1;
    UNTIL(f, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

// Reads until `text` has come, and nothing else.
static inline void expect_bytes(struct fixture *f, int fd, const char *text)
{
    char got[4096];
    size_t n = 0, want = strlen(text);
    while (n < want) {
        UNTIL(f, can_read(fd));
        ssize_t count = recv(fd, got + n, want - n, 0);
        assert_true(count > 0);
        n += (size_t)count;
    }
    assert_memory_equal(got, text, want);
}

static inline void put(int fd, struct str bytes)
{
    assert_int_equal(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
}

// Where transport_local says that it listens.
static inline struct address local_address(const struct fixture *f, int family)
{
    const char *text = transport_local(f->t, TRANSPORT_UDP, STR_NONE, family);
    assert_non_null(text);
    return loopback(family, (uint16_t)atoi(strrchr(text, ':') + 1));
}

static inline struct endpoint endpoint_of(enum registration_transport kind, const struct address *a)
{
    return (struct endpoint){.kind = kind, .address = *a, .name = STR_LIT("registrar.example")};
}

#define REQUEST "REGISTER sip:example.com SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
#define ANSWER  "SIP/2.0 200 OK\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"

// A transport with one registrar; -1: a socket that is not open.
struct tcp {
    struct fixture f;
    struct address at;
    struct endpoint to;
    int listener, peer;
    uint32_t flow;
};

// A connection that is up, with a request that its peer has read.
static inline void connect_tcp(struct tcp *c)
{
    start(&c->f);
    c->listener = peer_socket(AF_INET, SOCK_STREAM, &c->at);
    c->to = endpoint_of(TRANSPORT_TCP, &c->at);
    assert_int_equal(transport_send(c->f.t, &c->to, STR_LIT(REQUEST), &c->flow), 0);
    c->peer = peer_accept(&c->f, c->listener);
    expect_bytes(&c->f, c->peer, REQUEST);
}

static inline void close_tcp(struct tcp *c)
{
    if (c->listener >= 0)
        (void)close(c->listener);
    if (c->peer >= 0)
        (void)close(c->peer);
    end(&c->f);
}

#endif
