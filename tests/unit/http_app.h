// The handler that the server's tests talk to, and what it answers.
#ifndef ROLLCALL_TESTS_HTTP_APP_H
#define ROLLCALL_TESTS_HTTP_APP_H

#include "tests/unit/http_fixture.h"

// What the handler of these tests knows and remembers.
struct app {
    struct fixture f;
    struct http_request *waiting[8]; // of /later, in order
    size_t waiting_count;
    int requests;
    struct buf seen; // of /show
};

static inline void app_show(struct app *a, struct http_request *r)
{
    buf_clear(&a->seen);
    buf_addf(&a->seen, "%s|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|",
             http_method_name(http_method(r)), STR_ARG(http_path(r)), STR_ARG(http_query(r)),
             STR_ARG(http_host(r)), STR_ARG(http_peer(r)), STR_ARG(http_header(r, "X-TWICE")));
    http_header_list(r, "x-Twice", &a->seen);
    http_reply_header(r, "content-type", STR_LIT("text/plain"));
    http_reply(r, 200, buf_str(&a->seen));
}

static inline void app_big(struct http_request *r)
{
    struct buf body = BUF_INIT;
    for (int i = 0; i < 5000000; i++)
        buf_add_char(&body, 'b');
    http_reply(r, 200, buf_str(&body));
    buf_done(&body);
}

static inline void app_request(void *arg, struct http_request *r)
{
    struct app *a = arg;
    struct str path = http_path(r);
    a->requests++;
    if (str_eq_cstr(path, "/later")) {
        a->waiting[a->waiting_count++] = r;
        return;
    }
    if (str_eq_cstr(path, "/show")) {
        app_show(a, r);
        return;
    }
    if (str_eq_cstr(path, "/big")) {
        app_big(r);
        return;
    }
    if (str_eq_cstr(path, "/late"))
        http_answer_late(r);
    http_reply_header(r, "content-type", STR_LIT("text/plain"));
    http_reply_header(r, "X-Upper", STR_LIT("1"));
    if (str_eq_cstr(path, "/204"))
        http_reply(r, 204, STR_LIT("never sent"));
    else if (str_eq_cstr(path, "/304"))
        http_reply(r, 304, STR_LIT("never sent"));
    else
        http_reply(r, 200, http_body(r));
}

static inline struct http_limits app_limits(void)
{
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.header_bytes = 1000;
    l.body_bytes = 2000000;
    return l;
}

static inline void app_init(struct app *a, struct http_limits l)
{
    *a = (struct app){.requests = 0};
    fixture_init(&a->f, l, a, app_request);
}

static inline void app_done(struct app *a)
{
    fixture_done(&a->f);
    buf_done(&a->seen);
}

#define FIELDS     "content-type: text/plain\r\nX-Upper: 1\r\n"
#define OK_EMPTY   "HTTP/1.1 200 OK\r\n" FIELDS "content-length: 0\r\n\r\n"
#define OK_HELLO   "HTTP/1.1 200 OK\r\n" FIELDS "content-length: 5\r\n\r\nhello"
#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST_HELLO "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
#define CHUNKED_HELLO                                                                                        \
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: "    \
    "u\r\n\r\n"

#endif
