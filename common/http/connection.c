// The life of one connection: made by evhttp, taken over, run from state to state, closed. What arrives is
// read in receive.c. Everything that ends a connection ends it here, by freeing evhttp's object, which calls
// on_closed.
#include "common/base/mem.h"
#include "common/http/server.h"
#include "common/http/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define THROWN_MAX  ((uint64_t)64 * 1024 * 1024) // of an upload that was answered before its end
#define WRITE_BYTES ((size_t)256 * 1024)         // handed to one writev at most

static struct evbuffer *input_of(const struct conn *c)
{
    return bufferevent_get_input(c->bev);
}

static size_t output_bytes(const struct conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void free_conn(struct conn *c)
{
    buf_done(&c->late);
    buf_done(&c->head_text);
    if (c->body)
        evbuffer_free(c->body);
    if (c->held)
        evbuffer_free(c->held);
    free(c);
}

struct bufferevent *conn_new(struct event_base *base, void *server)
{
    struct http_server *s = server;
    struct conn *c = mem_alloc(sizeof(*c));
    c->server = s;
    c->waiting = WAIT_NOTHING;
    c->bev = s->params.tls ? tls_bufferevent(s->params.tls, base)
                           : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev)
        abort();
    server_accepted(s);
    bufferevent_incref(c->bev); // evhttp may free it before we look again
    TAILQ_INSERT_TAIL(&s->fresh, c, in_server);
    event_active(s->adopt, EV_TIMEOUT, 1);
    return c->bev;
}

static void leave_crowd(struct conn *c)
{
    if (c->in_crowd)
        TAILQ_REMOVE(&c->server->crowd, c, of_crowd);
    c->in_crowd = false;
}

static void on_closed(struct evhttp_connection *evcon, void *arg)
{
    struct conn *c = arg;
    struct http_server *s = c->server;
    c->closed = true;
    if (s->params.tls)
        tls_close_notify(c->bev);
    deadline_set(c, WAIT_NOTHING);
    leave_crowd(c);
    TAILQ_REMOVE(&s->conns, c, in_server);
    s->conn_count--;
    if (c->request)
        conn_orphan(c);
    receive_discharge(s, &c->charged_bytes);
    atomic_fetch_sub_explicit(s->unsent, c->unsent_bytes, memory_order_relaxed);
    if (!c->running)
        free_conn(c);
}

void conn_close(struct conn *c)
{
    evhttp_connection_free(c->evcon);
}

void conn_orphan(struct conn *c)
{
    struct http_request *r = c->request;
    c->request = NULL;
    r->conn = NULL;
    if (r->streaming) {
        stream_gone(r);
        return;
    }
    if (r->upload_begun) {
        upload_gone(r);
        return;
    }
    r->charged_bytes = c->charged_bytes;
    c->charged_bytes = 0;
    evhttp_request_own(r->evreq);
    r->owns_evreq = true;
}

bool conn_write(struct conn *c, struct str a, struct str b)
{
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)a.p, .iov_len = a.n},
                             {.iov_base = (void *)(uintptr_t)b.p, .iov_len = b.n}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = 0;
    if (!c->server->params.tls && !output_bytes(c)) {
        sent = sendmsg(bufferevent_getfd(c->bev), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            c->broken = true;
            return false;
        }
    }
    size_t skip = sent > 0 ? (size_t)sent : 0;
    if (skip == a.n + b.n)
        return true;
    size_t from_a = skip < a.n ? skip : a.n;
    struct evbuffer *out = bufferevent_get_output(c->bev);
    if (evbuffer_add(out, a.p + from_a, a.n - from_a) ||
        (b.n && evbuffer_add(out, b.p + (skip - from_a), b.n - (skip - from_a))))
        abort();
    c->given_bytes += a.n + b.n - skip;
    (void)bufferevent_enable(c->bev, EV_WRITE);
    return true;
}

