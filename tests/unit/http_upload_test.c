// common/http: bodies that are delivered piece by piece.
#include "tests/unit/http_taker.h"

#include "common/base/clock.h"

#include <sys/resource.h>

// ---- framing

static void bodies_of_every_framing_come_whole_and_in_order(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {LENGTH("/up", "5") "hello", "5 532"},
        {LENGTH("/up", "0"), "0 0"},
        {HEAD("/up", "A: b"), "0 0"},
        {CHUNKS("/up") "1\r\nh\r\n3;a=b\r\nell\r\n1\r\no\r\n0\r\nT: u\r\n\r\n", "5 532"},
        {CHUNKS("/up") "0\r\n\r\n", "0 0"},
    };
    struct taker t;
    taker_init(&t, 5000);
    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        struct client c;
        char expected[96];
        const char *request = cases[i / 2].request, *answer = cases[i / 2].answer;
        client_connect(&c, &t.f);
        if (i % 2) // byte by byte
            for (size_t at = 0; request[at]; at++)
                client_send(&c, str_of_bytes(request + at, 1));
        else
            client_say(&c, request);
        (void)snprintf(expected, sizeof(expected), "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n%s",
                       strlen(answer), answer);
        expect_text(&c, expected);
        client_close(&c);
    }
    assert_int_equal(t.ends, ARRAY_LEN(cases) * 2);
    assert_int_equal(t.gone, 0);
    taker_done(&t);
}

#define PLAIN_HELLO "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHELLO"
#define OK(n, body) "HTTP/1.1 200 OK\r\ncontent-length: " n "\r\n\r\n" body

static void requests_behind_an_upload_wait_for_its_end(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "hello" PLAIN_HELLO CHUNKS("/up") "2\r\nhi\r\n0\r\n\r\n" LENGTH(
                       "/up", "0") PLAIN_HELLO);
    expect_text(&c, OK("5", "5 532") OK("5", "HELLO") OK("5", "2 209") OK("3", "0 0") OK("5", "HELLO"));
    client_close(&c);
    taker_done(&t);
}

static void an_old_client_is_served_and_its_connection_ends(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, "POST /up HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
    expect_text(&c, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n5 532");
    WAIT_UNTIL(&t.f, c.closed);
    client_close(&c);
    taker_done(&t);
}

static void the_client_is_told_to_go_on_once_the_upload_begins(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, HEAD("/up/late", "Content-Length: 5\r\nExpect: 100-continue"));
    WAIT_UNTIL(&t.f, t.r);
    assert_int_equal(c.got.n, 0);
    taker_begin(&t);
    expect_text(&c, "HTTP/1.1 100 Continue\r\n\r\n");
    client_say(&c, "hello");
    expect_text(&c, OK("5", "5 532"));
    client_say(&c, HEAD("/up/refuse", "Content-Length: 5\r\nExpect: 100-continue"));
    expect_text(&c, "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno");
    client_close(&c);
    taker_done(&t);
}

static void broken_chunks_end_an_upload(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, CHUNKS("/up") "2\r\nhi\r\nzz");
    expect_refusal(&c, 400);
    assert_int_equal(t.bytes, 2);
    assert_int_equal(t.gone, 1);
    assert_int_equal(t.ends, 0);
    client_close(&c);
    taker_done(&t);
}

static void a_length_past_any_number_is_refused(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "99999999999999999999"));
    expect_refusal(&c, 413);
    assert_int_equal(t.requests, 0);
    client_close(&c);
    taker_done(&t);
}

// ---- pace

