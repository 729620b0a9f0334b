// common/http: long answers.
#include "tests/unit/http_feed.h"

#define GET(path)   "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"

static void a_stream_is_chunked_and_leaves_the_connection_usable(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    d.manual = true;
    client_say(&c, GET("/") GET("/short"));
    WAIT_UNTIL(&d.f, d.r);
    assert_true(http_stream_write(d.r, STR_LIT("hello")));
    assert_true(http_stream_write(d.r, STR_NONE));
    assert_true(http_stream_write(d.r, STR_LIT("0123456789abcdef")));
    assert_int_equal(http_server_active_count(d.f.server), 1);
    http_stream_end(d.r);
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
                                "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\none\r\ntwo\n\nlast");
    client_close(&c);
    fixture_done(&d.f);
}

static void a_request_sent_during_a_stream_is_answered_after_it(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    d.manual = true;
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.r);
    client_say(&c, GET("/short"));
    (void)http_stream_write(d.r, STR_LIT("x"));
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    http_stream_end(d.r);
    expect_text(&c, "0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\none\r\ntwo\n\nlast");
    client_close(&c);
    fixture_done(&d.f);
}

static void half_a_request_sent_during_a_stream_is_completed_after_it(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    d.manual = true;
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.r);
    client_say(&c, "GET /sh");
    (void)http_stream_write(d.r, STR_LIT("x"));
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    http_stream_end(d.r);
    expect_text(&c, "0\r\n\r\n");
    client_say(&c, "ort HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_text(&c, "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\none\r\ntwo\n\nlast");
    client_close(&c);
    fixture_done(&d.f);
}

static void an_old_client_gets_a_stream_that_ends_with_the_connection(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    d.manual = true;
    client_say(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_UNTIL(&d.f, d.r);
    (void)http_stream_write(d.r, STR_LIT("hello"));
    http_stream_end(d.r);
    WAIT_UNTIL(&d.f, c.closed);
    expect_text(&c, STREAM_HEAD "connection: close\r\n\r\nhello");
    client_close(&c);
    fixture_done(&d.f);
}

static void head_and_no_content_have_no_stream(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 10);
    client_connect(&c, &d.f);
    client_say(&c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n");
    d.over = false;
    d.lines = 0;
    d.status = 204;
    client_say(&c, GET("/"));
    expect_text(&c, "HTTP/1.1 204 No Content\r\n\r\n");
    client_close(&c);
    fixture_done(&d.f);
}

static void a_writer_is_held_back_until_the_client_reads(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 200000); // 20 MB
    client_connect(&c, &d.f);
    (void)event_del(c.readable);
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.refusals > 0);
    size_t before;
    do {
        before = d.lines;
        (void)event_base_loop(d.f.base, EVLOOP_NONBLOCK);
    } while (d.lines > before); // until the sockets are full as well
    assert_true(d.lines < 150000);
    assert_false(d.over);
    (void)event_add(c.readable, NULL);
    WAIT_UNTIL(&d.f, d.over && str_ends(buf_str(&c.got), STR_LIT("199999\n\r\n0\r\n\r\n")));
    assert_true(d.ready > 1);
    assert_int_equal(d.gone, 0);
    client_close(&c);
    fixture_done(&d.f);
}

static void a_client_that_leaves_is_reported_once(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct feed d;
        struct client c;
        feed_init(&d, 1000000);
        d.manual = true;
        d.wanted = how == 0 ? 0 : 1000000;
        client_connect(&c, &d.f);
        if (how > 0)
            (void)event_del(c.readable); // so that the stream cannot end before
        client_say(&c, GET("/"));
        WAIT_UNTIL(&d.f, d.r);
        if (how == 1)
            client_abort(&c);
        else
            client_close(&c);
        WAIT_UNTIL(&d.f, d.gone);
        assert_int_equal(d.gone, 1);
        assert_int_equal(http_server_active_count(d.f.server), 0);
        fixture_done(&d.f);
    }
}

