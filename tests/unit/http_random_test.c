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

static struct buf some_requests(struct rng *rng)
{
    struct buf text = BUF_INIT;
    for (uint64_t i = 1 + rng_below(rng, 3); i > 0; i--)
        buf_add_cstr(&text, parts[rng_below(rng, 8)]);
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
        struct buf text = some_requests(&rng);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spoiled_requests_are_answered_or_refused),
    };
    return cmocka_run_group_tests_name("http_random", tests, NULL, NULL);
}
