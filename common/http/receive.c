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
    c->uploading = false;
    c->answers_late = false;
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

void receive_discharge(struct http_server *s, size_t *bytes)
{
    if (*bytes)
        (void)atomic_fetch_sub_explicit(s->buffered, *bytes, memory_order_relaxed);
    *bytes = 0;
}

// Bodies no longer than a header may be are let through: each connection may hold as much anyway, and
// somebody's long ones do not keep out what nearly all others send.
bool receive_charge(struct conn *c, size_t bytes)
{
    struct http_server *s = c->server;
    const struct http_limits *limits = &s->params.limits;
    if (bytes <= limits->header_bytes || bytes <= c->charged_bytes)
        return true;
    size_t more = bytes - c->charged_bytes;
    size_t all = atomic_fetch_add_explicit(s->buffered, more, memory_order_relaxed) + more;
    c->charged_bytes = bytes;
    return !limits->buffered_bytes || all <= limits->buffered_bytes;
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

static bool is_upload(struct conn *c, struct str text)
{
    const struct http_server_params *p = &c->server->params;
    struct str path, query;
    enum http_method m = c->head.method;
    bool may = m == HTTP_POST || m == HTTP_PUT || m == HTTP_PATCH;
    if (!p->takes_upload || !may || c->head.length == UINT64_MAX)
        return false;
    size_t from = str_find(text, ' ', 0) + 1;
    struct str target = str_slice(text, from, str_find(text, ' ', from));
    request_split_target(target, c->head.absolute, &path, &query);
    return p->takes_upload(p->arg, m, path);
}

// Gives evhttp the head as if there were no body, and puts what is behind it back into the input.
static bool begin_upload(struct conn *c, struct str text)
{
    struct buf head = BUF_INIT;
    struct evbuffer *in = input_of(c);
    upload_start(c);
    head_rewrite(&head, text, 0);
    (void)evbuffer_drain(in, text.n);
    if (evbuffer_prepend(in, head.p, head.n))
        abort();
    size_t count = head.n;
    buf_done(&head);
    (void)deliver(c, count);
    if (c->closed)
        return false;
    if (c->held)
        (void)evbuffer_prepend_buffer(in, c->held);
    if (c->state == CONN_BUSY)
        c->state = CONN_UPLOAD;
    return true;
}

// The head is whole and approved: prepare for the body that it announces.
static bool begin_body(struct conn *c, struct str text)
{
    if (is_upload(c, text))
        return begin_upload(c, text);
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

static bool refuse_body(struct conn *c)
{
    server_limited(c->server, HTTP_LIMIT_BODIES);
    return fail(c, 503, "Too many long bodies are on their way");
}

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
    return receive_charge(c, c->body ? evbuffer_get_length(c->body) : 0) ? wait_more(c, WAIT_BODY)
                                                                         : refuse_body(c);
}

bool receive_body(struct conn *c)
{
    if (c->head.chunked)
        return receive_chunked(c);
    size_t whole = c->head_bytes + (size_t)c->head.length;
    size_t have = evbuffer_get_length(input_of(c));
    if (have < whole && !receive_charge(c, have))
        return refuse_body(c);
    return have >= whole ? deliver(c, whole) : wait_more(c, WAIT_BODY);
}
