// common/http over TLS: the same server, its certificate, and peers that do not mean it.
#include "tests/unit/http_app.h"
#include "tests/unit/http_tls_fixture.h"

#include "common/base/clock.h"

#include <pthread.h>

static struct pair_files files = {.folder = "/tmp/rollcall-tls-XXXXXX"};

static int make_folder(void **state)
{
    (void)snprintf(files.cert, sizeof(files.cert), "%s/cert.pem", mkdtemp(files.folder));
    (void)snprintf(files.key, sizeof(files.key), "%s/key.pem", files.folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)unlink(files.cert);
    (void)unlink(files.key);
    return rmdir(files.folder);
}

// ---- the server

struct tls_app {
    struct app a;
    struct http_tls *tls;
    struct http_request *stream;
    size_t written, ready, gone;
    size_t uploaded;
    bool in_call, pauses, cuts, was_tls;
};

#define STREAMED ((size_t)3000000)

static void stream_on(struct tls_app *t)
{
    static char block[10000];
    memset(block, 's', sizeof(block));
    bool more = true;
    t->in_call = true;
    while (more && t->written < STREAMED) {
        more = http_stream_write(t->stream, str_of_bytes(block, sizeof(block)));
        t->written += sizeof(block);
    }
    t->in_call = false;
    if (t->written == STREAMED) {
        t->written++;
        http_stream_end(t->stream);
    }
}

static void stream_ready(void *arg)
{
    struct tls_app *t = arg;
    assert_false(t->in_call); // http.h: not from within a call
    t->ready++;
    stream_on(t);
}

static void stream_gone_cb(void *arg)
{
    ((struct tls_app *)arg)->gone++;
}

static void upload_data(void *arg, struct str bytes)
{
    struct tls_app *t = arg;
    t->uploaded += bytes.n;
    if (t->cuts)
        http_reply(t->stream, 422, STR_LIT("enough"));
    else if (t->pauses)
        http_upload_pause(t->stream, true);
}

static void upload_end(void *arg)
{
    struct tls_app *t = arg;
    http_reply(t->stream, 200, STR_LIT("taken"));
}

static void on_request(void *arg, struct http_request *r)
{
    static const struct http_stream_fns stream = {.on_ready = stream_ready, .on_gone = stream_gone_cb};
    static const struct http_upload_fns upload = {
        .on_data = upload_data, .on_end = upload_end, .on_gone = stream_gone_cb};
    struct tls_app *t = arg;
    t->was_tls = http_is_tls(r);
    if (str_eq_cstr(http_path(r), "/stream")) {
        t->stream = r;
        http_stream_begin(r, 200, &stream, t);
        stream_on(t);
    } else if (str_eq_cstr(http_path(r), "/upload")) {
        t->stream = r;
        http_upload_begin(r, &upload, t);
    } else {
        app_request(&t->a, r);
    }
}

static bool takes_upload(void *arg, enum http_method method, struct str path)
{
    return str_eq_cstr(path, "/upload");
}

static void tls_app_init(struct tls_app *t, struct http_limits l)
{
    struct error err;
    *t = (struct tls_app){.written = 0};
    write_pair(&files, "first", true);
    if (http_tls_new(files.cert, files.key, &t->tls, &err))
        fail_msg("%s", err.text);
    fixture_init_with(
        &t->a.f,
        &(struct http_server_params){
            .limits = l, .arg = t, .on_request = on_request, .takes_upload = takes_upload, .tls = t->tls});
}

static void tls_app_done(struct tls_app *t)
{
    app_done(&t->a);
    http_tls_free(t->tls);
}

// ---- tests

static void requests_are_served_one_after_the_other_and_pipelined(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT(POST_HELLO));
    tls_expect(&c, OK_HELLO);
    assert_true(t.was_tls);
    tls_say(&c, STR_LIT(GET("/") CHUNKED_HELLO POST_HELLO));
    tls_expect(&c, OK_EMPTY OK_HELLO OK_HELLO);
    const char *text = POST_HELLO;
    for (size_t i = 0; text[i]; i++) // a record each
        tls_say(&c, str_of_bytes(text + i, 1));
    tls_expect(&c, OK_HELLO);
    tls_close(&c);
    tls_app_done(&t);
}

