// common/http: requests spoiled at random, from a seed that repeats. Whatever arrives, in whatever pieces, is
// answered by the handler or refused in the server's own form, never with a page of evhttp's, and the server
// lives. HTTP_RANDOM_ROUNDS and HTTP_RANDOM_SEED in the environment ask for more.
#include "tests/unit/http_app.h"

#include "common/base/rng.h"

static const char *const parts[] = {
    "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD /show HTTP/1.1\r\nHost: x\r\n\r\n",
    "DELETE /204 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "POST /a?b=%20&c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nT: "
    "u\r\n\r\n",
    "PATCH http://h/x HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "TRACE /show HTTP/1.0\r\nConnection: keep-alive\r\nX-Twice: \xc3\xa4\r\n\r\n",
    "\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: upgrade, close\r\n",
    "Expect: x\r\n",
    "\r\n\r\n",
    "//a:b@c[::1]:99999/%zz?#",
    "HTTP/1.1",
    ": ",
    " folded\r\n",
};

static const char *const upload_parts[] = {
    "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST /up?a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n",
    "PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\nGET / HTTP/",
    "POST //h/up HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
    "POST http://h/up HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
};

static void spoil(struct rng *rng, struct buf *text)
{
    static const char bytes[] = "\r\n\t :;,/?%0\0aZ\x7f\x80\xff";
    struct buf out = BUF_INIT;
    size_t at = (size_t)rng_below(rng, text->n + 1), until = at + (size_t)rng_below(rng, 6);
    buf_add_str(&out, str_slice(buf_str(text), 0, at));
    switch (rng_below(rng, 4)) {
    case 0: // bytes lost
        break;
    case 1: // bytes twice
        buf_add_str(&out, str_slice(buf_str(text), at, until));
        until = at;
        break;
    case 2: // another byte
        buf_add_char(&out, bytes[rng_below(rng, sizeof(bytes) - 1)]);
        until = at + (size_t)rng_below(rng, 2);
        break;
    default: // a piece of another request
        buf_add_cstr(&out, parts[rng_below(rng, ARRAY_LEN(parts))]);
        until = at;
    }
    buf_add_str(&out, str_slice(buf_str(text), until, text->n));
    buf_done(text);
    *text = out;
}

static struct buf some_requests(struct rng *rng, const char *const *wanted, size_t count)
{
    struct buf text = BUF_INIT;
    for (uint64_t i = 1 + rng_below(rng, 3); i > 0; i--)
        buf_add_cstr(&text, wanted[rng_below(rng, count)]);
    for (uint64_t i = rng_below(rng, 4); i > 0; i--)
        spoil(rng, &text);
    return text;
}

// One answer off the front: false when it has not the form of one.
static bool take_answer(struct str *text)
{
    size_t end = str_find_str(*text, STR_LIT("\r\n\r\n")) + 4;
    struct str head = str_slice(*text, 0, end), mark = STR_LIT("content-length: ");
    size_t at = str_find_str(head, mark);
    uint64_t length = 0;
    if (!str_starts(head, STR_LIT("HTTP/1.1 ")) || end > text->n)
        return false;
    if (at < head.n) {
        struct str rest = str_slice(head, at + mark.n, head.n);
        if (str_to_u64(str_slice(rest, 0, str_find(rest, '\r', 0)), &length))
            return false;
    }
    struct str body = str_slice(*text, end, text->n);
    bool to_head = str_starts(body, STR_LIT("HTTP/1.1 ")) || !body.n; // a body of ours never begins so
    *text = to_head ? body : str_slice(body, (size_t)length, body.n);
    return true;
}

static void spoiled_requests_are_answered_or_refused(void **state)
{
    const char *rounds_text = getenv("HTTP_RANDOM_ROUNDS"), *seed_text = getenv("HTTP_RANDOM_SEED");
    long rounds = rounds_text ? atol(rounds_text) : 2000;
    uint64_t seed = seed_text ? (uint64_t)atoll(seed_text) : 1;
    long answers = 0;
    struct app a;
    app_init(&a, app_limits());
    for (long round = 0; round < rounds; round++, seed++) {
        struct rng rng = {.state = seed};
        struct client c;
        struct buf text = some_requests(&rng, parts, 8);
        client_connect(&c, &a.f);
        for (size_t at = 0, next; at < text.n; at = next) {
            next = at + 1 + (size_t)rng_below(&rng, text.n);
            client_send(&c, str_slice(buf_str(&text), at, next));
        }
        (void)shutdown(c.fd, SHUT_WR);
        WAIT_UNTIL(&a.f, c.closed);
        struct str got = buf_str(&c.got);
        bool well = true;
        while (got.n && (well = take_answer(&got)))
            answers++;
        if (!well || (c.got.p && strcasestr(c.got.p, "<html")))
            fail_msg("seed %llu: " STR_FMT, (unsigned long long)seed, STR_ARG(buf_str(&c.got)));
        buf_done(&text);
        client_close(&c);
        assert_int_equal(http_server_active_count(a.f.server), 0);
    }
    assert_true(a.requests > rounds / 2);
    assert_true(answers > a.requests); // some were refused
    app_done(&a);
}

