// The pure parts of the registrant's transport: where messages end in a stream, STUN, addresses, the pace of
// pings.
#include "services/registrant/transport/frame.h"
#include "services/registrant/transport/private.h"
#include "services/registrant/transport/stun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs setjmp, stdarg, stddef and stdint before it
#include <cmocka.h>

// ---- framing

// What the pieces are, a letter each: m message, c CRLF, p ping, + more is wanted, ! bad.
static void pieces_of(struct str bytes, size_t step, char *ret_letters)
{
    static const char letters[] = {
        [FRAME_MORE] = '+', [FRAME_MESSAGE] = 'm', [FRAME_CRLF] = 'c', [FRAME_PING] = 'p', [FRAME_BAD] = '!'};
    struct frame f = {0};
    size_t taken = 0, n = 0;
    bool bad = false;
    for (size_t came = 0; came < bytes.n && !bad;) {
        came = came + step < bytes.n ? came + step : bytes.n;
        enum frame_kind kind;
        struct str piece = STR_NONE;
        while ((kind = frame_next(&f, str_slice(bytes, taken, came), &piece)) != FRAME_MORE && !bad) {
            ret_letters[n++] = letters[kind];
            bad = kind == FRAME_BAD;
            taken += bad ? 0 : piece.n;
        }
    }
    if (!bad && taken < bytes.n)
        ret_letters[n++] = '+';
    ret_letters[n] = '\0';
}

#define PLAIN "SIP/2.0 200 OK\r\nCall-ID: 1\r\n"

static const struct {
    const char *bytes, *pieces;
} frames[] = {
    {"", ""},
    {PLAIN "Content-Length: 0\r\n\r\n", "m"},
    {PLAIN "Content-Length: 0\r\n\r\n" PLAIN "l: 3\r\n\r\nabc", "mm"},
    {PLAIN "Content-Length: 4\r\n\r\nabc", "+"},
    {PLAIN "Content-Length: 0\r\n", "+"},
    {PLAIN "cOnTeNt-lEnGtH :\t 2 \r\n\r\nab\r\n", "mc"},
    {PLAIN "L:2\r\n\r\nab\r\n\r\n", "mcp"},
    {PLAIN "Content-Length:\r\n  2\r\n\r\nab\r\n", "mc"},
    {PLAIN "Subject: x\r\n Content-Length: 7\r\n\r\n\r\n", "mc"}, // part of the Subject
    {PLAIN "\r\n" PLAIN "\r\n", "mm"},                            // no length: no body
    {"\r\n\r\n\r\n", "cpc"},
    {"\r\n\r\n" PLAIN "\r\n\r\n" PLAIN "\r\n", "cpmcm"},
    {"\n\n" PLAIN "\r\n", "cpm"},
    {"SIP/2.0 200 OK\nl: 1\n\nx", "m"},
    {"REGISTER sip:a SIP/2.0\r\n\r\n", "m"},
    {"register sip:a sip/2.0\r\n\r\n", "m"},
    {PLAIN "l: 2\r\nContent-Length: 2\r\n\r\nab", "m"},
    {PLAIN "l: 2\r\nContent-Length: 3\r\n\r\nabc", "!"},
    {PLAIN "Content-Length: -1\r\n\r\n", "!"},
    {PLAIN "Content-Length: 1x\r\n\r\n", "!"},
    {PLAIN "Content-Length:\r\n\r\n", "!"},
    {PLAIN "Content-Length: 65536\r\n\r\n", "+"},
    {PLAIN "Content-Length: 65537\r\n\r\n", "!"},
    {PLAIN "Content-Length: 99999999999999999999\r\n\r\n", "!"},
    {"GET / HTTP/1.1\r\n\r\n", "!"},
    {"SIP/2.0\r\n\r\n", "!"},
    {"SIP/2.01 200 OK\r\n\r\n", "!"},
    {" SIP/2.0 200 OK\r\n\r\n", "!"},
    {"\rx", "!"},
    {"\x16\x03\x01", "!"},
    {"SIP", "+"},
};

