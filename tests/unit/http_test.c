// common/http: the server, seen from raw sockets: answers, reading, connections.
#include "tests/unit/http_app.h"

#include <sys/resource.h>

// ---- answers

static void fields_come_in_the_order_of_the_calls_and_no_others(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/"));
    expect_text(&c, OK_EMPTY);
    client_say(&c, POST_HELLO);
    expect_text(&c, OK_HELLO);
    client_close(&c);
    app_done(&a);
}

static void head_gets_the_length_and_no_body(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, "HEAD /show HTTP/1.1\r\nHost: x\r\n\r\n" GET("/"));
    expect_text(&c, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 25\r\n\r\n" OK_EMPTY);
    client_close(&c);
    app_done(&a);
}

static void answers_without_content_have_no_length_and_no_type(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/204") GET("/304") GET("/"));
    expect_text(&c, "HTTP/1.1 204 No Content\r\nX-Upper: 1\r\n\r\n"
                    "HTTP/1.1 304 Not Modified\r\nX-Upper: 1\r\n\r\n" OK_EMPTY);
    client_close(&c);
    app_done(&a);
}

static void a_request_tells_all_that_was_sent(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, "PATCH /show?a=b%20c&d HTTP/1.1\r\nHost: h:1\r\nX-Twice: one\r\nx-twice: two\r\n\r\n");
    WAIT_UNTIL(&a.f, c.got.n && c.got.p[c.got.n - 1] == 'o');
    assert_string_equal(a.seen.p, "PATCH|/show|a=b%20c&d|h:1|127.0.0.1|one|one, two");
    client_say(&c, "TRACE /show HTTP/1.1\r\nHost: h\r\n\r\n");
    WAIT_UNTIL(&a.f, a.requests == 2);
    assert_string_equal(a.seen.p, "OTHER|/show||h|127.0.0.1||");
    client_say(&c, "GET http://other:1/show?q HTTP/1.1\r\nHost: h\r\n\r\n");
    WAIT_UNTIL(&a.f, a.requests == 3 && c.closed);
    assert_string_equal(a.seen.p, "GET|/show|q|h|127.0.0.1||");
    client_close(&c);
    app_done(&a);
}

static void injected_line_ends_do_not_leave_a_field(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/later"));
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    static const char evil[] = "a\r\nset-cookie: b\0c";
    http_reply_header(a.waiting[0], "location", str_of_bytes(evil, sizeof(evil) - 1));
    http_reply_header(a.waiting[0], "Content-Length", STR_LIT("7"));
    http_reply(a.waiting[0], 201, STR_LIT("x"));
    expect_text(&c, "HTTP/1.1 201 Created\r\nlocation: aset-cookie: bc\r\ncontent-length: 1\r\n\r\nx");
    client_close(&c);
    app_done(&a);
}

static void a_large_answer_arrives_whole(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/big") GET("/"));
    static const char head[] = "HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n";
    size_t whole = strlen(head) + 5000000 + strlen(OK_EMPTY);
    WAIT_UNTIL(&a.f, c.got.n >= whole);
    assert_int_equal(c.got.n, whole);
    assert_true(str_starts(buf_str(&c.got), STR_LIT(head)));
    assert_true(str_ends(buf_str(&c.got), STR_LIT("bbb" OK_EMPTY)));
    client_close(&c);
    app_done(&a);
}

// ---- reading

