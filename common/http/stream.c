// Long answers: chunked (RFC 9112 7.1), to HTTP/1.0 ended by closing. The writer is slowed to what the client
// takes.
#include "common/http/server.h"
#include "common/http/status.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define STREAM_HIGH ((size_t)64 * 1024) // this much unsent is enough for now
#define STREAM_LOW  ((size_t)16 * 1024)

static void add(struct conn *c, struct str bytes)
{
    if (bytes.n && evbuffer_add(bufferevent_get_output(c->bev), bytes.p, bytes.n))
        abort();
    c->given_bytes += bytes.n;
}

void stream_gone(struct http_request *r)
{
    void (*on_gone)(void *arg) = r->fns.on_gone;
    void *arg = r->fns_arg;
    request_free(r);
    if (on_gone)
        on_gone(arg);
}

static void on_gone_before(evutil_socket_t fd, short what, void *arg)
{
    stream_gone(arg);
}

void http_stream_begin(struct http_request *r, int status, const struct http_stream_fns *fns, void *arg)
{
    struct conn *c = r->conn;
    assert(!r->streaming);
    r->streaming = true;
    r->fns = *fns;
    r->fns_arg = arg;
    if (!c) { // left while the handler was still thinking; not told from within its own call
        request_tell_gone(r, on_gone_before);
        return;
    }
    r->bodiless = !status_has_body(status) || r->method == HTTP_HEAD;
    r->chunked = c->head.minor > 0;
    c->head.close = c->head.close || !r->chunked;
    add(c, reply_head(c->server, status, buf_str(&r->headers), reply_connection(c),
                      r->chunked ? STR_LIT("transfer-encoding: chunked\r\n") : STR_NONE));
    c->state = CONN_STREAMING;
    bufferevent_setwatermark(c->bev, EV_WRITE, STREAM_LOW, 0);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    deadline_set(c, WAIT_TAKE);
}

bool http_stream_write(struct http_request *r, struct str chunk)
{
    struct conn *c = r->conn;
    if (!c || c->broken)
        return false;
    if (r->bodiless || !chunk.n)
        return true;
    char size[24];
    int count = snprintf(size, sizeof(size), "%zx\r\n", chunk.n);
    if (r->chunked)
        add(c, str_of_bytes(size, (size_t)count));
    add(c, chunk);
    if (r->chunked)
        add(c, STR_LIT("\r\n"));
    if (c->waiting == WAIT_NOTHING)
        deadline_set(c, WAIT_TAKE);
    r->waits_ready = evbuffer_get_length(bufferevent_get_output(c->bev)) >= STREAM_HIGH;
    return !r->waits_ready;
}

void stream_writable(struct conn *c)
{
    struct http_request *r = c->request;
    if (!evbuffer_get_length(bufferevent_get_output(c->bev)))
        deadline_set(c, WAIT_NOTHING);
    if (!r->waits_ready)
        return;
    r->waits_ready = false;
    if (r->fns.on_ready)
        r->fns.on_ready(r->fns_arg);
}

void http_stream_end(struct http_request *r)
{
    struct conn *c = r->conn;
    if (c) {
        if (r->chunked && !r->bodiless)
            add(c, STR_LIT("0\r\n\r\n"));
        if (c->server->stopping && c->after == AFTER_NEXT)
            c->after = AFTER_LINGER;
        c->request = NULL;
        c->state = CONN_WRITING;
    }
    request_free(r);
    if (c)
        conn_run(c);
}