static void ends_messages_where_they_end_however_they_are_cut(void **state)
{
    char letters[64];
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct str bytes = str_of(frames[i].bytes);
        for (size_t step = 1; step <= bytes.n; step++) {
            pieces_of(bytes, step, letters);
            if (strcmp(letters, frames[i].pieces) != 0)
                fail_msg("row %zu by %zu bytes: %s", i, step, letters);
        }
    }
}

static void a_header_without_end_is_bad(void **state)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    struct str piece;
    for (int lines = 0; lines < 2; lines++) {
        struct frame f = {0};
        buf_clear(&text);
        buf_add_cstr(&text, "SIP/2.0 200 OK\r\n");
        while (text.n <= FRAME_MAX_HEADER_BYTES)
            buf_add_cstr(&text, lines ? "X: y\r\n" : "x");
        assert_int_equal(frame_next(&f, buf_str(&text), &piece), FRAME_BAD);
        f = (struct frame){0};
        assert_int_equal(frame_next(&f, str_slice(buf_str(&text), 0, 60000), &piece), FRAME_MORE);
    }
}

// ---- STUN

#define ID "abcdefghijkl"

static struct str stun_of(struct buf *out, uint16_t type, struct str attributes)
{
    buf_clear(out);
    const char head[] = {(char)(type >> 8),  (char)type, (char)(attributes.n >> 8),
                         (char)attributes.n, 0x21,       0x12,
                         (char)0xa4,         0x42};
    buf_add(out, head, sizeof(head));
    buf_add_cstr(out, ID);
    buf_add_str(out, attributes);
    return buf_str(out);
}

static void asks_as_rfc_5389_says(void **state)
{
    uint8_t request[STUN_REQUEST_BYTES];
    stun_request(request, (const uint8_t *)ID);
    assert_memory_equal(request, "\x00\x01\x00\x00\x21\x12\xa4\x42" ID, sizeof(request));
    assert_true(stun_is(str_of_bytes(request, sizeof(request))));
    assert_false(stun_is(STR_LIT("SIP/2.0 200 OK\r\n\r\n")));
    struct stun_answer a;
    assert_int_equal(stun_read(str_of_bytes(request, sizeof(request)), &a), -EINVAL);
}

static void reads_the_mapped_address(void **state)
{
    struct buf bytes cleanup(buf_done) = BUF_INIT;
    struct stun_answer a;
    struct address want;
    // 192.0.2.1:32853, and the same after an attribute of another kind with padding
    static const char v4[] = "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    static const char second[] =
        "\x80\x22\x00\x05vovid\x00\x00\x00\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    assert_true(address_parse(STR_LIT("192.0.2.1"), 32853, &want));
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, str_of_bytes(v4, sizeof(v4) - 1)), &a), 0);
    assert_true(!a.error && a.has_mapped && address_equal(&a.mapped, &want));
    assert_memory_equal(a.id, ID, sizeof(a.id));
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, str_of_bytes(second, sizeof(second) - 1)), &a), 0);
    assert_true(a.has_mapped && address_equal(&a.mapped, &want));
    assert_true(address_parse(STR_LIT("2001:db8::1"), 32853, &want));
    struct buf v6 cleanup(buf_done) = BUF_INIT;
    buf_add(&v6, "\x00\x20\x00\x14\x00\x02\xa1\x47", 8);
    for (size_t i = 0; i < 16; i++)
        buf_add_char(&v6, (char)(want.v6.sin6_addr.s6_addr[i] ^ ("\x21\x12\xa4\x42" ID)[i]));
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, buf_str(&v6)), &a), 0);
    assert_true(a.has_mapped && address_equal(&a.mapped, &want));
}

static void refuses_what_is_no_stun_answer(void **state)
{
    struct buf bytes cleanup(buf_done) = BUF_INIT;
    struct stun_answer a;
    assert_int_equal(stun_read(stun_of(&bytes, 0x0111, STR_NONE), &a), 0);
    assert_true(a.error);
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, STR_NONE), &a), 0);
    assert_false(a.error || a.has_mapped);
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, STR_LIT("\x00\x20\x00\x08\x00\x01")), &a), -EINVAL);
    assert_int_equal(stun_read(stun_of(&bytes, 0x0101, STR_LIT("\x00\x20")), &a), -EINVAL);
    struct str longer = stun_of(&bytes, 0x0101, STR_LIT("\x80\x22\x00\x00"));
    assert_int_equal(stun_read(str_slice(longer, 0, longer.n - 4), &a), -EINVAL);
    assert_int_equal(stun_read(str_slice(longer, 0, 19), &a), -EINVAL);
    assert_int_equal(stun_read(stun_of(&bytes, 0x0002, STR_NONE), &a), -EINVAL);
}