static long rss_peak_kib(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

#define LARGE ((size_t)200 * 1000 * 1000)

static void two_hundred_megabytes_pass_in_bounded_memory(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    static char block[100000];
    memset(block, 1, sizeof(block));
    long before = rss_peak_kib();
    client_say(&c, LENGTH("/up", "200000000"));
    for (size_t sent = 0; sent < LARGE; sent += sizeof(block))
        client_send(&c, str_of_bytes(block, sizeof(block)));
    expect_text(&c, OK("19", "200000000 200000000"));
    assert_true(t.largest <= 256 * 1024);
#ifndef __SANITIZE_ADDRESS__ // which keeps what was freed
    assert_true(rss_peak_kib() - before < 8 * 1024);
#else
    assert_true(rss_peak_kib() >= before);
#endif
    client_close(&c);
    taker_done(&t);
}

static void a_paused_upload_pushes_its_sender_back_and_goes_on(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 50); // does not run while paused
    client_connect(&c, &t.f);
    t.pause_at = 1;
    static char block[100000];
    memset(block, 1, sizeof(block));
    client_say(&c, LENGTH("/up", "30000000"));
    WAIT_UNTIL(&t.f, t.r);
    size_t sent = 0;
    uint64_t until_us = clock_monotonic_us() + 200000; // four times the time-out
    while (clock_monotonic_us() < until_us) {
        ssize_t count = send(c.fd, block, sizeof(block), MSG_NOSIGNAL);
        sent += count > 0 ? (size_t)count : 0;
        (void)event_base_loop(t.f.base, EVLOOP_NONBLOCK);
    }
    assert_true(t.bytes > 0 && t.bytes <= 65536);
    assert_true(sent < 30000000); // the kernel's buffers are full
    http_upload_pause(t.r, false);
    size_t at_once = t.bytes;
    assert_true(at_once <= 65536); // nothing from within the call
    while (sent < 30000000) {
        size_t count = 30000000 - sent < sizeof(block) ? 30000000 - sent : sizeof(block);
        client_send(&c, str_of_bytes(block, count));
        sent += count;
    }
    expect_text(&c, OK("17", "30000000 30000000"));
    client_close(&c);
    taker_done(&t);
}

static void nothing_is_read_before_the_upload_begins(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up/late", "5") "hello");
    WAIT_UNTIL(&t.f, t.r);
    assert_int_equal(http_server_active_count(t.f.server), 1);
    taker_begin(&t);
    assert_int_equal(t.bytes, 0);
    expect_text(&c, OK("5", "5 532"));
    client_close(&c);
    taker_done(&t);
}

static void a_silent_upload_ends_and_a_slow_one_does_not(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 400);
    client_connect(&c, &t.f);
    uint64_t began_us = clock_monotonic_us();
    client_say(&c, LENGTH("/up", "1000000"));
    struct event *tick = event_new(t.f.base, -1, EV_PERSIST, fixture_late, &(struct fixture){.late = false});
    (void)event_add(tick, &(struct timeval){.tv_usec = 5000});
    size_t sent = 0;
    while (clock_monotonic_us() - began_us < 1000000) { // a byte each 5 ms, for more than twice the time-out
        assert_int_equal(send(c.fd, "x", 1, MSG_NOSIGNAL), 1);
        sent++;
        (void)turn(&t.f);
    }
    event_free(tick);
    WAIT_UNTIL(&t.f, t.bytes == sent);
    assert_int_equal(t.gone, 0);
    expect_refusal(&c, 408);
    assert_int_equal(t.gone, 1);
    client_close(&c);
    taker_done(&t);
}

// ---- ends before the end

static void a_client_that_leaves_is_told_of_once(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    for (int i = 0; i < 3; i++) {
        client_connect(&c, &t.f);
        client_say(&c, i == 2 ? LENGTH("/up/late", "5") "he" : LENGTH("/up", "5") "he");
        WAIT_UNTIL(&t.f, t.r && (i == 2 || t.bytes == 2));
        if (i)
            client_abort(&c);
        else
            client_close(&c);
        if (i == 2)
            taker_begin(&t);
        WAIT_UNTIL(&t.f, t.gone == (size_t)i + 1);
    }
    assert_int_equal(t.ends, 0);
    assert_int_equal(http_server_active_count(t.f.server), 0);
    taker_done(&t);
}

static void after_its_end_an_upload_is_a_request_like_any_other(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    t.hold = true;
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "hello");
    WAIT_UNTIL(&t.f, t.ends == 1);
    client_abort(&c);
    client_connect(&c, &t.f);
    client_say(&c, PLAIN_HELLO);
    expect_text(&c, OK("5", "HELLO"));
    assert_int_equal(t.gone, 0);
    taker_answer(&t); // into the void
    client_close(&c);
    taker_done(&t);
}