static void every_split_of_a_request_is_answered_alike(void **state)
{
    static const char *const texts[] = {POST_HELLO, CHUNKED_HELLO, "\r\n" POST_HELLO};
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        for (size_t at = 1; at < strlen(texts[t]); at++) {
            client_send(&c, str_slice(str_of(texts[t]), 0, at));
            client_send(&c, str_slice(str_of(texts[t]), at, strlen(texts[t])));
            expect_text(&c, OK_HELLO);
        }
    }
    client_close(&c);
    app_done(&a);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, POST_HELLO GET("/later") CHUNKED_HELLO GET("/later") GET("/"));
    expect_text(&c, OK_HELLO);
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    assert_int_equal(a.requests, 2);
    http_reply(a.waiting[0], 200, STR_LIT("1"));
    expect_text(&c, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1" OK_HELLO);
    WAIT_UNTIL(&a.f, a.waiting_count == 2);
    http_reply(a.waiting[1], 200, STR_LIT("2"));
    expect_text(&c, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2" OK_EMPTY);
    client_close(&c);
    app_done(&a);
}

static void a_request_sent_while_another_waits_is_kept(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/later"));
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    client_say(&c, POST_HELLO);
    http_reply(a.waiting[0], 200, STR_NONE);
    expect_text(&c, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" OK_HELLO);
    client_close(&c);
    app_done(&a);
}

static void the_last_request_of_a_client_that_half_closed_is_answered(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, GET("/big"));
    client_say(&c, POST_HELLO);
    (void)shutdown(c.fd, SHUT_WR);
    WAIT_UNTIL(&a.f, c.closed);
    assert_false(c.reset);
    assert_true(str_ends(buf_str(&c.got), STR_LIT(OK_HELLO)));
    client_close(&c);
    app_done(&a);
}

static void a_client_that_expects_is_told_to_continue(void **state)
{
    static const char *const framings[] = {"Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"};
    static const char *const bodies[] = {"hello", "5\r\nhello\r\n0\r\n\r\n"};
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    for (size_t i = 0; i < 2; i++) {
        client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n");
        client_say(&c, framings[i]);
        expect_text(&c, "HTTP/1.1 100 Continue\r\n\r\n");
        client_say(&c, bodies[i]);
        expect_text(&c, OK_HELLO);
    }
    // one that does not wait is not told
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    expect_text(&c, OK_HELLO);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    expect_text(&c, OK_EMPTY);
    client_close(&c);
    app_done(&a);
}

static void the_longest_body_is_taken(void **state)
{
    struct http_limits l = app_limits();
    l.body_bytes = 100000;
    struct app a;
    struct client c;
    app_init(&a, l);
    client_connect(&c, &a.f);
    struct buf text = BUF_INIT;
    buf_add_cstr(&text, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        buf_add_char(&text, 'p');
    client_send(&c, buf_str(&text));
    WAIT_UNTIL(&a.f,
               c.got.n >= 100000 + strlen("HTTP/1.1 200 OK\r\n" FIELDS "content-length: 100000\r\n\r\n"));
    assert_true(str_ends(buf_str(&c.got), STR_LIT("pppp")));
    buf_done(&text);
    client_close(&c);
    app_done(&a);
}

// ---- connections

static void connections_past_the_limit_are_closed_where_all_are_busy(void **state)
{
    struct http_limits l = app_limits();
    l.connections = 2;
    struct app a;
    struct client c[3];
    app_init(&a, l);
    for (int i = 0; i < 2; i++) {
        client_connect(&c[i], &a.f);
        client_say(&c[i], GET("/later"));
    }
    WAIT_UNTIL(&a.f, a.waiting_count == 2);
    client_connect(&c[2], &a.f);
    WAIT_UNTIL(&a.f, c[2].closed);
    assert_false(c[0].closed || c[1].closed);
    for (int i = 0; i < 2; i++) {
        http_reply(a.waiting[i], 200, STR_NONE);
        WAIT_UNTIL(&a.f, c[i].got.n);
    }
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    app_done(&a);
}

static void the_client_decides_whether_the_connection_stays(void **state)
{
    static const struct {
        const char *text, *connection;
        bool stays;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "connection: close\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, close\r\n\r\n", "connection: close\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", "connection: close\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: keep-alive\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct app a;
        struct client c;
        char answer[200];
        app_init(&a, app_limits());
        client_connect(&c, &a.f);
        client_say(&c, cases[i].text);
        (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n" FIELDS "%scontent-length: 0\r\n\r\n",
                       cases[i].connection);
        expect_text(&c, answer);
        if (cases[i].stays) {
            client_say(&c, GET("/"));
            expect_text(&c, OK_EMPTY);
        } else {
            WAIT_UNTIL(&a.f, c.closed);
            assert_false(c.reset);
        }
        client_close(&c);
        app_done(&a);
    }
}

static void a_request_outlives_its_client(void **state)
{
    struct app a;
    struct client c[3];
    app_init(&a, app_limits());
    for (int i = 0; i < 3; i++) {
        client_connect(&c[i], &a.f);
        client_say(&c[i], "POST /later?x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET("/"));
    }
    WAIT_UNTIL(&a.f, a.waiting_count == 3);
    for (int i = 0; i < 3; i++)
        client_abort(&c[i]);
    assert_int_equal(http_server_active_count(a.f.server), 3);
    for (int i = 0; i < 3; i++) {
        assert_true(str_eq_cstr(http_body(a.waiting[i]), "hello"));
        assert_true(str_eq_cstr(http_query(a.waiting[i]), "x"));
        http_reply(a.waiting[i], 200, STR_LIT("too late"));
    }
    assert_int_equal(http_server_active_count(a.f.server), 0);
    app_done(&a);
}

static void a_request_outlives_its_server(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    http_server_free(a.f.server);
    a.f.server = NULL;
    assert_true(str_eq_cstr(http_body(a.waiting[0]), "hello"));
    http_reply(a.waiting[0], 200, STR_LIT("too late"));
    WAIT_UNTIL(&a.f, c.closed);
    assert_int_equal(c.got.n, 0);
    client_close(&c);
    app_done(&a);
}

static void stopping_finishes_what_is_under_way(void **state)
{
    struct app a;
    struct client idle, waits, sends;
    app_init(&a, app_limits());
    client_connect(&idle, &a.f);
    client_connect(&waits, &a.f);
    client_connect(&sends, &a.f);
    client_say(&idle, GET("/"));
    expect_text(&idle, OK_EMPTY);
    client_say(&waits, GET("/later"));
    client_say(&sends, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    WAIT_UNTIL(&a.f, a.waiting_count == 1);
    assert_int_equal(http_server_active_count(a.f.server), 2);
    http_server_stop(a.f.server);
    WAIT_UNTIL(&a.f, idle.closed);
    assert_int_equal(idle.got.n, 0);
    assert_false(idle.reset);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(a.f.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    (void)close(fd);

    http_reply(a.waiting[0], 200, STR_LIT("late"));
    client_say(&sends, "lo");
    WAIT_UNTIL(&a.f, waits.closed && sends.closed);
    assert_int_equal(http_server_active_count(a.f.server), 0);
    expect_text(&waits, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlate");
    expect_text(&sends, "HTTP/1.1 200 OK\r\n" FIELDS "connection: close\r\ncontent-length: 5\r\n\r\nhello");
    assert_false(waits.reset || sends.reset);
    client_close(&idle);
    client_close(&waits);
    client_close(&sends);
    app_done(&a);
}

static void a_stopped_server_is_active_until_the_last_byte_is_taken(void **state)
{
    struct app a;
    struct client c;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    (void)event_del(c.readable);
    for (int i = 0; i < 3; i++) // more than the sockets hold
        client_say(&c, GET("/big"));
    http_server_stop(a.f.server);
    assert_int_equal(http_server_active_count(a.f.server), 1);
    (void)event_add(c.readable, NULL);
    WAIT_UNTIL(&a.f, c.closed);
    assert_false(c.reset);
    assert_int_equal(http_server_active_count(a.f.server), 0);
    assert_true(a.requests > 0 && a.requests < 3);
    assert_int_equal(c.got.n, (size_t)a.requests *
                                  (strlen("HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n") + 5000000));
    client_close(&c);
    app_done(&a);
}

static void a_half_received_request_counts_as_active(void **state)
{
    static const char *const texts[] = {"GET / HT",
                                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct app a;
        struct client c;
        app_init(&a, app_limits());
        client_connect(&c, &a.f);
        assert_int_equal(http_server_active_count(a.f.server), 0);
        client_say(&c, texts[i]);
        WAIT_UNTIL(&a.f, http_server_active_count(a.f.server) == 1);
        http_server_stop(a.f.server);
        assert_int_equal(http_server_active_count(a.f.server), 1);
        (void)shutdown(c.fd, SHUT_WR);
        WAIT_UNTIL(&a.f, c.closed);
        assert_int_equal(http_server_active_count(a.f.server), 0);
        client_close(&c);
        app_done(&a);
    }
}

// Counts the turns of the loop while the process has no descriptor left.
static void running_out_of_descriptors_passes(void **state)
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "vgpreload"))
        skip(); // valgrind accepts, closes again and only then says that there are too many
    struct app a;
    struct client c;
    struct rlimit before, none;
    app_init(&a, app_limits());
    client_connect(&c, &a.f);
    client_say(&c, "G"); // the accept of this would be refused were the limit set already
    struct client late;
    client_connect(&late, &a.f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)late.fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    client_say(&c, "ET / HTTP/1.1\r\nHost: x\r\n\r\n");
    struct event *later = event_new(a.f.base, -1, 0, fixture_late, &a.f);
    a.f.late = false;
    (void)event_add(later, &(struct timeval){.tv_usec = 50000});
    int turns = 0;
    while (turn(&a.f))
        turns++;
    assert_true(turns < 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_say(&late, GET("/"));
    expect_text(&late, OK_EMPTY);
    event_free(later);
    client_close(&c);
    client_close(&late);
    app_done(&a);
}

static void two_servers_share_a_port(void **state)
{
    struct error err;
    struct app a, b;
    char address[32];
    int fd, refused_fd;
    uint16_t port;
    app_init(&a, app_limits());
    app_init(&b, app_limits());
    http_server_free(a.f.server);
    http_server_free(b.f.server);
    struct http_server_params params = {
        .base = a.f.base, .limits = app_limits(), .arg = &a, .on_request = app_request};
    assert_int_equal(http_listen("127.0.0.1:0", true, &params.listen_fd, &a.f.port, &err), 0);
    a.f.server = http_server_new(&params);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", a.f.port);
    assert_int_equal(http_listen(address, true, &fd, &port, &err), 0);
    assert_int_equal(port, a.f.port);
    assert_int_equal(http_listen(address, false, &refused_fd, NULL, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, address));
    params.arg = &b;
    params.listen_fd = fd;
    b.f.server = http_server_new(&(struct http_server_params){
        .base = a.f.base, .listen_fd = fd, .limits = app_limits(), .arg = &b, .on_request = app_request});
    for (int i = 0; i < 64; i++) {
        struct client c;
        client_connect(&c, &a.f);
        client_say(&c, GET("/"));
        expect_text(&c, OK_EMPTY);
        client_close(&c);
    }
    assert_int_equal(a.requests + b.requests, 64);
    assert_true(a.requests > 0 && b.requests > 0);
    http_server_free(b.f.server);
    b.f.server = NULL;
    app_done(&a);
    app_done(&b);
}

static void addresses_that_mean_nothing_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", ":-1"};
    struct error err;
    int fd;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_listen(bad[i], false, &fd, NULL, &err), -EINVAL);
    static const char *const good[] = {"[::]:0", "[::1]:0", ":0", "*:0", "localhost:0"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint16_t port = 0;
        if (http_listen(good[i], false, &fd, &port, &err))
            fail_msg("%s", err.text);
        assert_true(port > 0);
        (void)close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_the_order_of_the_calls_and_no_others),
        cmocka_unit_test(head_gets_the_length_and_no_body),
        cmocka_unit_test(answers_without_content_have_no_length_and_no_type),
        cmocka_unit_test(a_request_tells_all_that_was_sent),
        cmocka_unit_test(injected_line_ends_do_not_leave_a_field),
        cmocka_unit_test(a_large_answer_arrives_whole),
        cmocka_unit_test(every_split_of_a_request_is_answered_alike),
        cmocka_unit_test(requests_sent_ahead_are_answered_in_order),
        cmocka_unit_test(a_request_sent_while_another_waits_is_kept),
        cmocka_unit_test(the_last_request_of_a_client_that_half_closed_is_answered),
        cmocka_unit_test(a_client_that_expects_is_told_to_continue),
        cmocka_unit_test(the_longest_body_is_taken),
        cmocka_unit_test(connections_past_the_limit_are_closed_where_all_are_busy),
        cmocka_unit_test(the_client_decides_whether_the_connection_stays),
        cmocka_unit_test(a_request_outlives_its_client),
        cmocka_unit_test(a_request_outlives_its_server),
        cmocka_unit_test(stopping_finishes_what_is_under_way),
        cmocka_unit_test(a_stopped_server_is_active_until_the_last_byte_is_taken),
        cmocka_unit_test(a_half_received_request_counts_as_active),
        cmocka_unit_test(running_out_of_descriptors_passes),
        cmocka_unit_test(two_servers_share_a_port),
        cmocka_unit_test(addresses_that_mean_nothing_are_refused),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
