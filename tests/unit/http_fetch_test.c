// common/http: the client that reads an answer line by line, against our own server and against raw sockets
// that answer as they should not.
#include "tests/unit/http_feed.h"

#include <malloc.h>

struct reader {
    struct fixture *f;
    struct http_fetch *fetch;
    size_t lines, bytes;
    struct buf text; // the lines with '|' behind each; the first 4 kB
    bool done;
    int status;
    struct error err; // code 0: none
    size_t pause_at, cancel_at;
    const struct feed *feed; // whose writing is compared
    size_t ahead;            // lines written and not yet read, at most
    size_t heap;             // bytes, at most
};

static void look(struct reader *r)
{
    size_t ahead = r->feed->lines - r->lines, heap = mallinfo2().uordblks;
    r->ahead = ahead > r->ahead ? ahead : r->ahead;
    r->heap = heap > r->heap ? heap : r->heap;
}

static void on_line(void *arg, struct str line)
{
    struct reader *r = arg;
    r->lines++;
    r->bytes += line.n;
    if (r->text.n < 4096) {
        buf_add_str(&r->text, line);
        buf_add_char(&r->text, '|');
    }
    if (r->feed && r->lines % 1000 == 0)
        look(r);
    if (r->lines == r->pause_at)
        http_fetch_pause(r->fetch, true);
    if (r->lines == r->cancel_at)
        http_fetch_cancel(r->fetch);
}

static void on_done(void *arg, int status, const struct error *err)
{
    struct reader *r = arg;
    assert_false(r->done);
    r->done = true;
    r->status = status;
    if (err)
        r->err = *err;
}

static void fetch_from(struct reader *r, struct fixture *f, uint16_t port, const char *host, const char *path)
{
    struct buf url = BUF_INIT;
    struct error err;
    buf_addf(&url, "http://%s:%u%s", host, port, path);
    const struct http_fetch_params params = {.base = f->base,
                                             .url = url.p,
                                             .bearer = "a.b.c",
                                             .timeout_ms = 5000,
                                             .line_bytes = 1000,
                                             .arg = r,
                                             .on_line = on_line,
                                             .on_done = on_done};
    r->f = f;
    if (http_fetch_lines(&params, &r->fetch, &err))
        fail_msg("%s", err.text);
    assert_false(r->done);
    buf_done(&url);
}

static void fetch(struct reader *r, struct fixture *f, const char *path)
{
    fetch_from(r, f, f->port, "127.0.0.1", path);
}

static void reader_done(struct reader *r)
{
    buf_done(&r->text);
}

// ---- against our own server

static void lines_come_without_their_ends(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0};
    feed_init(&d, 0);
    fetch(&r, &d.f, "/short");
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.text.p, "one|two||last|");
    reader_done(&r);
    fixture_done(&d.f);
}

static void the_token_and_a_name_are_used(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0};
    feed_init(&d, 0);
    fetch_from(&r, &d.f, d.f.port, "localhost", "/token");
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, 0);
    assert_string_equal(r.text.p, "Bearer a.b.c|");
    reader_done(&r);
    fixture_done(&d.f);
}

static void a_hundred_megabytes_pass_in_little_memory(void **state)
{
    struct feed d;
    struct reader r = {.feed = &d};
    feed_init(&d, 1000000);
    size_t before = mallinfo2().uordblks;
    fetch(&r, &d.f, "/");
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, 0);
    assert_int_equal(r.lines, 1000000);
    assert_int_equal(r.bytes, 99000000);
    assert_true(r.heap < before + 1000000);
    assert_true(r.ahead < 150000); // 15 MB, nearly all of it in the sockets
    reader_done(&r);
    fixture_done(&d.f);
}

static void a_pause_reaches_the_sender_and_ends_without_loss(void **state)
{
    struct feed d;
    struct reader r = {.pause_at = 1000};
    feed_init(&d, 200000); // 20 MB
    fetch(&r, &d.f, "/");
    WAIT_UNTIL(&d.f, r.lines == 1000);
    size_t before;
    do {
        before = d.lines;
        (void)event_base_loop(d.f.base, EVLOOP_NONBLOCK);
    } while (d.lines > before);
    assert_true(d.lines < 150000);
    assert_int_equal(r.lines, 1000);
    http_fetch_pause(r.fetch, true);
    http_fetch_pause(r.fetch, false);
    http_fetch_pause(r.fetch, false);
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, 0);
    assert_int_equal(r.lines, 200000);
    reader_done(&r);
    fixture_done(&d.f);
}

static void a_pause_before_the_connection_holds(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0}, other = {.lines = 0};
    feed_init(&d, 0);
    fetch(&r, &d.f, "/short");
    http_fetch_pause(r.fetch, true);
    fetch(&other, &d.f, "/short");
    WAIT_UNTIL(&d.f, other.done);
    assert_int_equal(r.lines, 0);
    http_fetch_pause(r.fetch, false);
    WAIT_UNTIL(&d.f, r.done);
    assert_string_equal(r.text.p, "one|two||last|");
    reader_done(&r);
    reader_done(&other);
    fixture_done(&d.f);
}

