// common/http: what the server refuses, and when it gives up.
#include "common/base/clock.h"
#include "tests/unit/http_app.h"

// ---- refusals

static void refused(struct http_limits l, const char *text, int status)
{
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    client_say(&c, text);
    expect_refusal(&c, status);
    assert_int_equal(a.requests, 0);
    client_close(&c);
    app_done(&a);
}

static void bad_requests_get_a_json_answer_and_never_reach_the_handler(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "\x16\x03\x01\r\n\x01\n"},
        {400, "GET / HTTP/1.1\nHost: x\n\n"},
        {400, "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "GET //a:b/ HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
        {400,
         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 1\r\n\r\n"},
        {501, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\nHost: x\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000001\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000001\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1e8481\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(app_limits(), cases[i].text, cases[i].status);
}

static void a_header_past_the_limit_is_refused_whole_or_not(void **state)
{
    struct buf text = BUF_INIT;
    buf_add_cstr(&text, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    while (text.n < 1001)
        buf_add_char(&text, 'a');
    refused(app_limits(), text.p, 431);
    buf_add_cstr(&text, "\r\n\r\n");
    refused(app_limits(), text.p, 431);
    buf_done(&text);
}

static void a_chunked_body_past_the_limit_is_refused_however_it_is_cut(void **state)
{
    struct http_limits l = app_limits();
    l.body_bytes = 100;
    struct buf text = BUF_INIT;
    buf_add_cstr(&text, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 101; i++)
        buf_add_cstr(&text, "1\r\nx\r\n");
    refused(l, text.p, 413);
    buf_done(&text);
}

static void an_upload_past_the_limit_reads_its_refusal_while_it_sends(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    struct buf body = BUF_INIT;
    for (int i = 0; i < 3000000; i++)
        buf_add_char(&body, 'x');
    client_send(&c, buf_str(&body));
    expect_refusal(&c, 413);
    buf_done(&body);
    client_close(&c);
    app_done(&a);
}

static void what_follows_a_bad_request_is_not_read(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/") "GET / HTTP/1.1\r\n\r\n" GET("/"));
    WAIT_UNTIL(&a.f, c.closed);
    assert_int_equal(a.requests, 1);
    assert_true(str_starts(buf_str(&c.got), STR_LIT(OK_EMPTY "HTTP/1.1 400 Bad Request\r\n")));
    client_close(&c);
    app_done(&a);
}

static void write_plain(struct buf *out, int status, const char *title, const char *detail)
{
    buf_addf(out, "%d %s", status, title);
}

static void refusals_take_the_form_that_the_caller_wants(void **state)
{
    struct app a;
    struct client c;
    struct error err;
    int fd;
    app_init(&a, app_limits());
    http_server_free(a.f.server);
    assert_int_equal(http_listen("127.0.0.1:0", false, &fd, &a.f.port, &err), 0);
    a.f.server = http_server_new(&(struct http_server_params){.base = a.f.base,
                                                              .listen_fd = fd,
                                                              .limits = app_limits(),
                                                              .arg = &a,
                                                              .on_request = app_request,
                                                              .write_error = write_plain,
                                                              .error_type = "text/x-own"});
    client_connect(&c, &a.f);
    client_say(&c, "GET / HTTP/1.1\r\n\r\n");
    expect_text(&c, "HTTP/1.1 400 Bad Request\r\ncontent-type: text/x-own\r\nconnection: close\r\n"
                    "content-length: 15\r\n\r\n400 Bad Request");
    client_close(&c);
    app_done(&a);
}

// ---- time

// Sends `text` and then a byte at every turn, until the server closes.
static void drip(struct http_limits l, const char *text, const char *byte, int status)
{
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    client_say(&c, text);
    struct event *tick = event_new(a.f.base, -1, EV_PERSIST, fixture_late, &(struct fixture){.late = false});
    (void)event_add(tick, &(struct timeval){.tv_usec = 5000});
    begin_wait(&a.f);
    while (!c.closed && !a.f.late) {
        (void)send(c.fd, byte, c.got.n ? 0 : 1, MSG_NOSIGNAL);
        (void)event_base_loop(a.f.base, EVLOOP_ONCE);
    }
    event_free(tick);
    assert_false(a.f.late);
    expect_refusal(&c, status);
    assert_int_equal(a.requests, 0);
    client_close(&c);
    app_done(&a);
}

static void a_header_that_drips_is_given_up(void **state)
{
    struct http_limits l = app_limits();
    l.header_bytes = 100000;
    l.header_timeout_ms = 60;
    drip(l, "GET / HTTP/1.1\r\nHost: x\r\nA: ", "a", 408);
    drip(l, "G", "E", 408);
}

static void a_body_that_drips_is_given_up(void **state)
{
    struct http_limits l = app_limits();
    l.body_timeout_ms = 60;
    drip(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "a", 408);
    drip(l, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n", "a", 408);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct http_limits l = app_limits();
    l.idle_timeout_ms = 40;
    struct app a;
    struct client never, once;
    app_init(&a, l);
    client_connect(&never, &a.f);
    client_connect(&once, &a.f);
    client_say(&once, GET("/"));
    WAIT_UNTIL(&a.f, never.closed && once.closed);
    assert_int_equal(never.got.n, 0);
    expect_text(&once, OK_EMPTY);
    assert_false(never.reset || once.reset);
    client_close(&never);
    client_close(&once);
    app_done(&a);
}

static void a_waiting_request_is_not_hurried(void **state)
{
    struct http_limits l = app_limits();
    l.idle_timeout_ms = l.header_timeout_ms = l.body_timeout_ms = 20;
    struct app a;
    struct client waits, idles;
    app_init(&a, l);
    client_connect(&waits, &a.f);
    client_say(&waits, GET("/later"));
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    for (int i = 0; i < 3; i++) { // three idle time-outs pass, one after the other
        client_connect(&idles, &a.f);
        WAIT_UNTIL(&a.f, idles.closed);
        client_close(&idles);
    }
    assert_false(waits.closed);
    http_reply(a.waiting[0], 200, STR_NONE);
    expect_text(&waits, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    client_close(&waits);
    app_done(&a);
}

static void a_client_that_takes_nothing_is_dropped(void **state)
{
    struct http_limits l = app_limits();
    l.body_timeout_ms = 50;
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    (void)event_del(c.readable);
    for (int i = 0; i < 3; i++)
        client_say(&c, GET("/big"));
    // what is left of the answers would come in the end, were the connection not gone
    for (int i = 0; i < 3; i++) {
        struct client idle;
        l.idle_timeout_ms = 50;
        client_connect(&idle, &a.f);
        client_say(&idle, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n");
        WAIT_UNTIL(&a.f, idle.closed);
        client_close(&idle);
    }
    (void)event_add(c.readable, NULL);
    WAIT_UNTIL(&a.f, c.closed);
    assert_true(c.got.n < 14900000);
    client_close(&c);
    app_done(&a);
}

static void answers_that_nobody_takes_are_bounded_together_and_the_slowest_goes_first(void **state)
{
    struct http_limits l = app_limits();
    l.buffered_bytes = 4000000;
    struct app a;
    struct client c[6];
    app_init(&a, l);
    for (int i = 0; i < 6; i++) {
        client_connect(&c[i], &a.f);
        (void)event_del(c[i].readable);
        client_say(&c[i], GET("/big"));
        WAIT_UNTIL(&a.f, a.requests == i + 1);
    }
    for (int i = 0; i < 6; i++)
        (void)event_add(c[i].readable, NULL);
    WAIT_UNTIL(&a.f, c[0].closed);
    assert_true(c[0].got.n < 5000000);
    WAIT_UNTIL(&a.f, c[5].got.n > 5000000);
    for (int i = 0; i < 6; i++)
        client_close(&c[i]);
    app_done(&a);
}

// ---- who makes room

// The server has looked at what one said before the next one comes.
static void the_first_makes_room_for_a_third(const char *it_said)
{
    struct http_limits l = app_limits();
    l.connections = 2;
    struct app a;
    struct client c[3];
    app_init(&a, l);
    for (int i = 0; i < 3; i++) {
        client_connect(&c[i], &a.f);
        (void)event_base_loop(a.f.base, EVLOOP_NONBLOCK);
        client_say(&c[i], i ? "" : it_said);
        for (int n = 0; n < 5; n++)
            (void)event_base_loop(a.f.base, EVLOOP_NONBLOCK);
    }
    WAIT_UNTIL(&a.f, c[0].closed || c[1].closed || c[2].closed);
    assert_true(c[0].closed);
    for (int i = 1; i < 3; i++) {
        client_say(&c[i], GET("/"));
        expect_text(&c[i], OK_EMPTY);
    }
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    app_done(&a);
}

static void a_connection_past_the_limit_takes_the_place_of_the_one_idle_longest(void **state)
{
    the_first_makes_room_for_a_third("");
}

static void who_sent_a_part_of_a_request_goes_before_a_younger_one_that_sent_nothing(void **state)
{
    the_first_makes_room_for_a_third("G");
}

static void who_sent_a_head_and_keeps_its_body_to_itself_makes_room(void **state)
{
    struct http_limits l = app_limits();
    l.connections = 2;
    struct app a;
    struct client keeps[2], next;
    app_init(&a, l);
    for (int i = 0; i < 2; i++) {
        client_connect(&keeps[i], &a.f);
        client_say(&keeps[i], "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n1");
        WAIT_UNTIL(&a.f, http_server_active_count(a.f.server) == (size_t)i + 1);
    }
    client_connect(&next, &a.f);
    client_say(&next, GET("/"));
    expect_text(&next, OK_EMPTY);
    assert_true(keeps[0].closed);
    client_say(&keeps[1], "2");
    WAIT_UNTIL(&a.f, a.requests == 2);
    for (int i = 0; i < 2; i++)
        client_close(&keeps[i]);
    client_close(&next);
    app_done(&a);
}

static void who_has_its_refusal_and_lingers_makes_room(void **state)
{
    struct http_limits l = app_limits();
    l.connections = 1;
    struct app a;
    struct client refused, next;
    app_init(&a, l);
    client_connect(&refused, &a.f);
    client_say(&refused, "nonsense\r\n\r\n");
    WAIT_UNTIL(&a.f, str_starts(buf_str(&refused.got), STR_LIT("HTTP/1.1 400")));
    client_connect(&next, &a.f);
    client_say(&next, GET("/"));
    expect_text(&next, OK_EMPTY);
    client_close(&refused);
    client_close(&next);
    app_done(&a);
}

// ---- who asks too much

static void who_is_answered_late_holds_nobody_else_up(void **state)
{
    struct http_limits l = app_limits();
    l.late_ms = 100;
    struct app a;
    struct client late, other;
    app_init(&a, l);
    client_connect(&late, &a.f);
    client_connect(&other, &a.f);
    uint64_t began_us = clock_monotonic_us();
    client_say(&late, GET("/late") GET("/late"));
    WAIT_UNTIL(&a.f, a.requests);
    client_say(&other, GET("/"));
    expect_text(&other, OK_EMPTY);
    WAIT_UNTIL(&a.f, late.got.n);
    assert_in_range(clock_monotonic_us() - began_us, 100000, UINT64_MAX);
    client_say(&late, GET("/"));
    WAIT_UNTIL(&a.f, a.requests == 4);
    assert_in_range(clock_monotonic_us() - began_us, 200000, UINT64_MAX);
    expect_text(&late, OK_EMPTY OK_EMPTY OK_EMPTY);
    client_close(&late);
    client_close(&other);
    app_done(&a);
}

static void what_is_sent_on_before_a_late_answer_is_kept_as_before_any(void **state)
{
    struct http_limits l = app_limits();
    l.late_ms = 50;
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    client_say(&c, "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" POST_HELLO);
    expect_text(&c, OK_HELLO OK_HELLO);
    client_say(&c, "HEAD /late HTTP/1.1\r\nHost: x\r\n\r\n" GET("/"));
    expect_text(&c, OK_EMPTY OK_EMPTY);
    client_say(&c, "GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect_text(&c, "HTTP/1.1 200 OK\r\n" FIELDS "connection: close\r\ncontent-length: 0\r\n\r\n");
    WAIT_UNTIL(&a.f, c.closed);
    assert_false(c.reset);
    client_close(&c);
    app_done(&a);
}

static void who_is_to_be_answered_late_makes_room_and_has_its_answer(void **state)
{
    struct http_limits l = app_limits();
    l.connections = 2;
    l.late_ms = 60000;
    struct app a;
    struct client idles, late, next;
    app_init(&a, l);
    client_connect(&idles, &a.f);
    client_connect(&late, &a.f);
    client_say(&late, GET("/late"));
    WAIT_UNTIL(&a.f, a.requests);
    client_connect(&next, &a.f);
    WAIT_UNTIL(&a.f, late.closed);
    expect_text(&late, OK_EMPTY);
    client_say(&idles, GET("/"));
    expect_text(&idles, OK_EMPTY);
    client_close(&idles);
    client_close(&late);
    client_close(&next);
    app_done(&a);
}

static void who_leaves_before_a_late_answer_is_forgotten(void **state)
{
    struct http_limits l = app_limits();
    l.late_ms = 20;
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    client_say(&c, GET("/late"));
    WAIT_UNTIL(&a.f, a.requests);
    assert_int_equal(http_server_active_count(a.f.server), 1);
    client_abort(&c);
    WAIT_UNTIL(&a.f, !http_server_active_count(a.f.server));
    app_done(&a);
}

static void late_answers_do_not_hold_up_the_end(void **state)
{
    struct http_limits l = app_limits();
    l.late_ms = 60000;
    struct app a;
    struct client c[2];
    app_init(&a, l);
    for (int i = 0; i < 2; i++) {
        client_connect(&c[i], &a.f);
        client_say(&c[i], GET("/late"));
    }
    WAIT_UNTIL(&a.f, a.requests == 2);
    http_server_stop(a.f.server);
    for (int i = 0; i < 2; i++) {
        expect_text(&c[i], OK_EMPTY);
        WAIT_UNTIL(&a.f, c[i].closed);
        client_close(&c[i]);
    }
    assert_int_equal(http_server_active_count(a.f.server), 0);
    app_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_get_a_json_answer_and_never_reach_the_handler),
        cmocka_unit_test(a_header_past_the_limit_is_refused_whole_or_not),
        cmocka_unit_test(a_chunked_body_past_the_limit_is_refused_however_it_is_cut),
        cmocka_unit_test(an_upload_past_the_limit_reads_its_refusal_while_it_sends),
        cmocka_unit_test(what_follows_a_bad_request_is_not_read),
        cmocka_unit_test(refusals_take_the_form_that_the_caller_wants),
        cmocka_unit_test(a_header_that_drips_is_given_up),
        cmocka_unit_test(a_body_that_drips_is_given_up),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_waiting_request_is_not_hurried),
        cmocka_unit_test(a_client_that_takes_nothing_is_dropped),
        cmocka_unit_test(answers_that_nobody_takes_are_bounded_together_and_the_slowest_goes_first),
        cmocka_unit_test(a_connection_past_the_limit_takes_the_place_of_the_one_idle_longest),
        cmocka_unit_test(who_sent_a_part_of_a_request_goes_before_a_younger_one_that_sent_nothing),
        cmocka_unit_test(who_sent_a_head_and_keeps_its_body_to_itself_makes_room),
        cmocka_unit_test(who_has_its_refusal_and_lingers_makes_room),
        cmocka_unit_test(who_is_answered_late_holds_nobody_else_up),
        cmocka_unit_test(what_is_sent_on_before_a_late_answer_is_kept_as_before_any),
        cmocka_unit_test(who_is_to_be_answered_late_makes_room_and_has_its_answer),
        cmocka_unit_test(who_leaves_before_a_late_answer_is_forgotten),
        cmocka_unit_test(late_answers_do_not_hold_up_the_end),
    };
    return cmocka_run_group_tests_name("http_limits", tests, NULL, NULL);
}
