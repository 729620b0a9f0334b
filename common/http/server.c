// The server: evhttp with its listener and callbacks, accepting within the limit, stopping. Refuses to know
// what is in a request.
#include "common/http/server.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"

#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT_AGAIN_MS 500
// In a turn of the loop. A handshake of TLS is a millisecond's work.
#define ACCEPT_AT_ONCE     4
#define ACCEPT_TLS_AT_ONCE 2
#define CROWD_US           300 // of a turn, for those that are not preferred

static struct evconnlistener *listener_of(const struct http_server *s)
{
    return evhttp_bound_socket_get_listener(s->bound);
}

static void on_adopt(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    struct conn *c;
    while ((c = TAILQ_FIRST(&s->fresh)))
        conn_adopt(c);
    s->accepted = 0;
}

// Not event_active, which would run before the loop looks at its sockets again.
static void next_turn(struct event *e)
{
    timer_in_us(e, 0);
}

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    if (s->bound)
        (void)evconnlistener_enable(listener_of(s));
}

// libevent would accept all that wait in one go.
void server_accepted(struct http_server *s)
{
    unsigned most = s->params.tls ? ACCEPT_TLS_AT_ONCE : ACCEPT_AT_ONCE;
    if (++s->accepted < most || !s->bound)
        return;
    (void)evconnlistener_disable(listener_of(s));
    next_turn(s->go_on);
}

void server_serve_crowd(struct http_server *s)
{
    if (!event_pending(s->serve, EV_TIMEOUT, NULL))
        next_turn(s->serve);
}

static void on_serve(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    uint64_t end_us = clock_monotonic_us() + CROWD_US;
    struct conn *c;
    for (unsigned i = 0; i < s->params.crowd_at_once && (c = TAILQ_FIRST(&s->crowd)); i++) {
        conn_read(c);
        if (clock_monotonic_us() >= end_us)
            break;
    }
    if (TAILQ_FIRST(&s->crowd))
        server_serve_crowd(s);
}

void server_limited(struct http_server *s, enum http_limit what)
{
    if (s->params.on_limit)
        s->params.on_limit(s->params.arg, what);
}

static void on_evhttp_request(struct evhttp_request *evreq, void *arg)
{
    struct http_server *s = arg;
    struct conn *c = s->delivering;
    c->evreq = evreq;
    s->params.on_request(s->params.arg, request_new(c, evreq));
}

// Out of descriptors: the listener would be readable for ever, so it rests until on_accept_again. Its
// argument is evhttp, which holds nothing of ours.
static void on_accept_error(struct evconnlistener *listener, void *evhttp)
{
    (void)evconnlistener_disable(listener);
}

// Costs nothing where the listener is enabled.
static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    (void)evconnlistener_enable(listener_of(s));
}

static void listen_on(struct http_server *s)
{
    struct evconnlistener *listener = evconnlistener_new(
        s->params.base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, s->params.listen_fd);
    if (!listener)
        abort();
    s->bound = evhttp_bind_listener(s->http, listener);
    if (!s->bound)
        abort();
    evconnlistener_set_error_cb(listener, on_accept_error);
    timer_in_ms(s->accept_again, ACCEPT_AGAIN_MS);
}

struct http_server *http_server_new(const struct http_server_params *p)
{
    struct http_server *s = mem_alloc(sizeof(*s));
    s->params = *p;
    s->buffered = p->buffered ? p->buffered : &s->own_buffered;
    s->unsent = p->unsent ? p->unsent : &s->own_unsent;
    TAILQ_INIT(&s->fresh);
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->requests);
    deadline_init(s);
    s->adopt = event_new(p->base, -1, 0, on_adopt, s);
    s->accept_again = event_new(p->base, -1, EV_PERSIST, on_accept_again, s);
    s->go_on = event_new(p->base, -1, 0, on_go_on, s);
    s->serve = event_new(p->base, -1, 0, on_serve, s);
    TAILQ_INIT(&s->crowd);
    s->http = evhttp_new(p->base);
    if (!s->adopt || !s->go_on || !s->serve || !s->accept_again || !s->http)
        abort();
    evhttp_set_allowed_methods(s->http, UINT16_MAX);
    evhttp_set_gencb(s->http, on_evhttp_request, s);
    evhttp_set_bevcb(s->http, conn_new, s);
    listen_on(s);
    return s;
}

void http_server_stop(struct http_server *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    (void)event_del(s->accept_again);
    evhttp_del_accept_socket(s->http, s->bound);
    s->bound = NULL;
    struct conn *c, *next;
    for (c = TAILQ_FIRST(&s->conns); c; c = next) {
        next = TAILQ_NEXT(c, in_server);
        if (c->waiting == WAIT_HANDSHAKE)
            conn_close(c);
        else if (c->state == CONN_IDLE && !c->running)
            (void)conn_linger(c);
    }
    while ((c = TAILQ_FIRST(&s->queues[WAIT_LATE]))) { // no new ones come
        conn_say_late(c);
        conn_run(c);
    }
}

size_t http_server_active_count(const struct http_server *s)
{
    size_t count = s->active_count;
    const struct conn *c;
    TAILQ_FOREACH(c, &s->queues[WAIT_HEAD], in_queue) {
        count++;
    }
    TAILQ_FOREACH(c, &s->queues[WAIT_BODY], in_queue) {
        count++;
    }
    TAILQ_FOREACH(c, &s->queues[WAIT_LATE], in_queue) {
        count++;
    }
    TAILQ_FOREACH(c, &s->queues[WAIT_TAKE], in_queue) {
        count += c->state == CONN_WRITING; // those that stream are counted already
    }
    return count;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_stop(s);
    on_adopt(-1, 0, s); // closes them, now that it is stopping
    evhttp_free(s->http);
    struct http_request *r;
    TAILQ_FOREACH(r, &s->requests, in_server) {
        r->server = NULL;
    }
    deadline_done(s);
    event_free(s->adopt);
    event_free(s->go_on);
    event_free(s->serve);
    event_free(s->accept_again);
    buf_done(&s->scratch);
    free(s);
}