static void what_was_read_before_a_pause_comes_after_it(void **state)
{
    struct feed d;
    struct reader r = {.pause_at = 1}, other = {.lines = 0};
    feed_init(&d, 0);
    d.manual = true;
    fetch(&r, &d.f, "/");
    WAIT_UNTIL(&d.f, d.r);
    struct http_request *stream = d.r;
    (void)http_stream_write(stream, STR_LIT("one\ntwo\n"));
    WAIT_UNTIL(&d.f, r.lines == 1);
    fetch(&other, &d.f, "/short");
    WAIT_UNTIL(&d.f, other.done);
    assert_int_equal(r.lines, 1);
    http_fetch_pause(r.fetch, false);
    WAIT_UNTIL(&d.f, r.lines == 2); // though nothing more has come
    http_stream_end(stream);
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, 0);
    assert_string_equal(r.text.p, "one|two|");
    reader_done(&r);
    reader_done(&other);
    fixture_done(&d.f);
}

static void a_cancelled_fetch_says_nothing_more(void **state)
{
    for (size_t at = 0; at < 3; at++) {
        struct feed d;
        struct reader r = {.cancel_at = at};
        feed_init(&d, 100000);
        fetch(&r, &d.f, "/");
        if (!at)
            http_fetch_cancel(r.fetch);
        else
            WAIT_UNTIL(&d.f, d.gone);
        struct reader other = {.lines = 0};
        fetch(&other, &d.f, "/short");
        WAIT_UNTIL(&d.f, other.done);
        assert_int_equal(r.lines, at);
        assert_false(r.done);
        reader_done(&r);
        reader_done(&other);
        fixture_done(&d.f);
    }
}

static void a_fetch_may_be_cancelled_while_its_name_is_looked_up(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0}, other = {.lines = 0};
    feed_init(&d, 0);
    fetch_from(&r, &d.f, d.f.port, "localhost", "/short");
    http_fetch_cancel(r.fetch);
    fetch_from(&other, &d.f, d.f.port, "localhost", "/short");
    WAIT_UNTIL(&d.f, other.done);
    assert_false(r.done);
    assert_int_equal(r.lines, 0);
    reader_done(&other);
    fixture_done(&d.f);
}

static void another_status_is_an_error_and_its_body_no_lines(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0};
    feed_init(&d, 0);
    fetch(&r, &d.f, "/404");
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.err.text, "the answer is 404 Not Found");
    assert_int_equal(r.lines, 0);
    reader_done(&r);
    fixture_done(&d.f);
}

static void a_line_past_the_limit_fails(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0};
    char line[1200];
    feed_init(&d, 0);
    d.manual = true;
    fetch(&r, &d.f, "/");
    WAIT_UNTIL(&d.f, d.r);
    memset(line, 'x', sizeof(line));
    line[1000] = '\n';
    (void)http_stream_write(d.r, str_of_bytes(line, 1001)); // just short enough
    WAIT_UNTIL(&d.f, r.lines == 1);
    (void)http_stream_write(d.r, str_of_bytes(line, 600));
    (void)http_stream_write(d.r, str_of_bytes(line, 401));
    WAIT_UNTIL(&d.f, r.done && d.gone);
    assert_int_equal(r.err.code, -EMSGSIZE);
    reader_done(&r);
    fixture_done(&d.f);
}

static void silence_ends_a_fetch_but_not_a_paused_one(void **state)
{
    struct feed d;
    struct reader r = {.lines = 0}, paused = {.lines = 0};
    struct error err;
    feed_init(&d, 0);
    d.manual = true;
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", d.f.port);
    struct http_fetch_params params = {.base = d.f.base,
                                       .url = url,
                                       .timeout_ms = 50,
                                       .line_bytes = 100,
                                       .arg = &paused,
                                       .on_line = on_line,
                                       .on_done = on_done};
    assert_int_equal(http_fetch_lines(&params, &paused.fetch, &err), 0);
    http_fetch_pause(paused.fetch, true);
    params.arg = &r;
    assert_int_equal(http_fetch_lines(&params, &r.fetch, &err), 0);
    WAIT_UNTIL(&d.f, r.done);
    assert_int_equal(r.err.code, -ETIMEDOUT);
    assert_int_equal(r.status, 200);
    assert_false(paused.done);
    http_fetch_pause(paused.fetch, false);
    WAIT_UNTIL(&d.f, paused.done);
    assert_int_equal(paused.err.code, -ETIMEDOUT);
    fixture_done(&d.f);
}

// ---- against others

struct other {
    struct fixture f;
    int listen_fd, fd;
};

static void other_init(struct other *o)
{
    struct error err;
    *o = (struct other){.f = {.base = event_base_new()}, .fd = -1};
    o->f.deadline = event_new(o->f.base, -1, 0, fixture_late, &o->f);
    assert_int_equal(http_listen("127.0.0.1:0", false, &o->listen_fd, &o->f.port, &err), 0);
}

static void other_done(struct other *o)
{
    (void)close(o->listen_fd);
    event_free(o->f.deadline);
    base_end(o->f.base);
}

