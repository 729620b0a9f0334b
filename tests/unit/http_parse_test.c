// common/http, the pure parts: where a request's head ends and what it says, chunked coding, escapes, URLs.
#include "common/base/mem.h"
#include "common/http/answer.h"
#include "common/http/chunked.h"
#include "common/http/head.h"
#include "common/http/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

// ---- the head

static const char plain[] = "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";

static void the_end_of_a_head_is_found_at_every_split(void **state)
{
    static const char *const texts[] = {plain, "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                                        "POST / HTTP/1.1\r\nHost:\r\n\r\nbody\r\n\r\n"};
    static const size_t blanks[] = {0, 4, 0};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct str all = str_of(texts[t]);
        size_t end = str_find_str(str_slice(all, 4, all.n), STR_LIT("\r\n\r\n")) + 8;
        for (size_t a = 0; a <= end; a++) {
            for (size_t b = a; b <= end; b++) {
                struct head_scan s = {0};
                enum head_found found = head_scan(&s, str_slice(all, 0, a));
                assert_int_equal(found, a < end ? HEAD_MORE : HEAD_WHOLE);
                if (found == HEAD_MORE)
                    found = head_scan(&s, str_slice(all, a, b));
                assert_int_equal(found, b < end ? HEAD_MORE : HEAD_WHOLE);
                if (found == HEAD_MORE)
                    found = head_scan(&s, str_slice(all, b, all.n));
                assert_int_equal(found, HEAD_WHOLE);
                assert_int_equal(s.seen, end);
                assert_int_equal(s.blank, blanks[t]);
            }
        }
    }
}

static void a_line_feed_alone_is_broken_at_every_split(void **state)
{
    static const char *const texts[] = {"GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\n", "\n",
                                        "\r\n\nGET"};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct str all = str_of(texts[t]);
        for (size_t at = 0; at <= all.n; at++) {
            struct head_scan s = {0};
            enum head_found found = head_scan(&s, str_slice(all, 0, at));
            if (found == HEAD_MORE)
                found = head_scan(&s, str_slice(all, at, all.n));
            assert_int_equal(found, HEAD_BROKEN);
        }
    }
}

static void a_head_tells_method_framing_and_persistence(void **state)
{
    struct head h;
    const char *why;
    assert_int_equal(head_parse(str_of(plain), &h, &why), 0);
    assert_int_equal(h.method, HTTP_GET);
    assert_int_equal(h.minor, 1);
    assert_false(h.close || h.chunked || h.expect_continue || h.has_length || h.absolute);
    assert_int_equal(
        head_parse(STR_LIT("PUT / HTTP/1.1\r\nhOsT: x\r\nContent-Length:  12 \r\nConnection: a, Close\r\n"
                           "Expect: 100-Continue\r\n\r\n"),
                   &h, &why),
        0);
    assert_int_equal(h.method, HTTP_PUT);
    assert_int_equal(h.length, 12);
    assert_true(h.close && h.has_length && h.expect_continue);
    assert_int_equal(
        head_parse(STR_LIT("POST http://a:1/b HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked\r\n\r\n"), &h,
                   &why),
        0);
    assert_true(h.absolute && h.chunked && h.close);
    assert_int_equal(head_parse(STR_LIT("GET / HTTP/1.0\r\n\r\n"), &h, &why), 0);
    assert_true(h.close && h.minor == 0);
    assert_int_equal(head_parse(STR_LIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), &h, &why), 0);
    assert_false(h.close);
    // evhttp looks at the first of these fields alone and would close
    assert_int_equal(
        head_parse(STR_LIT("GET / HTTP/1.0\r\nConnection: x\r\nConnection: keep-alive\r\n\r\n"), &h, &why),
        0);
    assert_true(h.close);
    assert_int_equal(
        head_parse(STR_LIT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
                   &h, &why),
        0);
    assert_true(h.length == UINT64_MAX);
}

#define WITH(fields) "POST / HTTP/1.1\r\nHost: x\r\n" fields "\r\n\r\n"

