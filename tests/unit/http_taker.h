// A handler that takes uploads, for the tests of them.
#ifndef ROLLCALL_TESTS_HTTP_TAKER_H
#define ROLLCALL_TESTS_HTTP_TAKER_H

#include "tests/unit/http_fixture.h"

// A handler of uploads: /late begins when it is told to, /refuse answers at once, /cut after the first bytes,
// all others after the end with "<bytes> <sum>".
struct taker {
    struct fixture f;
    struct http_request *r; // of the present upload
    size_t bytes, pieces, largest;
    uint64_t sum;
    size_t ends, gone, requests;
    size_t pause_at; // pauses itself once so many bytes came; 0: never
    bool cut, hold;  // `hold`: the end is not answered
    bool collects;
};

static inline void taker_answer(struct taker *t)
{
    char text[64];
    int count = snprintf(text, sizeof(text), "%zu %llu", t->bytes, (unsigned long long)t->sum);
    http_reply(t->r, 200, str_of_bytes(text, (size_t)count));
    t->r = NULL;
}

static inline void taker_data(void *arg, struct str bytes)
{
    struct taker *t = arg;
    assert_true(bytes.n > 0);
    t->bytes += bytes.n;
    t->pieces++;
    t->largest = bytes.n > t->largest ? bytes.n : t->largest;
    for (size_t i = 0; i < bytes.n; i++)
        t->sum += (unsigned char)bytes.p[i];
    if (t->collects && !http_upload_hold(t->r, t->bytes)) {
        http_reply(t->r, 503, STR_LIT("later"));
        t->r = NULL;
        return;
    }
    if (t->cut) {
        http_reply(t->r, 422, STR_LIT("enough"));
        t->r = NULL;
    } else if (t->pause_at && t->bytes >= t->pause_at) {
        t->pause_at = 0;
        http_upload_pause(t->r, true);
    }
}

static inline void taker_end(void *arg)
{
    struct taker *t = arg;
    t->ends++;
    if (!t->hold)
        taker_answer(t);
}

static inline void taker_gone(void *arg)
{
    struct taker *t = arg;
    t->gone++;
    t->r = NULL;
}

static inline void taker_begin(struct taker *t)
{
    static const struct http_upload_fns fns = {
        .on_data = taker_data, .on_end = taker_end, .on_gone = taker_gone};
    http_upload_begin(t->r, &fns, t);
}

static inline void taker_request(void *arg, struct http_request *r)
{
    struct taker *t = arg;
    struct str path = http_path(r);
    t->requests++;
    if (!str_starts(path, STR_LIT("/up"))) {
        http_reply(r, 200, http_body(r));
        return;
    }
    assert_int_equal(http_body(r).n, 0);
    if (str_eq_cstr(path, "/up/refuse")) {
        http_reply(r, 401, STR_LIT("no"));
        return;
    }
    t->r = r;
    t->bytes = 0;
    t->sum = 0;
    if (!str_eq_cstr(path, "/up/late"))
        taker_begin(t);
}

static inline bool taker_takes(void *arg, enum http_method method, struct str path)
{
    return method == HTTP_POST && str_starts(path, STR_LIT("/up"));
}

static inline void taker_init(struct taker *t, uint32_t body_timeout_ms)
{
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.body_bytes = 1000;
    l.body_timeout_ms = body_timeout_ms;
    *t = (struct taker){.bytes = 0};
    fixture_init_with(&t->f,
                      &(struct http_server_params){
                          .limits = l, .arg = t, .on_request = taker_request, .takes_upload = taker_takes});
}

static inline void taker_done(struct taker *t)
{
    fixture_done(&t->f);
}

#define HEAD(path, rest) "POST " path " HTTP/1.1\r\nHost: x\r\n" rest "\r\n\r\n"
#define LENGTH(path, n)  HEAD(path, "Content-Length: " n)
#define CHUNKS(path)     HEAD(path, "Transfer-Encoding: chunked")

#endif