static void an_answer_of_later_goes_out(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    for (size_t i = 0; i < 3; i++) {
        tls_say(&c, STR_LIT(GET("/later")));
        TLS_UNTIL(&c, t.a.waiting_count == i + 1);
        http_reply(t.a.waiting[i], 200, STR_LIT("late"));
        tls_expect(&c, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
    }
    tls_close(&c);
    tls_app_done(&t);
}

static void late_answers_come_in_order_with_what_was_sent_on(void **state)
{
    struct http_limits l = app_limits();
    struct tls_app t;
    struct tls_client c;
    l.late_ms = 20;
    tls_app_init(&t, l);
    tls_connect(&c, &t.a.f);
    for (int i = 0; i < 3; i++) {
        tls_say(&c, STR_LIT(GET("/late") POST_HELLO));
        tls_expect(&c, OK_EMPTY OK_HELLO);
    }
    tls_close(&c);
    tls_app_done(&t);
}

static void long_answers_and_streams_come_whole(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT(GET("/big")));
    TLS_UNTIL(&c, c.got.n >= 5000000 && str_ends(buf_str(&c.got), STR_LIT("b")));
    buf_clear(&c.got);
    tls_say(&c, STR_LIT(GET("/stream")));
    TLS_UNTIL(&c, str_ends(buf_str(&c.got), STR_LIT("\r\n0\r\n\r\n")));
    assert_true(c.got.n > STREAMED);
    assert_true(t.ready > 0);
    assert_int_equal(t.gone, 0);
    tls_close(&c);
    tls_app_done(&t);
}

static void uploads_come_whole(void **state)
{
    struct tls_app t;
    struct tls_client c;
    static char block[100000];
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"));
    for (int i = 0; i < 200; i++)
        tls_say(&c, str_of_bytes(block, sizeof(block)));
    tls_expect(&c, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntaken");
    assert_int_equal(t.uploaded, 20000000);
    tls_close(&c);
    tls_app_done(&t);
}

// What is decrypted already makes no socket readable.
static void a_resumed_upload_gets_what_openssl_holds(void **state)
{
    struct tls_app t;
    struct tls_client c;
    static char block[16000];
    tls_app_init(&t, app_limits());
    t.pauses = true;
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n"));
    tls_say(&c, str_of_bytes(block, sizeof(block))); // one record
    size_t rounds = 0;
    while (t.uploaded < sizeof(block)) {
        size_t before = t.uploaded;
        if (rounds++)
            http_upload_pause(t.stream, false);
        assert_int_equal(t.uploaded, before);
        TLS_UNTIL(&c, t.uploaded > before);
    }
    assert_true(rounds > 1);
    http_upload_pause(t.stream, false);
    tls_expect(&c, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntaken");
    tls_close(&c);
    tls_app_done(&t);
}

static void an_early_answer_is_read_by_who_sends_on(void **state)
{
    struct tls_app t;
    struct tls_client c;
    static char block[100000];
    tls_app_init(&t, app_limits());
    t.cuts = true;
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"));
    for (int i = 0; i < 50; i++)
        tls_say(&c, str_of_bytes(block, sizeof(block)));
    TLS_UNTIL(&c, c.closed);
    assert_true(c.notified);
    assert_true(
        str_starts(buf_str(&c.got), STR_LIT("HTTP/1.1 422 Unprocessable Entity\r\nconnection: close\r\n")));
    tls_close(&c);
    tls_app_done(&t);
}

static void connections_end_with_close_notify(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    TLS_UNTIL(&c, c.closed);
    assert_true(c.notified);
    assert_true(str_starts(buf_str(&c.got), STR_LIT("HTTP/1.1 200 OK\r\n")));
    tls_close(&c);
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("GET / HTTP/1.1\r\n\r\n")); // no Host: refused, then lingers
    TLS_UNTIL(&c, c.closed);
    assert_true(c.notified);
    assert_true(str_starts(buf_str(&c.got), STR_LIT("HTTP/1.1 400 Bad Request\r\n")));
    tls_close(&c);
    tls_connect(&c, &t.a.f);
    TLS_UNTIL(&c, c.connected);
    http_server_stop(t.a.f.server); // idle ones end
    TLS_UNTIL(&c, c.closed);
    assert_true(c.notified);
    tls_close(&c);
    tls_app_done(&t);
}

static void a_stop_ends_handshakes_too(void **state)
{
    struct tls_app t;
    tls_app_init(&t, app_limits());
    int fd = loopback(&t.a.f);
    for (int i = 0; i < 5; i++)
        (void)event_base_loop(t.a.f.base, EVLOOP_NONBLOCK);
    assert_int_equal(http_server_active_count(t.a.f.server), 0);
    http_server_stop(t.a.f.server);
    char byte;
    WAIT_UNTIL(&t.a.f, recv(fd, &byte, 1, 0) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK));
    (void)close(fd);
    tls_app_done(&t);
}