static void an_early_answer_is_read_by_who_sends_on(void **state)
{
    static const char *const paths[] = {LENGTH("/up/refuse", "5000000"), LENGTH("/up", "5000000"),
                                        CHUNKS("/up") "4C4B40\r\n"};
    static char block[100000];
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct taker t;
        struct client c;
        taker_init(&t, 5000);
        t.cut = true;
        client_connect(&c, &t.f);
        client_say(&c, paths[i]);
        for (int n = 0; n < 50; n++)
            client_send(&c, str_of_bytes(block, sizeof(block)));
        WAIT_UNTIL(&t.f, c.closed);
        assert_false(c.reset);
        assert_true(str_starts(buf_str(&c.got),
                               i ? STR_LIT("HTTP/1.1 422 Unprocessable Entity\r\nconnection: close\r\n")
                                 : STR_LIT("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n")));
        assert_int_equal(t.ends + t.gone, 0);
        assert_int_equal(t.requests, 1);
        client_close(&c);
        taker_done(&t);
    }
}

static void who_sends_on_after_its_answer_is_not_heard_for_ever(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 300);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up/refuse", "5000000"));
    struct event *tick = event_new(t.f.base, -1, EV_PERSIST, fixture_late, &(struct fixture){.late = false});
    (void)event_add(tick, &(struct timeval){.tv_usec = 20000});
    begin_wait(&t.f);
    while (send(c.fd, "x", 1, MSG_NOSIGNAL) == 1 && turn(&t.f))
        continue;
    assert_false(t.f.late);
    event_free(tick);
    client_close(&c);
    taker_done(&t);
}

static void an_answer_with_the_last_byte_keeps_the_connection(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    t.cut = true;
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "hello" PLAIN_HELLO);
    expect_text(&c, "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 6\r\n\r\nenough" OK("5", "HELLO"));
    client_close(&c);
    taker_done(&t);
}

static void a_freed_server_breaks_uploads_off(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "he");
    WAIT_UNTIL(&t.f, t.bytes == 2);
    http_server_stop(t.f.server);
    assert_int_equal(http_server_active_count(t.f.server), 1);
    http_server_free(t.f.server);
    t.f.server = NULL;
    assert_int_equal(t.gone, 1);
    client_close(&c);
    taker_done(&t);
}

static void a_stopped_server_takes_an_upload_to_its_end(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "he");
    WAIT_UNTIL(&t.f, t.bytes == 2);
    http_server_stop(t.f.server);
    client_say(&c, "llo");
    expect_text(&c, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n5 532");
    WAIT_UNTIL(&t.f, c.closed);
    client_close(&c);
    taker_done(&t);
}

// ---- the bound on bodies that are not uploads

static void long_bodies_past_the_bound_of_them_all_are_put_off(void **state)
{
    struct taker t = {.bytes = 0};
    struct client c, d;
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.header_bytes = 1000;
    l.buffered_bytes = 150000;
    atomic_size_t count;
    atomic_init(&count, 0);
    fixture_init_with(&t.f, &(struct http_server_params){
                                .limits = l, .arg = &t, .on_request = taker_request, .buffered = &count});
    static char block[99999];
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/", "100000"));
    client_send(&c, str_of_bytes(block, sizeof(block)));
    WAIT_UNTIL(&t.f, atomic_load(&count) >= sizeof(block));
    client_connect(&d, &t.f);
    client_say(&d, CHUNKS("/") "186A0\r\n");
    client_send(&d, str_of_bytes(block, sizeof(block)));
    WAIT_UNTIL(&t.f, d.closed);
    assert_true(str_starts(buf_str(&d.got), STR_LIT("HTTP/1.1 503 Service Unavailable\r\n")));
    assert_non_null(strstr(d.got.p, "\r\nretry-after: 1\r\n"));
    client_close(&d);
    client_connect(&d, &t.f);
    client_say(&d, PLAIN_HELLO); // a short one is none of it
    expect_text(&d, OK("5", "HELLO"));
    client_close(&d);
    client_say(&c, "x");
    WAIT_UNTIL(&t.f, c.got.n > 100000);
    WAIT_UNTIL(&t.f, !atomic_load(&count));
    client_close(&c);
    taker_done(&t);
}

static void a_client_that_sends_on_behind_a_waiting_request_is_not_read_for_ever(void **state)
{
    struct taker t;
    struct client c;
    taker_init(&t, 5000);
    t.hold = true;
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "hello");
    WAIT_UNTIL(&t.f, t.ends == 1);
    static char block[100000];
    size_t sent = 0;
    uint64_t until_us = clock_monotonic_us() + 200000;
    while (clock_monotonic_us() < until_us && sent < 50000000) {
        ssize_t count = send(c.fd, block, sizeof(block), MSG_NOSIGNAL);
        sent += count > 0 ? (size_t)count : 0;
        (void)event_base_loop(t.f.base, EVLOOP_NONBLOCK);
    }
    assert_true(sent < 50000000);
    taker_answer(&t);
    WAIT_UNTIL(&t.f, c.closed); // what it sent is no request
    client_close(&c);
    taker_done(&t);
}

