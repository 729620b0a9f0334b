// Reading: from the first byte of a request until evhttp has been given the whole of it. Nothing of a request
// that breaks a limit or a rule reaches evhttp.
#include "common/http/server.h"

#include <stdlib.h>

static struct evbuffer *input_of(const struct conn *c)
{
    return bufferevent_get_input(c->bev);
}

static void move(struct evbuffer *to, struct evbuffer *from, size_t count)
{
    if (evbuffer_remove_buffer(from, to, count) != (int)count)
        abort();
}

static struct evbuffer *need(struct evbuffer **b)
{
    if (!*b)
        *b = evbuffer_new();
    if (!*b)
        abort();
    return *b;
}

void receive_set_aside(struct conn *c, size_t keep)
{
    struct evbuffer *in = input_of(c);
    if (evbuffer_get_length(in) == keep)
        return;
    struct evbuffer *kept = evbuffer_new();
    if (!kept)
        abort();
    move(kept, in, keep);
    (void)evbuffer_add_buffer(need(&c->held), in);
    (void)evbuffer_prepend_buffer(in, kept);
    evbuffer_free(kept);
}

void receive_reset(struct conn *c)
{
    c->state = CONN_IDLE;
    c->scan = (struct head_scan){0};
    if (c->held)
        (void)evbuffer_prepend_buffer(input_of(c), c->held);
}

static bool fail(struct conn *c, int status, const char *why)
{
    conn_fail(c, status, why);
    return true;
}

// Not enough yet. A deadline that runs already is not put off by another byte.
static bool wait_more(struct conn *c, enum wait_for what)
{
    if (c->waiting != what)
        deadline_set(c, what);
    return false;
}

// Gives evhttp the first `count` bytes of the input, a whole request; the handler runs inside.
static bool deliver(struct conn *c, size_t count)
{
    receive_set_aside(c, count);
    deadline_set(c, WAIT_NOTHING);
    c->state = CONN_BUSY;
    c->server->delivering = c;
    c->evhttp_read(c->bev, c->evcon);
    c->server->delivering = NULL;
    if (c->closed || c->evreq)
        return true;
    // evhttp refused what head.h let pass, such as a target that is no URI; its page is not sent
    struct evbuffer *out = bufferevent_get_output(c->bev);
    (void)evbuffer_unfreeze(out, 1);
    (void)evbuffer_drain(out, evbuffer_get_length(out));
    (void)evbuffer_freeze(out, 1);
    conn_take_callbacks(c);
    return fail(c, 400, "The request target is not a URI");
}

// ---- the head

// Scans what has come since the last time.
static enum head_found scan(struct conn *c)
{
    struct evbuffer *in = input_of(c);
    struct evbuffer_ptr at;
    struct evbuffer_iovec piece;
    enum head_found found = HEAD_MORE;
    while (found == HEAD_MORE && c->scan.seen < evbuffer_get_length(in)) {
        if (evbuffer_ptr_set(in, &at, c->scan.seen, EVBUFFER_PTR_SET) ||
            evbuffer_peek(in, -1, &at, &piece, 1) < 1)
            abort();
        found = head_scan(&c->scan, str_of_bytes(piece.iov_base, piece.iov_len));
    }
    return found;
}

// The head is whole and approved: prepare for the body that it announces.
static bool begin_body(struct conn *c, struct str text)
{
    if (c->head.length > c->server->params.limits.body_bytes)
        return fail(c, 413, "The body is too long");
    c->state = CONN_BODY;
    if (c->head.chunked) {
        c->chunks = (struct chunked){0};
        buf_clear(&c->head_text);
        buf_add_str(&c->head_text, text);
        (void)evbuffer_drain(input_of(c), text.n);
        c->head_bytes = 0;
        if (c->body)
            (void)evbuffer_drain(c->body, evbuffer_get_length(c->body));
    }
    if (c->head.expect_continue && evbuffer_get_length(input_of(c)) == c->head_bytes &&
        (c->head.chunked || c->head.length))
        (void)conn_write(c, STR_LIT("HTTP/1.1 100 Continue\r\n\r\n"), STR_NONE);
    return true;
}

bool receive_head(struct conn *c)
{
    struct evbuffer *in = input_of(c);
    if (c->state == CONN_IDLE && !evbuffer_get_length(in))
        return wait_more(c, WAIT_REQUEST);
    enum head_found found = scan(c);
    if (found == HEAD_BROKEN)
        return fail(c, 400, "A line does not end in CR LF");
    if (c->scan.seen - c->scan.blank > c->server->params.limits.header_bytes || c->scan.blank > 64)
        return fail(c, 431, "The header is too long");
    if (found == HEAD_MORE) {
        c->state = CONN_HEAD;
        return wait_more(c, WAIT_HEAD);
    }
    (void)evbuffer_drain(in, c->scan.blank);
    c->head_bytes = c->scan.seen - c->scan.blank;
    struct str text = str_of_bytes(evbuffer_pullup(in, (ev_ssize_t)c->head_bytes), c->head_bytes);
    const char *why;
    int status = head_parse(text, &c->head, &why);
    return status ? fail(c, status, why) : begin_body(c, text);
}

// ---- the body

// The body is decoded: puts it back under a head that gives its length.
static bool deliver_decoded(struct conn *c)
{
    size_t count = c->body ? evbuffer_get_length(c->body) : 0;
    struct buf text = BUF_INIT;
    head_rewrite(&text, buf_str(&c->head_text), count);
    struct evbuffer *in = input_of(c);
    if (count)
        (void)evbuffer_prepend_buffer(in, c->body);
    if (evbuffer_prepend(in, text.p, text.n))
        abort();
    count += text.n;
    buf_done(&text);
    return deliver(c, count);
}

static bool receive_chunked(struct conn *c)
{
    struct evbuffer *in = input_of(c);
    for (size_t have; (have = evbuffer_get_contiguous_space(in)) > 0;) {
        size_t count = 0;
        struct str piece = str_of_bytes(evbuffer_pullup(in, (ev_ssize_t)have), have);
        enum chunked_run run = chunked_next(&c->chunks, piece, &count);
        if (run == CHUNKED_BROKEN)
            return fail(c, 400, "The chunked coding is broken");
        if (run == CHUNKED_DATA)
            move(need(&c->body), in, count);
        else
            (void)evbuffer_drain(in, count);
        if (run == CHUNKED_END)
            return deliver_decoded(c);
        size_t total = c->body ? evbuffer_get_length(c->body) : 0;
        if (total + c->chunks.left > c->server->params.limits.body_bytes)
            return fail(c, 413, "The body is too long");
    }
    return wait_more(c, WAIT_BODY);
}

bool receive_body(struct conn *c)
{
    if (c->head.chunked)
        return receive_chunked(c);
    size_t whole = c->head_bytes + (size_t)c->head.length;
    return evbuffer_get_length(input_of(c)) >= whole ? deliver(c, whole) : wait_more(c, WAIT_BODY);
}