void conn_hold_back(struct conn *c, struct str head, struct str body)
{
    buf_add_str(&c->late, head);
    buf_add_str(&c->late, body);
    c->state = CONN_LATE;
    (void)bufferevent_disable(c->bev, EV_READ);
    deadline_set(c, WAIT_LATE);
}

void conn_say_late(struct conn *c)
{
    deadline_set(c, WAIT_NOTHING);
    c->state = CONN_WRITING;
    (void)conn_write(c, buf_str(&c->late), STR_NONE);
    buf_done(&c->late);
    (void)bufferevent_enable(c->bev, EV_READ);
}

void conn_fail(struct conn *c, int status, const char *why)
{
    deadline_set(c, WAIT_NOTHING);
    c->state = CONN_WRITING;
    c->after = AFTER_LINGER;
    reply_error(c, status, why);
}

bool conn_linger(struct conn *c)
{
    if (c->server->params.tls)
        tls_close_notify(c->bev);
    (void)shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    c->state = CONN_LINGER;
    (void)evbuffer_drain(input_of(c), evbuffer_get_length(input_of(c)));
    if (c->body)
        (void)evbuffer_drain(c->body, evbuffer_get_length(c->body));
    receive_discharge(c->server, &c->charged_bytes);
    (void)bufferevent_disable(c->bev, EV_WRITE);
    (void)bufferevent_enable(c->bev, EV_READ);
    deadline_set(c, WAIT_LINGER);
    return false;
}

static void on_read(struct bufferevent *bev, void *arg);
static void on_write(struct bufferevent *bev, void *arg);
static void on_event(struct bufferevent *bev, short what, void *arg);

void conn_take_callbacks(struct conn *c)
{
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
}

// The answer is out: what now?
static bool finish(struct conn *c)
{
    if (c->after == AFTER_LINGER)
        return conn_linger(c);
    if (c->after == AFTER_CLOSE) {
        conn_close(c);
        return false;
    }
    receive_set_aside(c, 0); // evhttp would read on by itself
    struct evhttp_request *evreq = c->evreq;
    c->evreq = NULL;
    receive_discharge(c->server, &c->charged_bytes);
    evhttp_send_reply_end(evreq);
    if (c->closed)
        return false;
    conn_take_callbacks(c);
    receive_reset(c);
    if (c->server->stopping && !evbuffer_get_length(input_of(c)))
        return conn_linger(c);
    deadline_set(c, WAIT_REQUEST);
    return true;
}

void conn_charge_unsent(struct conn *c)
{
    struct http_server *s = c->server;
    const struct http_limits *limits = &s->params.limits;
    size_t bytes = output_bytes(c) > limits->header_bytes ? output_bytes(c) : 0;
    size_t more = bytes - c->unsent_bytes; // wraps around where it is less
    c->unsent_bytes = bytes;
    size_t all = atomic_fetch_add_explicit(s->unsent, more, memory_order_relaxed) + more;
    struct conn *slowest = TAILQ_FIRST(&s->queues[WAIT_TAKE]);
    if (!bytes || !limits->buffered_bytes || all <= limits->buffered_bytes)
        return;
    server_limited(s, HTTP_LIMIT_ANSWERS);
    if (slowest && slowest != c && !slowest->running)
        conn_close(slowest);
    else
        c->broken = true;
}

static bool write_out(struct conn *c)
{
    if (!output_bytes(c)) {
        conn_charge_unsent(c);
        return finish(c);
    }
    if (c->waiting != WAIT_TAKE) {
        conn_charge_unsent(c);
        deadline_set(c, WAIT_TAKE);
    }
    return c->broken;
}

// One step; false when there is none until something happens.
static bool step(struct conn *c)
{
    if (c->broken) {
        conn_close(c);
        return false;
    }
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        return receive_head(c);
    case CONN_BODY:
        return receive_body(c);
    case CONN_WRITING:
        return write_out(c);
    case CONN_UPLOAD:
        return upload_receive(c);
    case CONN_BUSY:
    case CONN_LATE:
    case CONN_STREAMING:
    case CONN_LINGER:
        break;
    }
    return false;
}

