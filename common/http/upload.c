// Request bodies of any length, piece by piece as they come. evhttp is given the head alone, saying that
// there is no body; what follows stays in the bufferevent's input until the handler has had it. A handler
// that is behind stops the reading, and TCP the sender.
#include "common/http/server.h"

#include <assert.h>
#include <stdlib.h>

#define UPLOAD_READ_BYTES ((size_t)64 * 1024) // taken from the socket in one turn

bool upload_is_due(const struct conn *c)
{
    return c->uploading && (c->head.chunked || c->upload_left);
}

void upload_start(struct conn *c)
{
    c->uploading = true;
    c->upload_paused = false;
    c->upload_left = c->head.length;
    c->upload_bytes = 0;
    c->chunks = (struct chunked){0};
}

void upload_gone(struct http_request *r)
{
    void (*on_gone)(void *arg) = r->upload.on_gone;
    void *arg = r->upload_arg;
    request_free(r);
    if (on_gone)
        on_gone(arg);
}

static void on_gone_before(evutil_socket_t fd, short what, void *arg)
{
    upload_gone(arg);
}

static bool has_bytes(const struct conn *c)
{
    return evbuffer_get_length(bufferevent_get_input(c->bev)) || (c->held && evbuffer_get_length(c->held));
}

// Goes on reading, from the next turn of the loop on: not from within a call on the request.
static void go_on(struct conn *c)
{
    (void)bufferevent_enable(c->bev, EV_READ);
    bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_OPT_DEFER_CALLBACKS);
}

void http_upload_begin(struct http_request *r, const struct http_upload_fns *fns, void *arg)
{
    struct conn *c = r->conn;
    assert(!r->upload_begun);
    r->upload_begun = true;
    r->upload = *fns;
    r->upload_arg = arg;
    if (!c) {
        request_tell_gone(r, on_gone_before);
        return;
    }
    assert(c->uploading);
    if (c->head.expect_continue && upload_is_due(c) && !has_bytes(c))
        (void)conn_write(c, STR_LIT("HTTP/1.1 100 Continue\r\n\r\n"), STR_NONE);
    (void)bufferevent_set_max_single_read(c->bev, UPLOAD_READ_BYTES);
    if (!c->running)
        go_on(c);
}

void http_upload_pause(struct http_request *r, bool paused)
{
    struct conn *c = r->conn;
    if (!c || !c->uploading || c->upload_paused == paused)
        return;
    c->upload_paused = paused;
    if (!paused && !c->running) {
        go_on(c);
        return;
    }
    if (paused) {
        (void)bufferevent_disable(c->bev, EV_READ);
        deadline_set(c, WAIT_NOTHING);
    }
}

bool http_upload_hold(struct http_request *r, size_t bytes)
{
    return !r->conn || receive_charge(r->conn, bytes);
}

static bool fail(struct conn *c, int status, const char *why)
{
    struct http_request *r = c->request;
    c->request = NULL;
    conn_fail(c, status, why);
    if (r)
        upload_gone(r);
    return true;
}

void upload_expire(struct conn *c)
{
    if (deadline_is_fast_upload(c)) {
        deadline_set(c, WAIT_UPLOAD);
        return;
    }
    server_limited(c->server, HTTP_LIMIT_SLOW);
    (void)fail(c, 408, "The body took too long");
}

// What the beginning of the input is, *ret_count bytes of it.
static enum chunked_run next_piece(struct conn *c, struct str *ret, size_t *ret_count)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t have = evbuffer_get_contiguous_space(in);
    *ret = str_of_bytes(evbuffer_pullup(in, (ev_ssize_t)have), have);
    if (c->head.chunked)
        return chunked_next(&c->chunks, *ret, ret_count);
    *ret_count = have < c->upload_left ? have : (size_t)c->upload_left;
    c->upload_left -= *ret_count;
    return CHUNKED_DATA;
}

static bool end(struct conn *c)
{
    struct http_request *r = c->request;
    c->uploading = false;
    c->state = CONN_BUSY;
    deadline_set(c, WAIT_NOTHING);
    (void)bufferevent_enable(c->bev, EV_READ); // a client that leaves is noticed
    r->upload_begun = false;                   // from here on a request like any other
    r->upload.on_end(r->upload_arg);
    return true;
}

// Reading rests while the handler does.
static bool rest(struct conn *c)
{
    (void)bufferevent_disable(c->bev, EV_READ);
    deadline_set(c, WAIT_NOTHING);
    return false;
}

bool upload_receive(struct conn *c)
{
    struct http_request *r = c->request;
    struct evbuffer *in = bufferevent_get_input(c->bev);
    if (!r->upload_begun || c->upload_paused)
        return rest(c);
    if (!upload_is_due(c))
        return end(c);
    if (!evbuffer_get_length(in)) {
        (void)bufferevent_enable(c->bev, EV_READ);
        if (c->waiting != WAIT_UPLOAD)
            deadline_set(c, WAIT_UPLOAD);
        return false;
    }
    struct str piece;
    size_t count = 0;
    enum chunked_run run = next_piece(c, &piece, &count);
    if (run == CHUNKED_BROKEN)
        return fail(c, 400, "The chunked coding is broken");
    c->upload_bytes += count;
    if (run == CHUNKED_DATA)
        r->upload.on_data(r->upload_arg, str_slice(piece, 0, count));
    (void)evbuffer_drain(in, count);
    return run == CHUNKED_END && c->request ? end(c) : true;
}
