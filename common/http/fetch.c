// The client: one GET whose body is handed out line by line. On a bufferevent of its own, since evhttp's
// client keeps a whole chunk in memory, says too little about why a connection failed and cannot be paused.
// Memory is bounded by one line and one read. Refuses redirects, TLS and keeping connections.
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/http/answer.h"
#include "common/http/chunked.h"
#include "common/http/head.h"
#include "common/http/http.h"
#include "common/http/resolve.h"
#include "common/http/status.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX ((size_t)16 * 1024)

enum fetch_state { FETCH_CONNECT, FETCH_HEAD, FETCH_BODY, FETCH_OVER };

struct http_fetch {
    struct http_fetch_params params; // the strings are not kept
    struct buf request;
    struct resolve *resolve;
    struct bufferevent *bev;
    struct event *silence; // no piece for the time-out
    struct event *resume;  // goes on with what was read before a pause
    enum fetch_state state;
    bool running, paused, cancelled, eof;
    struct head_scan scan;
    struct answer_head head;
    struct chunked chunks;
    uint64_t left;   // of a body with a length
    size_t data;     // so many bytes at the front of the input are body
    uint64_t bytes;  // of body so far
    struct buf line; // its beginning, where it came in pieces
};

static void fetch_run(struct http_fetch *f);

static void drop_connection(struct http_fetch *f)
{
    if (f->bev)
        bufferevent_free(f->bev);
    f->bev = NULL;
    (void)event_del(f->silence);
}

static void free_fetch(struct http_fetch *f)
{
    drop_connection(f);
    resolve_free(f->resolve);
    event_free(f->silence);
    event_free(f->resume);
    mem_wipe(f->request.p, f->request.n); // the token
    buf_done(&f->request);
    buf_done(&f->line);
    free(f);
}

// The end, good (`err` NULL) or bad. The fetch is freed by fetch_run.
static void over(struct http_fetch *f, const struct error *err)
{
    f->state = FETCH_OVER;
    drop_connection(f);
    f->params.on_done(f->params.arg, f->head.status, err);
}

static void fail(struct http_fetch *f, int code, const char *what)
{
    struct error err;
    error_set(&err, code, "%s", what);
    over(f, &err);
}

static void put_off_silence(struct http_fetch *f)
{
    if (f->paused)
        return;
    timer_in_ms(f->silence, f->params.timeout_ms);
}

// ---- reading

static struct str front(struct http_fetch *f)
{
    struct evbuffer *in = bufferevent_get_input(f->bev);
    size_t count = evbuffer_get_contiguous_space(in);
    return count ? str_of_bytes(evbuffer_pullup(in, (ev_ssize_t)count), count) : STR_NONE;
}

static void drain(struct http_fetch *f, size_t count)
{
    (void)evbuffer_drain(bufferevent_get_input(f->bev), count);
}

static bool read_head(struct http_fetch *f)
{
    struct evbuffer *in = bufferevent_get_input(f->bev);
    size_t have = evbuffer_get_length(in);
    f->scan = (struct head_scan){0};
    struct str all = str_of_bytes(have ? evbuffer_pullup(in, -1) : NULL, have);
    enum head_found found = head_scan(&f->scan, all);
    if (found == HEAD_BROKEN || f->scan.blank) {
        fail(f, -EBADMSG, "the answer is not HTTP");
        return false;
    }
    if (found == HEAD_MORE) {
        if (have > HEAD_MAX)
            fail(f, -EBADMSG, "the answer's header is too long");
        return false;
    }
    struct error err;
    if (answer_parse(str_slice(all, 0, f->scan.seen), &f->head, &err)) {
        over(f, &err);
        return false;
    }
    drain(f, f->scan.seen);
    if (f->head.status < 200)
        return true;
    if (f->head.status != 200) {
        error_set(&err, -EBADMSG, "the answer is %d %s", f->head.status, status_phrase(f->head.status));
        over(f, &err);
        return false;
    }
    f->left = f->head.length;
    f->state = FETCH_BODY;
    return true;
}

// Complete; a last line may lack its end.
static bool end_of_body(struct http_fetch *f)
{
    if (f->line.n)
        f->params.on_line(f->params.arg, buf_str(&f->line));
    if (!f->cancelled)
        over(f, NULL);
    return false;
}

// Finds out how much of the input's front is body; false when nothing more is there.
static bool next_run(struct http_fetch *f)
{
    struct str piece = front(f);
    if (f->head.chunked) {
        if (!piece.n)
            return false;
        size_t count = 0;
        enum chunked_run run = chunked_next(&f->chunks, piece, &count);
        if (run == CHUNKED_DATA) {
            f->data = count;
            return true;
        }
        drain(f, count);
        if (run == CHUNKED_END)
            return end_of_body(f);
        if (run == CHUNKED_BROKEN)
            fail(f, -EBADMSG, "the chunked coding of the answer is broken");
        return run == CHUNKED_FRAMING;
    }
    if (f->head.has_length && !f->left)
        return end_of_body(f);
    f->data = f->head.has_length && f->left < piece.n ? (size_t)f->left : piece.n;
    f->left -= f->head.has_length ? f->data : 0;
    return f->data > 0;
}

// Takes one line, or the beginning of one, off the data at the front.
static bool take_line(struct http_fetch *f)
{
    struct str piece = str_slice(front(f), 0, f->data);
    size_t end = str_find(piece, '\n', 0), count = end < piece.n ? end + 1 : piece.n;
    if (f->line.n + end > f->params.line_bytes) {
        fail(f, -EMSGSIZE, "a line of the answer is too long");
        return false;
    }
    if (f->line.n || end == piece.n) {
        buf_add(&f->line, piece.p, end);
        piece = buf_str(&f->line);
    } else {
        piece.n = end;
    }
    f->data -= count;
    f->bytes += count;
    if (count == end + 1) {
        struct str line = piece.n && piece.p[piece.n - 1] == '\r' ? str_slice(piece, 0, piece.n - 1) : piece;
        f->params.on_line(f->params.arg, line);
        buf_clear(&f->line);
    }
    drain(f, count);
    return true;
}

