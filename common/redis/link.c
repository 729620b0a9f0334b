// The socket to Redis: finds the address without blocking, connects, and cuts what arrives into replies.
#include "common/base/mem.h"
#include "common/redis/internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { KEEPALIVE_IDLE_S = 15, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_PROBES = 3 };

// evdns answers even a cancelled question, and then the connection may be gone: this outlives it.
struct redis_lookup {
    struct redis *r; // NULL: nobody waits for the answer
    struct evdns_getaddrinfo_request *request;
};

// ---- what arrives

static void parse(struct redis *r)
{
    const struct bufferevent *socket = r->socket;
    while (r->socket == socket && r->socket) {
        void *reply = NULL;
        if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
            struct error err;
            error_set(&err, -EPROTO, "Redis sent what is not RESP2: %s", r->reader->errstr);
            redis_drop(r, &err);
            return;
        }
        if (!reply)
            return;
        redis_take_reply(r, reply);
        freeReplyObject(reply);
    }
}

static void on_read(struct bufferevent *socket, void *arg)
{
    struct redis *r = arg;
    struct evbuffer *in = bufferevent_get_input(socket);
    redis_enter(r);
    size_t bytes;
    // The reader is fed piece by piece: it copies, and pulling the input together first would copy twice.
    while (r->socket == socket && (bytes = evbuffer_get_contiguous_space(in)) > 0) {
        int rc = redisReaderFeed(r->reader, (const char *)evbuffer_pullup(in, (ev_ssize_t)bytes), bytes);
        (void)evbuffer_drain(in, bytes);
        if (rc != REDIS_OK)
            abort(); // hiredis fails here only when memory is out
        parse(r);
    }
    redis_leave(r);
}

static void tune(evutil_socket_t fd)
{
    int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
    struct redis *r = arg;
    struct error err;
    int code = EVUTIL_SOCKET_ERROR();
    redis_enter(r);
    if (r->socket != socket) {
        // closed in the same loop turn
    } else if (what & BEV_EVENT_CONNECTED) {
        if (r->url.host)
            tune(bufferevent_getfd(socket));
        redis_greet(r);
    } else if (what & BEV_EVENT_EOF) {
        error_set(&err, -ENOTCONN, "Redis closed the connection");
        redis_drop(r, &err);
    } else {
        error_set(&err, -ENOTCONN, "%s: %s",
                  r->state == REDIS_CONNECTING ? "cannot connect to Redis" : "lost the connection to Redis",
                  code ? strerror(code) : "socket error");
        redis_drop(r, &err);
    }
    redis_leave(r);
}

// ---- getting there

static void refuse(struct redis *r, const char *why)
{
    struct error err;
    if (r->url.host)
        error_set(&err, -ENOTCONN, "cannot connect to Redis at %s port %u: %s", r->url.host, r->url.port,
                  why);
    else
        error_set(&err, -ENOTCONN, "cannot connect to Redis at %s: %s", r->url.path, why);
    redis_drop(r, &err);
}

static void dial(struct redis *r, const struct sockaddr *address, socklen_t bytes)
{
    r->reader = redisReaderCreate();
    // Deferred: no callback runs inside a call that we make.
    r->socket = bufferevent_socket_new(r->params.base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!r->reader || !r->socket)
        abort();
    bufferevent_setcb(r->socket, on_read, NULL, on_event, r);
    // On failure the event callback tells as well, with the same errno.
    if (bufferevent_socket_connect(r->socket, address, (int)bytes) == 0)
        (void)bufferevent_enable(r->socket, EV_READ | EV_WRITE);
}

// The addresses of a name are tried in turn, one an attempt.
static void dial_one_of(struct redis *r, const struct evutil_addrinfo *found)
{
    size_t count = 0, wanted;
    for (const struct evutil_addrinfo *a = found; a; a = a->ai_next)
        count++;
    wanted = (size_t)((r->attempts - 1) % count);
    while (wanted--)
        found = found->ai_next;
    dial(r, found->ai_addr, (socklen_t)found->ai_addrlen);
}

static void on_address(int rc, struct evutil_addrinfo *found, void *arg)
{
    struct redis_lookup *lookup = arg;
    struct redis *r = lookup->r;
    free(lookup);
    if (r) {
        redis_enter(r);
        r->lookup = NULL;
        if (rc == 0 && found)
            dial_one_of(r, found);
        else
            refuse(r, rc ? evutil_gai_strerror(rc) : "the name has no address");
        redis_leave(r);
    }
    if (found)
        evutil_freeaddrinfo(found);
}

static void ask_for_address(struct redis *r, const char *port, const struct evutil_addrinfo *hints)
{
    // Made once: /etc/resolv.conf and /etc/hosts are read at the first attempt.
    if (!r->dns)
        r->dns = evdns_base_new(r->params.base,
                                EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!r->dns) {
        refuse(r, "no name server is configured");
        return;
    }
    struct redis_lookup *lookup = mem_alloc(sizeof(*lookup));
    lookup->r = r;
    r->lookup = lookup;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(r->dns, r->url.host, port, hints, on_address, lookup);
    if (request && r->lookup == lookup) // else it was answered from /etc/hosts before this line
        lookup->request = request;
}

static void dial_host(struct redis *r)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", r->url.port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV};
    struct evutil_addrinfo *found = NULL;
    if (evutil_getaddrinfo(r->url.host, port, &hints, &found) == 0) {
        dial_one_of(r, found);
        evutil_freeaddrinfo(found);
        return;
    }
    hints.ai_flags = EVUTIL_AI_NUMERICSERV;
    ask_for_address(r, port, &hints);
}

static void dial_path(struct redis *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(r->url.path) >= sizeof(address.sun_path)) {
        refuse(r, "the path is too long for a unix socket");
        return;
    }
    memcpy(address.sun_path, r->url.path, strlen(r->url.path));
    dial(r, (const struct sockaddr *)(const void *)&address, sizeof(address));
}

void redis_link_open(struct redis *r)
{
    r->state = REDIS_CONNECTING;
    r->attempts++;
    uint32_t limit_ms = redis_timeout_ms(r);
    struct timeval limit = {.tv_sec = limit_ms / 1000, .tv_usec = (suseconds_t)(limit_ms % 1000) * 1000};
    (void)event_add(r->deadline, &limit);
    if (r->url.path)
        dial_path(r);
    else
        dial_host(r);
}

void redis_link_close(struct redis *r)
{
    if (r->lookup) {
        struct evdns_getaddrinfo_request *request = r->lookup->request;
        r->lookup->r = NULL;
        r->lookup = NULL;
        if (request)
            evdns_getaddrinfo_cancel(request);
    }
    if (r->socket) {
        bufferevent_free(r->socket);
        r->socket = NULL;
        redisReaderFree(r->reader);
        r->reader = NULL;
    }
}