// Fetches once from a peer that answers with `text` in two pieces, cut at `at`, and closes.
static void answer_with(struct other *o, struct reader *r, const char *text, size_t at)
{
    *r = (struct reader){.lines = 0};
    fetch_from(r, &o->f, o->f.port, "127.0.0.1", "/");
    WAIT_UNTIL(&o->f, (o->fd = accept(o->listen_fd, NULL, NULL)) >= 0);
    char request[1000];
    WAIT_UNTIL(&o->f, recv(o->fd, request, sizeof(request), MSG_DONTWAIT) > 0);
    const int on = 1;
    (void)setsockopt(o->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(send(o->fd, text, at, MSG_NOSIGNAL), at);
    (void)event_base_loop(o->f.base, EVLOOP_NONBLOCK);
    (void)send(o->fd, text + at, strlen(text) - at, MSG_NOSIGNAL);
    (void)close(o->fd);
    WAIT_UNTIL(&o->f, r->done);
}

static void every_framing_is_read_at_every_split(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\ntwo\nmore",
        "HTTP/1.0 200 OK\r\n\r\none\ntwo\n",
        "HTTP/1.1 200 OK\r\n\r\none\ntwo",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\non\r\n3;x\r\ne\nt\r\n3\r\nwo\n\r\n0\r\n\r\n",
    };
    struct other o;
    struct reader r;
    other_init(&o);
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        for (size_t at = 0; at <= strlen(texts[t]); at++) {
            answer_with(&o, &r, texts[t], at);
            if (r.err.code)
                fail_msg("%s: %s", r.err.text, texts[t]);
            assert_string_equal(r.text.p, "one|two|");
            reader_done(&r);
        }
    }
    other_done(&o);
}

static void answers_that_are_none_fail_with_a_reason(void **state)
{
    static const struct {
        int code;
        const char *text;
    } cases[] = {
        {-ECONNRESET, ""},
        {-ECONNRESET, "HTTP/1.1 200 OK\r\n"},
        {-ECONNRESET, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
        {-ECONNRESET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
        {-EBADMSG, "SSH-2.0-x\r\n\r\n"},
        {-EBADMSG, "garbage\n"},
        {-EBADMSG, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n"},
        {-EBADMSG, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello\r\n"},
        {-EBADMSG, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    };
    struct other o;
    struct reader r;
    other_init(&o);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        answer_with(&o, &r, cases[i].text, strlen(cases[i].text));
        if (r.err.code != cases[i].code)
            fail_msg("%d (%s) for %s", r.err.code, r.err.text, cases[i].text);
        reader_done(&r);
    }
    other_done(&o);
}

static void an_address_where_nobody_listens_fails(void **state)
{
    struct other o;
    struct reader r = {.lines = 0}, named = {.lines = 0};
    other_init(&o);
    (void)close(o.listen_fd);
    fetch_from(&r, &o.f, o.f.port, "127.0.0.1", "/");
    WAIT_UNTIL(&o.f, r.done);
    assert_int_equal(r.err.code, -ECONNREFUSED);
    assert_int_equal(r.status, 0);
    fetch_from(&named, &o.f, o.f.port, "no-such-host.invalid", "/");
    WAIT_UNTIL(&o.f, named.done);
    assert_int_equal(named.err.code, -EADDRNOTAVAIL);
    assert_non_null(strstr(named.err.text, "no-such-host.invalid"));
    o.listen_fd = -1;
    other_done(&o);
}

static void a_bad_url_or_token_is_told_at_once(void **state)
{
    struct error err;
    struct http_fetch *fetch;
    struct http_fetch_params params = {.url = "https://h/", .on_line = on_line, .on_done = on_done};
    assert_int_equal(http_fetch_lines(&params, &fetch, &err), -EINVAL);
    params.url = "http://h/";
    params.bearer = "a\r\nb";
    assert_int_equal(http_fetch_lines(&params, &fetch, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_without_their_ends),
        cmocka_unit_test(the_token_and_a_name_are_used),
        cmocka_unit_test(a_hundred_megabytes_pass_in_little_memory),
        cmocka_unit_test(a_pause_reaches_the_sender_and_ends_without_loss),
        cmocka_unit_test(a_pause_before_the_connection_holds),
        cmocka_unit_test(what_was_read_before_a_pause_comes_after_it),
        cmocka_unit_test(a_cancelled_fetch_says_nothing_more),
        cmocka_unit_test(a_fetch_may_be_cancelled_while_its_name_is_looked_up),
        cmocka_unit_test(another_status_is_an_error_and_its_body_no_lines),
        cmocka_unit_test(a_line_past_the_limit_fails),
        cmocka_unit_test(silence_ends_a_fetch_but_not_a_paused_one),
        cmocka_unit_test(every_framing_is_read_at_every_split),
        cmocka_unit_test(answers_that_are_none_fail_with_a_reason),
        cmocka_unit_test(an_address_where_nobody_listens_fails),
        cmocka_unit_test(a_bad_url_or_token_is_told_at_once),
    };
    return cmocka_run_group_tests_name("http_fetch", tests, NULL, NULL);
}