static bool read_body(struct http_fetch *f)
{
    return f->data ? take_line(f) : next_run(f);
}

// All that was read is used up and the peer has closed.
static void at_eof(struct http_fetch *f)
{
    if (f->state == FETCH_BODY && !f->head.chunked && !f->head.has_length) {
        (void)end_of_body(f);
        return;
    }
    struct error err;
    error_set(&err, -ECONNRESET, "the answer broke off after %llu bytes of body",
              (unsigned long long)f->bytes);
    over(f, &err);
}

static bool step(struct http_fetch *f)
{
    if (f->cancelled || f->paused)
        return false;
    if (f->state == FETCH_HEAD)
        return read_head(f);
    return f->state == FETCH_BODY && read_body(f);
}

static void fetch_run(struct http_fetch *f)
{
    f->running = true;
    while (step(f))
        continue;
    if (f->eof && !f->paused && !f->cancelled && f->state != FETCH_OVER)
        at_eof(f);
    f->running = false;
    if (f->cancelled || f->state == FETCH_OVER)
        free_fetch(f);
}

// ---- events

static void on_read(struct bufferevent *bev, void *arg)
{
    struct http_fetch *f = arg;
    put_off_silence(f);
    fetch_run(f);
}

static void connect_next(struct http_fetch *f, int last_error);

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct http_fetch *f = arg;
    int code = errno;
    f->running = true;
    if (what & BEV_EVENT_CONNECTED) {
        f->state = FETCH_HEAD;
        put_off_silence(f);
        (void)bufferevent_write(bev, f->request.p, f->request.n);
    } else if (what & BEV_EVENT_EOF) {
        f->eof = true;
    } else if (f->state == FETCH_CONNECT) {
        connect_next(f, code);
    } else {
        fail(f, code ? -code : -ECONNRESET, strerror(code ? code : ECONNRESET));
    }
    fetch_run(f);
}

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
    struct http_fetch *f = arg;
    struct error err;
    f->running = true;
    error_set(&err, -ETIMEDOUT, "nothing came for %u ms", f->params.timeout_ms);
    over(f, &err);
    fetch_run(f);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    fetch_run(arg);
}

// ---- connecting

static void connect_next(struct http_fetch *f, int last_error)
{
    const struct sockaddr *address;
    socklen_t size;
    while (resolve_next(f->resolve, &address, &size)) {
        if (f->bev)
            bufferevent_free(f->bev);
        f->bev = bufferevent_socket_new(f->params.base, -1, BEV_OPT_CLOSE_ON_FREE);
        if (!f->bev)
            abort();
        bufferevent_setcb(f->bev, on_read, NULL, on_event, f);
        (void)bufferevent_enable(f->bev, (short)(EV_WRITE | (f->paused ? 0 : EV_READ)));
        if (!bufferevent_socket_connect(f->bev, address, (int)size))
            return; // on_event tells how it went
        last_error = errno;
    }
    struct error err;
    int code = last_error ? last_error : ECONNREFUSED;
    error_set(&err, -code, "cannot connect: %s", strerror(code));
    over(f, &err);
}

static void on_resolved(void *arg, const struct error *err)
{
    struct http_fetch *f = arg;
    f->running = true;
    if (err)
        over(f, err);
    else
        connect_next(f, 0);
    fetch_run(f);
}

static void write_request(struct buf *out, const struct url *url, const char *bearer)
{
    buf_addf(out, "GET " STR_FMT " HTTP/1.1\r\nhost: " STR_FMT "\r\n", STR_ARG(url->target),
             STR_ARG(url->authority));
    if (bearer)
        buf_addf(out, "authorization: Bearer %s\r\n", bearer);
    buf_add_cstr(out, "accept: application/x-ndjson, */*\r\nconnection: close\r\n\r\n");
}

int http_fetch_lines(const struct http_fetch_params *p, struct http_fetch **ret, struct error *err)
{
    struct url url;
    int rc = url_parse(p->url, &url, err);
    if (rc)
        return rc;
    if (p->bearer && strpbrk(p->bearer, "\r\n"))
        return error_set(err, -EINVAL, "the bearer token holds a line break");
    struct http_fetch *f = mem_alloc(sizeof(*f));
    f->params = *p;
    f->params.url = f->params.bearer = NULL;
    write_request(&f->request, &url, p->bearer);
    f->silence = event_new(p->base, -1, 0, on_silence, f);
    f->resume = event_new(p->base, -1, 0, on_resume, f);
    if (!f->silence || !f->resume)
        abort();
    f->resolve = resolve_start(p->base, url.host, url.port, on_resolved, f);
    put_off_silence(f);
    *ret = f;
    return 0;
}

void http_fetch_cancel(struct http_fetch *f)
{
    f->cancelled = true;
    if (!f->running)
        free_fetch(f);
}

void http_fetch_pause(struct http_fetch *f, bool paused)
{
    if (f->paused == paused || f->state == FETCH_OVER)
        return;
    f->paused = paused;
    if (paused) {
        (void)event_del(f->silence);
        (void)event_del(f->resume);
        if (f->bev)
            (void)bufferevent_disable(f->bev, EV_READ);
        return;
    }
    put_off_silence(f);
    if (f->bev && !f->eof)
        (void)bufferevent_enable(f->bev, EV_READ);
    event_active(f->resume, EV_TIMEOUT, 1);
}