static bool ended(int fd)
{
    char bytes[256];
    ssize_t count = recv(fd, bytes, sizeof(bytes), 0);
    return count == 0 || (count < 0 && errno != EAGAIN);
}

static void what_is_no_handshake_ends_soon(void **state)
{
    struct http_limits l = app_limits();
    l.header_timeout_ms = 100;
    static const char *const texts[] = {"", "\x16\x03\x01", GET("/")};
    struct tls_app t;
    tls_app_init(&t, l);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = loopback(&t.a.f);
        uint64_t began_us = clock_monotonic_us();
        assert_int_equal(send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL), strlen(texts[i]));
        WAIT_UNTIL(&t.a.f, ended(fd));
        if (i < 2)
            assert_true(clock_monotonic_us() - began_us >= 90000);
        (void)close(fd);
    }
    assert_int_equal(t.a.requests, 0);
    tls_app_done(&t);
}

static void a_slow_header_over_tls_is_answered_as_without(void **state)
{
    struct http_limits l = app_limits();
    l.header_timeout_ms = 300;
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, l);
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("GET / HT"));
    TLS_UNTIL(&c, c.closed);
    assert_true(str_starts(buf_str(&c.got), STR_LIT("HTTP/1.1 408 Request Timeout\r\n")));
    assert_true(c.notified);
    tls_close(&c);
    tls_app_done(&t);
}

// A connection that nothing happens on must not turn the loop.
static void connections_at_rest_cost_no_turns(void **state)
{
    struct tls_app t;
    struct tls_client idle, busy, deaf;
    tls_app_init(&t, app_limits());
    tls_connect(&idle, &t.a.f);
    tls_connect(&busy, &t.a.f);
    tls_connect(&deaf, &t.a.f);
    tls_say(&idle, STR_LIT(POST_HELLO));
    tls_expect(&idle, OK_HELLO);
    tls_say(&busy, STR_LIT(GET("/later") GET("/")));
    TLS_UNTIL(&busy, t.a.waiting_count == 1);
    tls_say(&deaf, STR_LIT(GET("/stream"))); // takes nothing of it
    for (int i = 0; i < 1000; i++)
        (void)event_base_loop(t.a.f.base, EVLOOP_NONBLOCK);
    struct event *tick =
        event_new(t.a.f.base, -1, EV_PERSIST, fixture_late, &(struct fixture){.late = false});
    (void)event_add(tick, &(struct timeval){.tv_usec = 100000});
    uint64_t until_us = clock_monotonic_us() + 300000;
    int turns = 0;
    for (; clock_monotonic_us() < until_us; turns++)
        (void)event_base_loop(t.a.f.base, EVLOOP_ONCE);
    event_free(tick);
    assert_true(turns < 20);
    http_reply(t.a.waiting[0], 200, STR_NONE);
    tls_close(&idle);
    tls_close(&busy);
    tls_close(&deaf);
    tls_app_done(&t);
}

static void a_client_that_is_gone_is_noticed(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    tls_say(&c, STR_LIT("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"));
    TLS_UNTIL(&c, t.uploaded == 5);
    tls_close(&c);
    WAIT_UNTIL(&t.a.f, t.gone == 1);
    tls_app_done(&t);
}

static void many_connections_are_served(void **state)
{
    struct tls_app t;
    struct tls_client c[100];
    tls_app_init(&t, app_limits());
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        tls_connect(&c[i], &t.a.f);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        tls_say(&c[i], STR_LIT(POST_HELLO));
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        tls_expect(&c[i], OK_HELLO);
        tls_close(&c[i]);
    }
    tls_app_done(&t);
}

static void versions_before_1_2_are_refused(void **state)
{
    struct tls_app t;
    struct tls_client c;
    tls_app_init(&t, app_limits());
    tls_connect(&c, &t.a.f);
    SSL_set_security_level(c.ssl, 0);
    (void)SSL_set_min_proto_version(c.ssl, TLS1_VERSION);
    (void)SSL_set_max_proto_version(c.ssl, TLS1_1_VERSION);
    bool failed = false;
    begin_wait(&t.a.f);
    while (!failed && !t.a.f.late) {
        int rc = SSL_connect(c.ssl);
        assert_int_not_equal(rc, 1);
        failed = SSL_get_error(c.ssl, rc) != SSL_ERROR_WANT_READ;
        ERR_clear_error();
        (void)event_base_loop(t.a.f.base, EVLOOP_NONBLOCK);
    }
    assert_true(failed);
    (void)event_del(t.a.f.deadline);
    tls_close(&c);
    tls_connect(&c, &t.a.f);
    (void)SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
    tls_say(&c, STR_LIT(POST_HELLO));
    tls_expect(&c, OK_HELLO);
    tls_close(&c);
    tls_app_done(&t);
}