static void what_evhttp_lets_through_is_refused(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: \"><b>\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"},
        {400, "GET /HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.11\r\nHost: a\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, " / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {501, "get / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
        {400, WITH("no colon")},
        {400, WITH("a b: c")},
        {400, WITH("a : c")},
        {400, WITH(": c")},
        {400, WITH("a: b\r\n folded")},
        {400, WITH("a: b\rc")},
        {400, WITH("a: b\x01")},
        {400, WITH("a: b\x7f")},
        {400, WITH("Content-Length: 1\r\nContent-Length: 1")},
        {400, WITH("Content-Length: 1\r\nContent-Length: 2")},
        {400, WITH("Content-Length: 1, 1")},
        {400, WITH("Content-Length: -1")},
        {400, WITH("Content-Length: +1")},
        {400, WITH("Content-Length: 0x1")},
        {400, WITH("Content-Length:")},
        {400, WITH("Content-Length: 1 2")},
        {400, WITH("Content-Length:\t1")},
        {400, WITH("Content-Length: 5\r\nTransfer-Encoding: chunked")},
        {400, WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")},
        {501, WITH("Transfer-Encoding: gzip, chunked")},
        {501, WITH("Transfer-Encoding: identity")},
        {400, WITH("Authorization: a\r\nAuthorization: a")},
        {400, WITH("authorization:\r\nX: y\r\nAUTHORIZATION: b")},
        {400, WITH("Cookie: a=b\r\nCookie: c=d")},
        {400, WITH("X-Auth-Token: a\r\nX-Auth-Token: b")},
        {400, WITH("Content-Type: a/b\r\nContent-Type: a/b")},
        {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"},
        {417, WITH("Expect: a pony")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct head h;
        const char *why = NULL;
        int status = head_parse(str_of(cases[i].text), &h, &why);
        if (status != cases[i].status)
            fail_msg("%d, not %d: %s", status, cases[i].status, cases[i].text);
        assert_non_null(why);
    }
    struct head h;
    const char *why;
    static const char nul[] = "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n";
    assert_int_equal(head_parse(str_of_bytes(nul, sizeof(nul) - 1), &h, &why), 400);
}

static void a_rewritten_head_gives_the_length_in_place_of_the_coding(void **state)
{
    struct buf out = BUF_INIT;
    head_rewrite(
        &out,
        STR_LIT("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: q\r\nA: b\r\n\r\n"),
        7);
    assert_string_equal(out.p, "POST /a HTTP/1.1\r\nHost: x\r\nA: b\r\ncontent-length: 7\r\n\r\n");
    buf_done(&out);
}

// ---- chunked

// Decodes `text` cut at `at`; the run that ended it.
static enum chunked_run decode_split(struct str text, size_t at, struct buf *out, size_t *ret_used)
{
    struct chunked c = {0};
    struct str pieces[2] = {str_slice(text, 0, at), str_slice(text, at, text.n)};
    enum chunked_run run = CHUNKED_FRAMING;
    *ret_used = 0;
    for (size_t i = 0; i < 2; i++) {
        while (pieces[i].n && run != CHUNKED_END && run != CHUNKED_BROKEN) {
            size_t count = 0;
            run = chunked_next(&c, pieces[i], &count);
            assert_true(count > 0 && count <= pieces[i].n);
            if (run == CHUNKED_DATA)
                buf_add(out, pieces[i].p, count);
            *ret_used += count;
            pieces[i] = str_slice(pieces[i], count, pieces[i].n);
        }
    }
    return run;
}

static void chunks_are_decoded_at_every_split(void **state)
{
    static const struct {
        const char *text, *body;
    } cases[] = {
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"0\r\n\r\n", ""},
        {"1;a=b;c=\"d\"\r\nx\r\n00a \r\n0123456789\r\n000\r\nTrailer: t\r\nOther: u\r\n\r\n", "x0123456789"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = str_of(cases[i].text);
        struct buf with_next = BUF_INIT;
        buf_add_str(&with_next, text);
        buf_add_cstr(&with_next, "GET / HTTP/1.1");
        for (size_t at = 0; at <= text.n; at++) {
            struct buf out = BUF_INIT;
            size_t used;
            assert_int_equal(decode_split(buf_str(&with_next), at, &out, &used), CHUNKED_END);
            assert_int_equal(used, text.n);
            assert_true(str_eq_cstr(buf_str(&out), cases[i].body));
            buf_done(&out);
        }
        buf_done(&with_next);
    }
}

static void broken_chunks_are_refused_at_every_split(void **state)
{
    static const char *const cases[] = {"x\r\n",
                                        "\r\n",
                                        "-1\r\n",
                                        "0x1\r\n",
                                        "5\nhello\r\n0\r\n\r\n",
                                        "5\r\nhelloX\n",
                                        "5\r\nhello\n0",
                                        "1234567890abcdef0\r\n",
                                        "5\rhello",
                                        "0\r\n\n",
                                        "0\r\na: b\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = str_of(cases[i]);
        for (size_t at = 0; at <= text.n; at++) {
            struct buf out = BUF_INIT;
            size_t used;
            if (decode_split(text, at, &out, &used) != CHUNKED_BROKEN)
                fail_msg("taken: %s", cases[i]);
            buf_done(&out);
        }
    }
}

static void endless_chunk_framing_is_refused(void **state)
{
    struct chunked c = {0};
    size_t count, total = 0;
    enum chunked_run run = chunked_next(&c, STR_LIT("1;"), &count);
    while (run == CHUNKED_FRAMING && total++ < 100000)
        run = chunked_next(&c, STR_LIT("x"), &count);
    assert_int_equal(run, CHUNKED_BROKEN);
    assert_true(total < 5000);
}

// ---- escapes

static void escapes_are_decoded_and_broken_ones_refused(void **state)
{
    struct buf out = BUF_INIT;
    assert_int_equal(http_decode(&out, STR_LIT("a%20b+c%C3%a9"), false), 0);
    assert_string_equal(out.p, "a b+c\xc3\xa9");
    buf_clear(&out);
    assert_int_equal(http_decode(&out, STR_LIT("a+b"), true), 0);
    assert_string_equal(out.p, "a b");
    static const char *const broken[] = {"%", "a%2", "%zz", "%2g", "%00", "%%20", "a%-1"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        assert_int_equal(http_decode(&out, str_of(broken[i]), true), -EINVAL);
    assert_int_equal(http_decode(&out, str_of_bytes("a\0b", 3), true), -EINVAL);
    assert_string_equal(out.p, "a b");
    buf_done(&out);
}

static void encoding_is_undone_by_decoding(void **state)
{
    char all[255];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)(i + 1);
    struct buf coded = BUF_INIT, back = BUF_INIT;
    http_encode(&coded, str_of_bytes(all, sizeof(all)));
    assert_int_equal(http_decode(&back, buf_str(&coded), true), 0);
    assert_true(str_eq(buf_str(&back), str_of_bytes(all, sizeof(all))));
    buf_clear(&coded);
    http_encode(&coded, STR_LIT("A-z_0.9~ /?%"));
    assert_string_equal(coded.p, "A-z_0.9~%20%2F%3F%25");
    buf_done(&coded);
    buf_done(&back);
}

static void pairs_keep_their_order_and_the_last_value_counts(void **state)
{
    struct http_pairs pairs;
    struct error err;
    assert_int_equal(http_pairs_parse(STR_LIT("page%5Bsize%5D=2&a=1+2&&b&=c&a=x=y&"), &pairs, &err), 0);
    assert_int_equal(pairs.count, 5);
    assert_string_equal(pairs.items[0].name, "page[size]");
    assert_string_equal(pairs.items[1].value, "1 2");
    assert_string_equal(pairs.items[2].name, "b");
    assert_string_equal(pairs.items[2].value, "");
    assert_string_equal(pairs.items[3].name, "");
    assert_string_equal(http_pairs_get(&pairs, "a"), "x=y");
    assert_null(http_pairs_get(&pairs, "c"));
    http_pairs_done(&pairs);
    assert_int_equal(http_pairs_parse(STR_NONE, &pairs, &err), 0);
    assert_int_equal(pairs.count, 0);
    http_pairs_done(&pairs);
}

static void too_many_pairs_and_broken_ones_are_refused(void **state)
{
    struct http_pairs pairs;
    struct error err;
    struct buf text = BUF_INIT;
    for (int i = 0; i < 256; i++)
        buf_add_cstr(&text, "a=b&");
    assert_int_equal(http_pairs_parse(buf_str(&text), &pairs, &err), 0);
    assert_int_equal(pairs.count, 256);
    http_pairs_done(&pairs);
    buf_add_cstr(&text, "a");
    assert_int_equal(http_pairs_parse(buf_str(&text), &pairs, &err), -E2BIG);
    buf_done(&text);
    assert_int_equal(http_pairs_parse(STR_LIT("a=b&c=%0"), &pairs, &err), -EINVAL);
    assert_int_equal(http_pairs_parse(STR_LIT("a=b&%00=c"), &pairs, &err), -EINVAL);
}

// ---- the client's side

static void urls_are_taken_apart(void **state)
{
    struct url u;
    struct error err;
    assert_int_equal(url_parse("http://gw.example:8080/a/b?c=d", &u, &err), 0);
    assert_true(str_eq_cstr(u.host, "gw.example") && u.port == 8080 && str_eq_cstr(u.target, "/a/b?c=d"));
    assert_true(str_eq_cstr(u.authority, "gw.example:8080"));
    assert_int_equal(url_parse("http://[::1]:9", &u, &err), 0);
    assert_true(str_eq_cstr(u.host, "::1") && u.port == 9 && str_eq_cstr(u.target, "/"));
    assert_int_equal(url_parse("http://h/", &u, &err), 0);
    assert_int_equal(u.port, 80);
    static const char *const bad[] = {"https://h/",   "h:80/",         "http://",         "http:///a",
                                      "http://h:0/",  "http://h:x",    "http://h:99999/", "http://h?a=/b",
                                      "http://h/a b", "http://h/\r\nx"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(url_parse(bad[i], &u, &err), -EINVAL);
}

static void the_head_of_an_answer_tells_its_framing(void **state)
{
    struct answer_head h;
    struct error err;
    assert_int_equal(answer_parse(STR_LIT("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"), &h, &err), 0);
    assert_true(h.status == 200 && h.has_length && h.length == 7 && !h.chunked);
    assert_int_equal(answer_parse(STR_LIT("HTTP/1.1 503\r\ntransfer-encoding: chunked\r\n\r\n"), &h, &err),
                     0);
    assert_true(h.status == 503 && h.chunked);
    static const char *const bad[] = {"HTTP/2 200\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "HTTP/1.1 OK\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(answer_parse(str_of(bad[i]), &h, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_head_is_found_at_every_split),
        cmocka_unit_test(a_line_feed_alone_is_broken_at_every_split),
        cmocka_unit_test(a_head_tells_method_framing_and_persistence),
        cmocka_unit_test(what_evhttp_lets_through_is_refused),
        cmocka_unit_test(a_rewritten_head_gives_the_length_in_place_of_the_coding),
        cmocka_unit_test(chunks_are_decoded_at_every_split),
        cmocka_unit_test(broken_chunks_are_refused_at_every_split),
        cmocka_unit_test(endless_chunk_framing_is_refused),
        cmocka_unit_test(escapes_are_decoded_and_broken_ones_refused),
        cmocka_unit_test(encoding_is_undone_by_decoding),
        cmocka_unit_test(pairs_keep_their_order_and_the_last_value_counts),
        cmocka_unit_test(too_many_pairs_and_broken_ones_are_refused),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(the_head_of_an_answer_tells_its_framing),
    };
    return cmocka_run_group_tests_name("http_parse", tests, NULL, NULL);
}