// ---- addresses

static void expect_address(const char *host, uint16_t port, const char *text)
{
    struct address a;
    struct buf out cleanup(buf_done) = BUF_INIT;
    assert_true(address_parse(str_of(host), port, &a));
    assert_int_equal(address_port(&a), port);
    address_add(&out, &a);
    assert_string_equal(out.p, text);
}

static void addresses_are_numbers_in_and_text_out(void **state)
{
    struct address a, b;
    expect_address("192.0.2.1", 5060, "192.0.2.1:5060");
    expect_address("2001:DB8::1", 5061, "[2001:db8::1]:5061");
    assert_false(address_parse(STR_LIT("example.com"), 1, &a));
    assert_false(address_parse(STR_LIT("[::1]"), 1, &a));
    assert_false(address_parse(STR_LIT("192.0.2"), 1, &a));
    assert_false(address_parse(STR_LIT("192.0.2.1\0x"), 1, &a));
    assert_false(address_parse(STR_LIT("fe80::1%nosuch0"), 1, &a));
    assert_false(address_parse(STR_NONE, 1, &a));
    assert_true(address_parse(STR_LIT("fe80::1%lo"), 1, &a) && address_parse(STR_LIT("fe80::1"), 1, &b));
    assert_false(address_equal(&a, &b)); // the same number on another link
    struct buf out cleanup(buf_done) = BUF_INIT;
    assert_true(address_parse(STR_LIT("192.0.2.1"), 5060, &a));
    address_add_with(&out, TRANSPORT_TLS, &a);
    assert_string_equal(out.p, "tls:192.0.2.1:5060");
    assert_true(address_parse(STR_LIT("192.0.2.1"), 5061, &b));
    assert_false(address_equal(&a, &b));
    assert_true(address_parse(STR_LIT("::ffff:192.0.2.1"), 5060, &b));
    assert_false(address_equal(&a, &b));
}

// ---- the pace of keep-alives

static void expect_pace(uint32_t flow_timer_s, uint64_t least_ms, uint64_t most_ms)
{
    static struct transport t; // its random numbers are all that is used
    const struct transport_times times = transport_times_default();
    uint64_t lowest = UINT64_MAX, highest = 0, spread = most_ms - least_ms;
    for (int i = 0; i < 1000; i++) {
        uint64_t ms = transport_interval_ms(&t, times.ping_min_ms, times.ping_max_ms, flow_timer_s);
        lowest = ms < lowest ? ms : lowest;
        highest = ms > highest ? ms : highest;
    }
    assert_true(lowest >= least_ms && highest <= most_ms);
    assert_true(lowest < least_ms + spread / 10 && highest > most_ms - spread / 10); // spread over all of it
}

static void pings_at_the_pace_of_rfc_5626(void **state)
{
    const struct transport_times times = transport_times_default();
    expect_pace(0, 95000, 120000);
    expect_pace(120, 94400, 118000); // 80 to 100 %, less the time that a ping takes
    expect_pace(10, 7200, 9000);
    expect_pace(1, 3600, 4500);                // nobody makes us ping every second
    expect_pace(UINT32_MAX, 2878400, 3598000); // nor believe that a router remembers for ever
    assert_int_equal(times.stun_min_ms, 24000);
    assert_int_equal(times.stun_max_ms, 29000);
    assert_int_equal(times.pong_ms, 10000);
    assert_int_equal(times.stun_rto_ms, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_messages_where_they_end_however_they_are_cut),
        cmocka_unit_test(a_header_without_end_is_bad),
        cmocka_unit_test(asks_as_rfc_5389_says),
        cmocka_unit_test(reads_the_mapped_address),
        cmocka_unit_test(refuses_what_is_no_stun_answer),
        cmocka_unit_test(addresses_are_numbers_in_and_text_out),
        cmocka_unit_test(pings_at_the_pace_of_rfc_5626),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