static void a_stream_begun_for_a_client_that_left_is_gone_soon(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    client_say(&c, GET("/later"));
    WAIT_UNTIL(&d.f, d.r);
    http_server_free(d.f.server);
    d.f.server = NULL;
    feed_begin(&d);
    assert_int_equal(d.gone, 0);
    assert_false(http_stream_write(d.r, STR_LIT("x")));
    WAIT_UNTIL(&d.f, d.gone == 1);
    client_close(&c);
    fixture_done(&d.f);
}

static void a_stream_may_end_after_its_client_left_and_before_it_is_told(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    client_connect(&c, &d.f);
    client_say(&c, GET("/later"));
    WAIT_UNTIL(&d.f, d.r);
    http_server_free(d.f.server);
    d.f.server = NULL;
    feed_begin(&d);
    http_stream_end(d.r);
    WAIT_UNTIL(&d.f, c.closed);
    assert_int_equal(d.gone, 0);
    client_close(&c);
    fixture_done(&d.f);
}

static void a_reader_that_stands_still_is_dropped(void **state)
{
    struct feed d;
    struct client c;
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.body_timeout_ms = 50;
    d = (struct feed){.wanted = 1000000};
    fixture_init(&d.f, l, &d, feed_request);
    client_connect(&c, &d.f);
    (void)event_del(c.readable);
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.gone == 1);
    assert_false(d.over);
    client_close(&c);
    fixture_done(&d.f);
}

static void a_silent_stream_is_kept(void **state)
{
    struct feed d;
    struct client c, idle;
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    l.body_timeout_ms = l.idle_timeout_ms = 20;
    d = (struct feed){.manual = true};
    fixture_init(&d.f, l, &d, feed_request);
    client_connect(&c, &d.f);
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.r);
    for (int i = 0; i < 3; i++) { // several time-outs pass
        client_connect(&idle, &d.f);
        WAIT_UNTIL(&d.f, idle.closed);
        client_close(&idle);
    }
    assert_int_equal(d.gone, 0);
    (void)http_stream_write(d.r, STR_LIT("x"));
    http_stream_end(d.r);
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    client_close(&c);
    fixture_done(&d.f);
}

static void stopping_lets_a_stream_end(void **state)
{
    struct feed d;
    struct client c;
    feed_init(&d, 0);
    d.manual = true;
    client_connect(&c, &d.f);
    client_say(&c, GET("/"));
    WAIT_UNTIL(&d.f, d.r);
    http_server_stop(d.f.server);
    (void)http_stream_write(d.r, STR_LIT("x"));
    http_stream_end(d.r);
    WAIT_UNTIL(&d.f, c.closed);
    expect_text(&c, STREAM_HEAD "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    client_close(&c);
    fixture_done(&d.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_chunked_and_leaves_the_connection_usable),
        cmocka_unit_test(a_request_sent_during_a_stream_is_answered_after_it),
        cmocka_unit_test(half_a_request_sent_during_a_stream_is_completed_after_it),
        cmocka_unit_test(an_old_client_gets_a_stream_that_ends_with_the_connection),
        cmocka_unit_test(head_and_no_content_have_no_stream),
        cmocka_unit_test(a_writer_is_held_back_until_the_client_reads),
        cmocka_unit_test(a_client_that_leaves_is_reported_once),
        cmocka_unit_test(a_stream_begun_for_a_client_that_left_is_gone_soon),
        cmocka_unit_test(a_stream_may_end_after_its_client_left_and_before_it_is_told),
        cmocka_unit_test(a_reader_that_stands_still_is_dropped),
        cmocka_unit_test(a_silent_stream_is_kept),
        cmocka_unit_test(stopping_lets_a_stream_end),
    };
    return cmocka_run_group_tests_name("http_stream", tests, NULL, NULL);
}