// ---- uploads, whose handler is as fickle as their senders

struct fickle {
    struct app a;
    struct rng rng;
    size_t begun, answered, gone, live;
};

struct up {
    struct fickle *owner;
    struct http_request *r;
    struct event *later;
    bool begun, paused;
};

static void up_free(struct up *u)
{
    u->owner->live--;
    event_free(u->later);
    free(u);
}

static void up_answer(struct up *u)
{
    u->owner->answered++;
    http_reply(u->r, 200, STR_LIT("up"));
    up_free(u);
}

static void up_data(void *arg, struct str bytes)
{
    struct up *u = arg;
    uint64_t mood = rng_below(&u->owner->rng, 8);
    if (mood == 0) {
        up_answer(u);
    } else if (mood < 4) {
        http_upload_pause(u->r, true);
        u->paused = mood > 1;
        if (u->paused)
            event_active(u->later, EV_TIMEOUT, 1);
        else
            http_upload_pause(u->r, false);
    }
}

static void up_end(void *arg)
{
    struct up *u = arg;
    if (rng_below(&u->owner->rng, 2))
        up_answer(u);
    else
        event_active(u->later, EV_TIMEOUT, 1); // which answers
}

static void up_gone(void *arg)
{
    struct up *u = arg;
    u->owner->gone++;
    up_free(u);
}

static void up_begin(struct up *u)
{
    static const struct http_upload_fns fns = {.on_data = up_data, .on_end = up_end, .on_gone = up_gone};
    u->begun = true;
    http_upload_begin(u->r, &fns, u);
}

static void up_later(evutil_socket_t fd, short what, void *arg)
{
    struct up *u = arg;
    if (!u->begun) {
        up_begin(u);
    } else if (u->paused) {
        u->paused = false;
        http_upload_pause(u->r, false);
    } else {
        up_answer(u);
    }
}

static void fickle_request(void *arg, struct http_request *r)
{
    struct fickle *f = arg;
    if (!str_ends(http_path(r), STR_LIT("up"))) {
        app_request(&f->a, r);
        return;
    }
    if (!rng_below(&f->rng, 6)) {
        http_reply(r, 401, STR_LIT("no"));
        return;
    }
    struct up *u = mem_alloc(sizeof(*u));
    u->owner = f;
    u->r = r;
    u->later = event_new(f->a.f.base, -1, 0, up_later, u);
    f->begun++;
    f->live++;
    if (rng_below(&f->rng, 3))
        up_begin(u);
    else
        event_active(u->later, EV_TIMEOUT, 1);
}

static bool fickle_takes(void *arg, enum http_method method, struct str path)
{
    return str_ends(path, STR_LIT("up"));
}

static void a_spoiled_upload_is_answered_or_gone_exactly_once(void **state)
{
    const char *rounds_text = getenv("HTTP_RANDOM_ROUNDS"), *seed_text = getenv("HTTP_RANDOM_SEED");
    long rounds = rounds_text ? atol(rounds_text) : 2000;
    uint64_t seed = seed_text ? (uint64_t)atoll(seed_text) : 1;
    struct fickle f = {.begun = 0};
    fixture_init_with(&f.a.f, &(struct http_server_params){.limits = app_limits(),
                                                           .arg = &f,
                                                           .on_request = fickle_request,
                                                           .takes_upload = fickle_takes});
    for (long round = 0; round < rounds; round++, seed++) {
        struct rng rng = f.rng = (struct rng){.state = seed};
        struct client c;
        struct buf text = some_requests(&rng, upload_parts, ARRAY_LEN(upload_parts));
        client_connect(&c, &f.a.f);
        for (size_t at = 0, next; at < text.n && !c.closed; at = next) {
            next = at + 1 + (size_t)rng_below(&rng, text.n);
            client_send(&c, str_slice(buf_str(&text), at, next));
        }
        bool cut = rng_below(&rng, 2);
        if (!cut) {
            (void)shutdown(c.fd, SHUT_WR);
            WAIT_UNTIL(&f.a.f, c.closed);
        }
        buf_done(&text);
        client_close(&c);
        WAIT_UNTIL(&f.a.f, !f.live && !http_server_active_count(f.a.f.server));
    }
    assert_int_equal(f.begun, f.answered + f.gone);
    assert_true(f.answered > (size_t)rounds / 4 && f.gone > 0);
    app_done(&f.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spoiled_requests_are_answered_or_refused),
        cmocka_unit_test(a_spoiled_upload_is_answered_or_gone_exactly_once),
    };
    return cmocka_run_group_tests_name("http_random", tests, NULL, NULL);
}