// ---- the pair

static void a_new_pair_serves_new_connections(void **state)
{
    struct tls_app t;
    struct tls_client before, after;
    struct error err;
    tls_app_init(&t, app_limits());
    tls_connect(&before, &t.a.f);
    TLS_UNTIL(&before, before.connected);
    write_pair(&files, "second", true);
    assert_int_equal(http_tls_reload(t.tls, &err), 0);
    tls_connect(&after, &t.a.f);
    TLS_UNTIL(&after, after.connected);
    expect_certificate(&before, "first");
    expect_certificate(&after, "second");
    tls_say(&before, STR_LIT(POST_HELLO));
    tls_expect(&before, OK_HELLO);
    tls_close(&before);
    tls_close(&after);
    tls_app_done(&t);
}

static void *reload_often(void *tls)
{
    struct error err;
    int rc = 0;
    for (int i = 0; i < 100 && !rc; i++)
        rc = http_tls_reload(tls, &err);
    return rc ? tls : NULL;
}

static void pairs_may_be_swapped_by_another_thread(void **state)
{
    struct tls_app t;
    pthread_t thread;
    void *failed;
    tls_app_init(&t, app_limits());
    assert_int_equal(pthread_create(&thread, NULL, reload_often, t.tls), 0);
    for (int i = 0; i < 30; i++) {
        struct tls_client c;
        tls_connect(&c, &t.a.f);
        tls_say(&c, STR_LIT(POST_HELLO));
        tls_expect(&c, OK_HELLO);
        tls_close(&c);
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    tls_app_done(&t);
}

static void a_bad_pair_is_refused_whole_and_the_old_one_stays(void **state)
{
    struct tls_app t;
    struct tls_client c;
    struct error err;
    struct http_tls *none = NULL;
    tls_app_init(&t, app_limits());
    write_pair(&files, "misfit", false);
    assert_int_equal(http_tls_reload(t.tls, &err), -EINVAL);
    assert_non_null(strstr(err.text, files.key));
    assert_int_equal(http_tls_new(files.cert, files.key, &none, &err), -EINVAL);
    assert_null(none);
    assert_int_equal(truncate(files.cert, 40), 0);
    assert_int_equal(http_tls_reload(t.tls, &err), -EINVAL);
    assert_non_null(strstr(err.text, files.cert));
    assert_int_equal(unlink(files.key), 0);
    assert_int_equal(http_tls_reload(t.tls, &err), -ENOENT);
    assert_non_null(strstr(err.text, "No such file"));
    tls_connect(&c, &t.a.f);
    TLS_UNTIL(&c, c.connected);
    expect_certificate(&c, "first");
    tls_close(&c);
    tls_app_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served_one_after_the_other_and_pipelined),
        cmocka_unit_test(an_answer_of_later_goes_out),
        cmocka_unit_test(late_answers_come_in_order_with_what_was_sent_on),
        cmocka_unit_test(long_answers_and_streams_come_whole),
        cmocka_unit_test(uploads_come_whole),
        cmocka_unit_test(a_resumed_upload_gets_what_openssl_holds),
        cmocka_unit_test(an_early_answer_is_read_by_who_sends_on),
        cmocka_unit_test(connections_end_with_close_notify),
        cmocka_unit_test(a_stop_ends_handshakes_too),
        cmocka_unit_test(what_is_no_handshake_ends_soon),
        cmocka_unit_test(a_slow_header_over_tls_is_answered_as_without),
        cmocka_unit_test(connections_at_rest_cost_no_turns),
        cmocka_unit_test(a_client_that_is_gone_is_noticed),
        cmocka_unit_test(many_connections_are_served),
        cmocka_unit_test(versions_before_1_2_are_refused),
        cmocka_unit_test(a_new_pair_serves_new_connections),
        cmocka_unit_test(pairs_may_be_swapped_by_another_thread),
        cmocka_unit_test(a_bad_pair_is_refused_whole_and_the_old_one_stays),
    };
    return cmocka_run_group_tests_name("http_tls", tests, make_folder, remove_folder);
}