void conn_run(struct conn *c)
{
    if (c->running)
        return;
    c->running = true;
    while (!c->closed && step(c))
        continue;
    c->running = false;
    if (c->closed)
        free_conn(c);
}

// Whatever comes belongs to no request that will be answered.
static bool throws_away(const struct conn *c)
{
    bool answered = c->state == CONN_WRITING || c->state == CONN_STREAMING;
    return c->state == CONN_LINGER || (answered && c->after == AFTER_LINGER);
}

void conn_prefer(struct conn *c, bool preferred)
{
    c->preferred = preferred;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;
    struct http_server *s = c->server;
    if (c->preferred || !s->params.crowd_at_once) {
        conn_read(c);
    } else if (!c->in_crowd) {
        c->in_crowd = true;
        TAILQ_INSERT_TAIL(&s->crowd, c, of_crowd);
        server_serve_crowd(s);
    }
}

void conn_read(struct conn *c)
{
    struct bufferevent *bev = c->bev;
    leave_crowd(c);
    if (c->ended) // its end is seen again on the next turn, behind what it had sent
        (void)bufferevent_enable(bev, EV_READ);
    c->ended = false;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (throws_away(c)) {
        c->thrown_bytes += evbuffer_get_length(in);
        (void)evbuffer_drain(in, evbuffer_get_length(in));
        c->broken = c->broken || c->thrown_bytes > THROWN_MAX;
        if (c->broken)
            conn_run(c);
        return;
    }
    if (c->state == CONN_BUSY || c->state == CONN_STREAMING || c->state == CONN_WRITING) {
        // only kept for later: a client that sends on without reading its answer is not read further
        if (evbuffer_get_length(in) >= c->server->params.limits.header_bytes)
            (void)bufferevent_disable(bev, EV_READ);
        return;
    }
    conn_run(c);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;
    if (c->state == CONN_STREAMING)
        stream_writable(c);
    else
        conn_run(c);
}

// A client that has sent its last byte may still read what is on its way out; the end is seen again when
// reading goes on. Before and after an answer, or in the middle of a long one, it means that the client left.
static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct conn *c = arg;
    if (what & BEV_EVENT_CONNECTED) {
        deadline_set(c, WAIT_REQUEST);
        c->broken = c->server->stopping;
    } else if (c->in_crowd && !(what & BEV_EVENT_ERROR)) {
        c->ended = true; // what it sent before has not been looked at
        return;
    } else if (what & BEV_EVENT_ERROR || c->state != CONN_WRITING) {
        c->broken = true;
    }
    conn_run(c);
}

// A flood of connections closes its own oldest ones; whose request came whole is never closed for it.
static bool make_room(struct http_server *s)
{
    if (s->conn_count <= s->params.limits.connections)
        return true;
    struct conn *idlest = deadline_idlest(s);
    server_limited(s, idlest ? HTTP_LIMIT_IDLE : HTTP_LIMIT_CONNECTIONS);
    if (idlest && idlest->state == CONN_LATE)
        conn_say_late(idlest);
    if (idlest)
        conn_close(idlest);
    return idlest;
}

void conn_adopt(struct conn *c)
{
    struct http_server *s = c->server;
    void *evcon;
    TAILQ_REMOVE(&s->fresh, c, in_server);
    bufferevent_getcb(c->bev, &c->evhttp_read, NULL, NULL, &evcon);
    (void)bufferevent_decref(c->bev);
    if (!c->evhttp_read) {
        free_conn(c);
        return;
    }
    c->evcon = evcon;
    TAILQ_INSERT_TAIL(&s->conns, c, in_server);
    s->conn_count++;
    evhttp_connection_set_closecb(c->evcon, on_closed, c);
    if (s->stopping || !make_room(s)) {
        conn_close(c);
        return;
    }
    (void)bufferevent_set_max_single_write(c->bev, WRITE_BYTES);
    conn_take_callbacks(c);
    deadline_set(c, s->params.tls ? WAIT_HANDSHAKE : WAIT_REQUEST);
}
