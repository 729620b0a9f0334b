// The socket to Redis: finds the address without blocking, connects, and cuts what arrives into replies.
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/redis/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { KEEPALIVE_IDLE_S = 15, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_PROBES = 3 };

// evdns answers even a cancelled question, and then the connection may be gone: this outlives it.
struct redis_lookup {
    struct redis_conn *c; // NULL: nobody waits for the answer
    struct evdns_getaddrinfo_request *request;
};

// ---- what arrives

static void parse(struct redis_conn *c)
{
    const struct bufferevent *socket = c->socket;
    while (c->socket == socket && c->socket) {
        void *reply = NULL;
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            struct error err;
            error_set(&err, -EPROTO, "Redis sent what is not RESP2: %s", c->reader->errstr);
            redis_drop(c, &err);
            return;
        }
        if (!reply)
            return;
        c->reply_kept = false;
        redis_take_reply(c, reply);
        if (!c->reply_kept)
            freeReplyObject(reply);
    }
}

static void on_read(struct bufferevent *socket, void *arg)
{
    struct redis_conn *c = arg;
    struct evbuffer *in = bufferevent_get_input(socket);
    redis_conn_enter(c);
    size_t bytes;
    // The reader is fed piece by piece: it copies, and pulling the input together first would copy twice.
    while (c->socket == socket && (bytes = evbuffer_get_contiguous_space(in)) > 0) {
        int rc = redisReaderFeed(c->reader, (const char *)evbuffer_pullup(in, (ev_ssize_t)bytes), bytes);
        (void)evbuffer_drain(in, bytes);
        if (rc != REDIS_OK)
            abort(); // hiredis fails here only when memory is out
        parse(c);
    }
    redis_conn_leave(c);
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

// Why the socket or its TLS failed, as a person would say it.
static const char *reason_of(struct bufferevent *socket, int code)
{
    SSL *ssl = bufferevent_openssl_get_ssl(socket);
    long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    unsigned long failure = ssl ? bufferevent_get_openssl_error(socket) : 0;
    const char *reason = failure ? ERR_reason_error_string(failure) : NULL;
    if (verdict != X509_V_OK)
        return X509_verify_cert_error_string(verdict);
    if (reason)
        return reason;
    return code ? strerror(code) : "socket error";
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
    struct redis_conn *c = arg;
    struct error err;
    int code = EVUTIL_SOCKET_ERROR();
    redis_conn_enter(c);
    if (c->socket != socket) {
        // closed in the same loop turn
    } else if (what & BEV_EVENT_CONNECTED) {
        if (c->host)
            tune(bufferevent_getfd(socket));
        redis_greet(c);
    } else if (what & BEV_EVENT_EOF) {
        error_set(&err, -ENOTCONN, "Redis closed the connection");
        redis_drop(c, &err);
    } else {
        error_set(&err, -ENOTCONN, "%s: %s",
                  c->state == REDIS_CONNECTING ? "cannot connect to Redis" : "lost the connection to Redis",
                  reason_of(socket, code));
        redis_drop(c, &err);
    }
    redis_conn_leave(c);
}

// ---- getting there

static void refuse(struct redis_conn *c, const char *why)
{
    struct error err;
    if (c->host)
        error_set(&err, -ENOTCONN, "cannot connect to Redis at %s port %u: %s", c->host, c->port, why);
    else
        error_set(&err, -ENOTCONN, "cannot connect to Redis at %s: %s", c->path, why);
    redis_drop(c, &err);
}

static void dial(struct redis_conn *c, const struct sockaddr *address, socklen_t bytes)
{
    // Deferred: no callback runs inside a call that we make.
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    if (c->params.tls && c->host) {
        SSL *ssl;
        struct error err;
        if (redis_tls_session(c->params.tls, c->host, &ssl, &err) < 0) {
            refuse(c, err.text);
            return;
        }
        c->socket =
            bufferevent_openssl_socket_new(c->params.base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, options);
    } else {
        c->socket = bufferevent_socket_new(c->params.base, -1, options);
    }
    c->reader = redisReaderCreate();
    if (!c->reader || !c->socket)
        abort();
    bufferevent_setcb(c->socket, on_read, NULL, on_event, c);
    // On failure the event callback tells as well, with the same errno.
    if (bufferevent_socket_connect(c->socket, address, (int)bytes) == 0)
        (void)bufferevent_enable(c->socket, EV_READ | EV_WRITE);
}

// The addresses of a name are tried in turn, one an attempt.
static void dial_one_of(struct redis_conn *c, const struct evutil_addrinfo *found)
{
    size_t count = 0, wanted;
    for (const struct evutil_addrinfo *a = found; a; a = a->ai_next)
        count++;
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): what was found is one at least
    wanted = (size_t)((c->attempts - 1) % count);
    while (wanted--)
        found = found->ai_next;
    dial(c, found->ai_addr, (socklen_t)found->ai_addrlen);
}

static void on_address(int rc, struct evutil_addrinfo *found, void *arg)
{
    struct redis_lookup *lookup = arg;
    struct redis_conn *c = lookup->c;
    free(lookup);
    if (c) {
        redis_conn_enter(c);
        c->lookup = NULL;
        if (rc == 0 && found)
            dial_one_of(c, found);
        else
            refuse(c, rc ? evutil_gai_strerror(rc) : "the name has no address");
        redis_conn_leave(c);
    }
    if (found)
        evutil_freeaddrinfo(found);
}

static void ask_for_address(struct redis_conn *c, const char *port, const struct evutil_addrinfo *hints)
{
    // Made once: /etc/resolv.conf and /etc/hosts are read at the first attempt.
    if (!c->dns)
        c->dns = evdns_base_new(c->params.base,
                                EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!c->dns) {
        refuse(c, "no name server is configured");
        return;
    }
    struct redis_lookup *lookup = mem_alloc(sizeof(*lookup));
    lookup->c = c;
    c->lookup = lookup;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(c->dns, c->host, port, hints, on_address, lookup);
    if (request && c->lookup == lookup) // else it was answered from /etc/hosts before this line
        lookup->request = request;
}

static void dial_host(struct redis_conn *c)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", c->port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV};
    struct evutil_addrinfo *found = NULL;
    if (evutil_getaddrinfo(c->host, port, &hints, &found) == 0) {
        dial_one_of(c, found);
        evutil_freeaddrinfo(found);
        return;
    }
    hints.ai_flags = EVUTIL_AI_NUMERICSERV;
    ask_for_address(c, port, &hints);
}

static void dial_path(struct redis_conn *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(c->path) >= sizeof(address.sun_path)) {
        refuse(c, "the path is too long for a unix socket");
        return;
    }
    memcpy(address.sun_path, c->path, strlen(c->path));
    dial(c, (const struct sockaddr *)(const void *)&address, sizeof(address));
}

void redis_link_open(struct redis_conn *c)
{
    c->state = REDIS_CONNECTING;
    c->attempts++;
    timer_in_ms(c->deadline, c->params.timeout_ms);
    if (c->path)
        dial_path(c);
    else
        dial_host(c);
}

void redis_link_close(struct redis_conn *c)
{
    if (c->lookup) {
        struct evdns_getaddrinfo_request *request = c->lookup->request;
        c->lookup->c = NULL;
        c->lookup = NULL;
        if (request)
            evdns_getaddrinfo_cancel(request);
    }
    if (c->socket) {
        bufferevent_free(c->socket);
        c->socket = NULL;
        redisReaderFree(c->reader);
        c->reader = NULL;
    }
}
