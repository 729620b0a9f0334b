// A handler with long answers, for the tests of streams and of the client that reads them.
#ifndef ROLLCALL_TESTS_HTTP_FEED_H
#define ROLLCALL_TESTS_HTTP_FEED_H

#include "tests/unit/http_fixture.h"

// Writes numbered lines of 100 bytes as long as it may, then waits to be called.
struct feed {
    struct fixture f;
    struct http_request *r;
    size_t lines, wanted;
    size_t refusals, ready, gone;
    bool manual; // lines are written by the test alone
    bool over;
    int status;
};

static inline void feed_on(struct feed *d)
{
    char line[101];
    bool more = true;
    while (more && d->lines < d->wanted) {
        (void)snprintf(line, sizeof(line), "%099zu\n", d->lines++);
        more = http_stream_write(d->r, str_of(line));
    }
    d->refusals += !more;
    if (d->lines == d->wanted && !d->manual && !d->over) {
        d->over = true;
        http_stream_end(d->r);
    }
}

static inline void feed_ready(void *arg)
{
    struct feed *d = arg;
    d->ready++;
    feed_on(d);
}

static inline void feed_gone(void *arg)
{
    ((struct feed *)arg)->gone++;
}

static inline void feed_begin(struct feed *d)
{
    static const struct http_stream_fns fns = {.on_ready = feed_ready, .on_gone = feed_gone};
    http_reply_header(d->r, "content-type", STR_LIT("application/x-ndjson"));
    http_stream_begin(d->r, d->status ? d->status : 200, &fns, d);
}

static inline void feed_request(void *arg, struct http_request *r)
{
    struct feed *d = arg;
    d->r = r;
    if (str_eq_cstr(http_path(r), "/short")) {
        http_reply(r, 200, STR_LIT("one\r\ntwo\n\nlast"));
    } else if (str_eq_cstr(http_path(r), "/404")) {
        http_reply(r, 404, STR_LIT("no\n"));
    } else if (str_eq_cstr(http_path(r), "/token")) {
        http_reply(r, 200, http_header(r, "authorization"));
    } else if (!str_eq_cstr(http_path(r), "/later")) {
        feed_begin(d);
        feed_on(d);
    }
}

static inline void feed_init(struct feed *d, size_t wanted)
{
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.body_timeout_ms = 5000;
    *d = (struct feed){.wanted = wanted};
    fixture_init(&d->f, l, d, feed_request);
}

#endif