static void all_that_waits_behind_a_slow_answer_is_served_in_the_end(void **state)
{
    struct taker t;
    struct client c;
    struct buf filler = BUF_INIT;
    taker_init(&t, 5000);
    t.hold = true;
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "5") "hello");
    WAIT_UNTIL(&t.f, t.ends == 1);
    buf_add_cstr(&filler, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    while (filler.n < 2000)
        buf_add_char(&filler, 'a');
    buf_add_cstr(&filler, "\r\n\r\n");
    for (int i = 0; i < 50; i++) // far more than is read while one waits
        client_send(&c, buf_str(&filler));
    assert_int_equal(t.requests, 1);
    taker_answer(&t);
    WAIT_UNTIL(&t.f, t.requests == 51);
    buf_done(&filler);
    client_close(&c);
    taker_done(&t);
}

static void an_upload_that_is_collected_counts_as_a_body(void **state)
{
    struct taker t = {.collects = true};
    struct client c;
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.header_bytes = 1000;
    l.buffered_bytes = 150000;
    atomic_size_t count;
    atomic_init(&count, 0);
    fixture_init_with(&t.f, &(struct http_server_params){.limits = l,
                                                         .arg = &t,
                                                         .on_request = taker_request,
                                                         .takes_upload = taker_takes,
                                                         .buffered = &count});
    static char block[100000];
    client_connect(&c, &t.f);
    client_say(&c, LENGTH("/up", "100000"));
    client_send(&c, str_of_bytes(block, sizeof(block)));
    expect_text(&c, OK("8", "100000 0"));
    WAIT_UNTIL(&t.f, !atomic_load(&count));
    client_say(&c, LENGTH("/up", "200000"));
    client_send(&c, str_of_bytes(block, sizeof(block)));
    client_send(&c, str_of_bytes(block, sizeof(block)));
    WAIT_UNTIL(&t.f, c.closed);
    assert_true(str_starts(buf_str(&c.got), STR_LIT("HTTP/1.1 503 Service Unavailable\r\n")));
    assert_int_equal(atomic_load(&count), 0);
    client_close(&c);
    taker_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_megabytes_pass_in_bounded_memory), // first: it looks at the peak
        cmocka_unit_test(bodies_of_every_framing_come_whole_and_in_order),
        cmocka_unit_test(requests_behind_an_upload_wait_for_its_end),
        cmocka_unit_test(an_old_client_is_served_and_its_connection_ends),
        cmocka_unit_test(the_client_is_told_to_go_on_once_the_upload_begins),
        cmocka_unit_test(broken_chunks_end_an_upload),
        cmocka_unit_test(a_length_past_any_number_is_refused),
        cmocka_unit_test(a_paused_upload_pushes_its_sender_back_and_goes_on),
        cmocka_unit_test(nothing_is_read_before_the_upload_begins),
        cmocka_unit_test(a_silent_upload_ends_and_a_slow_one_does_not),
        cmocka_unit_test(a_client_that_leaves_is_told_of_once),
        cmocka_unit_test(after_its_end_an_upload_is_a_request_like_any_other),
        cmocka_unit_test(an_early_answer_is_read_by_who_sends_on),
        cmocka_unit_test(who_sends_on_after_its_answer_is_not_heard_for_ever),
        cmocka_unit_test(an_answer_with_the_last_byte_keeps_the_connection),
        cmocka_unit_test(a_freed_server_breaks_uploads_off),
        cmocka_unit_test(a_stopped_server_takes_an_upload_to_its_end),
        cmocka_unit_test(long_bodies_past_the_bound_of_them_all_are_put_off),
        cmocka_unit_test(all_that_waits_behind_a_slow_answer_is_served_in_the_end),
        cmocka_unit_test(an_upload_that_is_collected_counts_as_a_body),
        cmocka_unit_test(a_client_that_sends_on_behind_a_waiting_request_is_not_read_for_ever),
    };
    return cmocka_run_group_tests_name("http_upload", tests, NULL, NULL);
}
