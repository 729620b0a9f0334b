// common/redis against a real redis-server that is killed and started again, and against a peer that breaks
// the protocol in ways Redis never would.
#include "common/redis/redis.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "tests/unit/peer.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/un.h>

enum { SOON_MS = 10000, TIMEOUT_MS = 2000 };

struct server {
    uint16_t port;
    pid_t pid;
    char dir[64];
};

// What callbacks told.
struct seen {
    int ups, downs;
    char replication_id[64];
    struct error down;
    int answers;
    int codes[2100];
    int64_t numbers[2100];
    char text[256];
    struct redis *r; // for callbacks that use it
    struct redis **freed_in_callback;
};

struct fixture {
    struct event_base *base;
    struct server server;
    struct seen seen;
    struct redis *r;
};

static void server_start(struct server *s)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/redis.conf", s->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "port %u\nbind 127.0.0.1\nsave \"\"\ndir %s\nunixsocket %s/redis.sock\n"
                  "requirepass \"pa ss:w@rd\"\nuser rolly on >pa%%ss allkeys allchannels +@all\n",
                  s->port, s->dir, s->dir);
    assert_int_equal(fclose(file), 0);
    char name[] = "redis-server", *argv[] = {name, path, NULL};
    s->pid = peer_start(argv);
}

static void server_kill(struct server *s)
{
    if (s->pid)
        (void)peer_stop(s->pid, SIGKILL);
    s->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    f->base = event_base_new();
    f->server.port = peer_free_port();
    (void)snprintf(f->server.dir, sizeof(f->server.dir), "/tmp/rollcall-redis-XXXXXX");
    assert_non_null(mkdtemp(f->server.dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    redis_free(f->r);
    server_kill(&f->server);
    (void)nftw(f->server.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    base_end(f->base);
    free(f);
    return 0;
}

static void on_up(void *arg, struct str id)
{
    struct seen *seen = arg;
    seen->ups++;
    (void)snprintf(seen->replication_id, sizeof(seen->replication_id), STR_FMT, STR_ARG(id));
}

static void on_down(void *arg, const struct error *why)
{
    struct seen *seen = arg;
    seen->downs++;
    seen->down = *why;
}

static void connect_to(struct fixture *f, const char *url, const char *password, uint32_t timeout_ms)
{
    struct redis_params params = {.base = f->base,
                                  .url = url,
                                  .password = password,
                                  .command_timeout_ms = timeout_ms,
                                  .arg = &f->seen,
                                  .on_up = on_up,
                                  .on_down = on_down};
    struct error err;
    assert_int_equal(redis_new(&params, &f->r, &err), 0);
    f->seen.r = f->r;
}

static void connect_default(struct fixture *f, uint32_t timeout_ms)
{
    char url[128];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f->server.port);
    connect_to(f, url, "pa ss:w@rd", timeout_ms);
}

static void on_answer(void *arg, const struct redis_value *v, const struct error *err)
{
    struct seen *seen = arg;
    seen->codes[seen->answers] = err ? err->code : 0;
    seen->numbers[seen->answers++] = redis_int(v);
    (void)snprintf(seen->text, sizeof(seen->text), STR_FMT, STR_ARG(err ? str_of(err->text) : redis_str(v)));
}

static bool has_ups(const void *arg)
{
    const struct seen *seen = arg;
    return seen->ups >= 1;
}

static bool has_downs(const void *arg)
{
    const struct seen *seen = arg;
    return seen->downs >= 1;
}

static bool has_answer(const void *arg)
{
    const struct seen *seen = arg;
    return seen->answers >= 1;
}

static bool nothing_pending(const void *arg)
{
    return redis_pending_count(arg) == 0;
}

#define until(f, cond, arg) assert_true(peer_run_until((f)->base, cond, arg, SOON_MS))

static void come_up(struct fixture *f)
{
    server_start(&f->server);
    connect_default(f, TIMEOUT_MS);
    until(f, has_ups, &f->seen);
}

// ---- tests

static void logs_in_and_tells_the_replication_id(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    assert_true(redis_is_up(f->r));
    assert_int_equal(strlen(f->seen.replication_id), 40);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("ECHO"), STR_LIT("hello"));
    assert_int_equal(redis_pending_count(f->r), 1);
    until(f, nothing_pending, f->r);
    assert_string_equal(f->seen.text, "hello");
}

static void a_url_carries_user_password_and_database(void **state)
{
    struct fixture *f = *state;
    server_start(&f->server);
    char url[128];
    (void)snprintf(url, sizeof(url), "redis://rolly:pa%%25ss@localhost:%u/3", f->server.port);
    connect_to(f, url, NULL, TIMEOUT_MS);
    until(f, has_ups, &f->seen);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("CLIENT"), STR_LIT("INFO"));
    until(f, nothing_pending, f->r);
    assert_non_null(strstr(f->seen.text, " db=3 "));
}

static void a_unix_socket_is_a_url_too(void **state)
{
    struct fixture *f = *state;
    server_start(&f->server);
    char url[128];
    (void)snprintf(url, sizeof(url), "unix://%s/redis.sock", f->server.dir);
    connect_to(f, url, "pa ss:w@rd", TIMEOUT_MS);
    until(f, has_ups, &f->seen);
}

static void a_wrong_password_is_told_once_and_tried_again(void **state)
{
    struct fixture *f = *state;
    server_start(&f->server);
    char url[128];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f->server.port);
    connect_to(f, url, "wrong", TIMEOUT_MS);
    // Attempts before the server listens are told with another reason.
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (f->seen.down.code != -EACCES && clock_monotonic_us() < end_us)
        (void)event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(f->seen.down.code, -EACCES);
    assert_non_null(strstr(f->seen.down.text, "WRONGPASS"));
    assert_int_equal(f->seen.ups, 0);
}

static void a_name_without_an_address_is_told_and_blocks_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t start_us = clock_monotonic_us();
    connect_to(f, "redis://no-such-host.invalid", NULL, 500);
    // The loop turns on while the name is looked up: what is given meanwhile fails at once.
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    until(f, has_answer, &f->seen);
    assert_true(clock_monotonic_us() - start_us < 400000);
    assert_int_equal(f->seen.codes[0], -ENOTCONN);
    until(f, has_downs, &f->seen);
    assert_true(f->seen.down.code == -ENOTCONN || f->seen.down.code == -ETIMEDOUT);
}

static void bad_urls_are_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",
                                      "redis://",
                                      "rediss+tls://h",
                                      "http://h",
                                      "redis://h:0",
                                      "redis://h:65536",
                                      "redis://h:1x",
                                      "redis://h/x",
                                      "redis://u:%4@h",
                                      "redis://u:%00@h",
                                      "redis://[::1",
                                      "unix://relative"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct redis_params params = {.base = f->base, .url = bad[i]};
        struct redis *r = NULL;
        struct error err = {0};
        assert_int_equal(redis_new(&params, &r, &err), -EINVAL);
        assert_true(err.text[0]);
        assert_null(r);
    }
}

static void pipelined_commands_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    for (int i = 0; i < 2000; i++)
        redis_commandl(f->r, on_answer, &f->seen, STR_LIT("INCR"), STR_LIT("n"));
    until(f, nothing_pending, f->r);
    assert_int_equal(f->seen.answers, 2000);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(f->seen.numbers[i], i + 1);
}

static void on_array(void *arg, const struct redis_value *v, const struct error *err)
{
    struct seen *seen = arg;
    assert_null(err);
    assert_int_equal(redis_type(v), REDIS_ARRAY);
    assert_int_equal(redis_count(v), 5);
    assert_int_equal(redis_int(redis_at(v, 0)), 7);
    assert_int_equal(redis_type(redis_at(v, 0)), REDIS_INTEGER);
    assert_true(str_eq(redis_str(redis_at(v, 1)), str_of_bytes("a\0b\r\n", 5)));
    assert_int_equal(redis_type(redis_at(v, 2)), REDIS_NIL);
    assert_int_equal(redis_type(redis_at(v, 3)), REDIS_STATUS);
    assert_int_equal(redis_type(redis_at(v, 4)), REDIS_FAIL);
    assert_null(redis_at(v, 5));
    seen->answers++;
}

static void replies_of_every_type_are_read(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    redis_commandl(
        f->r, on_array, &f->seen, STR_LIT("EVAL"),
        STR_LIT("return {7, ARGV[1], false, redis.status_reply('FINE'), redis.error_reply('BAD')}"),
        STR_LIT("0"), str_of_bytes("a\0b\r\n", 5));
    until(f, has_answer, &f->seen);
}

static void error_replies_come_as_eio_with_the_text(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("SET"), STR_LIT("s"), STR_LIT("x"));
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("INCR"), STR_LIT("s"));
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("SET"), STR_NONE, STR_NONE);
    until(f, nothing_pending, f->r);
    assert_int_equal(f->seen.codes[1], -EIO);
    assert_int_equal(f->seen.codes[2], 0);
    assert_true(redis_is_up(f->r));
}

static void a_script_is_sent_whole_once_and_by_digest_after(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    struct redis_script script;
    redis_script_init(&script, "sum", STR_LIT("return tonumber(ARGV[1]) + redis.call('INCR', KEYS[1])"));
    struct str argv[] = {STR_LIT("k"), STR_LIT("100")};
    for (int i = 0; i < 3; i++) {
        redis_script(f->r, &script, on_answer, &f->seen, 1, ARRAY_LEN(argv), argv);
        until(f, nothing_pending, f->r);
    }
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("SCRIPT"), STR_LIT("FLUSH"));
    redis_script(f->r, &script, on_answer, &f->seen, 1, ARRAY_LEN(argv), argv);
    until(f, nothing_pending, f->r);
    assert_int_equal(f->seen.answers, 5);
    assert_int_equal(f->seen.numbers[0], 101);
    assert_int_equal(f->seen.numbers[2], 103);
    assert_int_equal(f->seen.numbers[4], 104);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("EVAL"),
                   STR_LIT("local s = redis.call('INFO', 'commandstats') "
                           "return (s:match('cmdstat_eval:calls=(%d+)')) .. ' ' .. "
                           "(s:match('cmdstat_evalsha:calls=(%d+)'))"),
                   STR_LIT("0"));
    until(f, nothing_pending, f->r);
    // EVAL: the first call, the one after the flush; EVALSHA: all but the first. This query is counted when
    // it ends.
    assert_string_equal(f->seen.text, "2 3");
}

static void say(int fd, const char *text, const char *answer)
{
    char got[16] = "";
    size_t bytes = strlen(answer);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(recv(fd, got, bytes, MSG_WAITALL), (ssize_t)bytes);
    assert_string_equal(got, answer);
}

// As a replica begins: the server makes up another replication id for it.
static void ask_as_a_replica(uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&at, sizeof(at)), 0);
    say(fd, "AUTH \"pa ss:w@rd\"\r\n", "+OK\r\n");
    say(fd, "PSYNC ? -1\r\n", "+FULLRESYNC");
    (void)close(fd);
}

static void a_replica_that_comes_makes_no_other_server_of_it(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    char first_id[64];
    (void)snprintf(first_id, sizeof(first_id), "%s", f->seen.replication_id);
    ask_as_a_replica(f->server.port);
    redis_free(f->r);
    f->seen.ups = 0;
    connect_default(f, TIMEOUT_MS);
    until(f, has_ups, &f->seen);
    assert_string_equal(f->seen.replication_id, first_id);
}

static void while_down_commands_fail_on_the_next_turn(void **state)
{
    struct fixture *f = *state;
    connect_default(f, TIMEOUT_MS);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    assert_int_equal(f->seen.answers, 0);
    assert_int_equal(redis_pending_count(f->r), 1);
    until(f, has_answer, &f->seen);
    assert_int_equal(f->seen.codes[0], -ENOTCONN);
    until(f, has_downs, &f->seen);
    assert_int_equal(f->seen.downs, 1);
    assert_non_null(strstr(f->seen.down.text, "Connection refused"));
}

static void comes_back_after_the_server_was_killed(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    char first_id[64];
    (void)snprintf(first_id, sizeof(first_id), "%s", f->seen.replication_id);
    peer_freeze(f->server.pid);
    for (int i = 0; i < 100; i++)
        redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    (void)event_base_loop(f->base, EVLOOP_NONBLOCK);
    f->seen.downs = 0;
    server_kill(&f->server);
    until(f, nothing_pending, f->r);
    assert_int_equal(f->seen.answers, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(f->seen.codes[i], -ENOTCONN);
    until(f, has_downs, &f->seen);
    f->seen.ups = f->seen.answers = 0;
    server_start(&f->server);
    until(f, has_ups, &f->seen);
    assert_string_not_equal(f->seen.replication_id, first_id);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    until(f, has_answer, &f->seen);
    assert_string_equal(f->seen.text, "PONG");
}

static void a_silent_server_times_out_and_is_left(void **state)
{
    struct fixture *f = *state;
    server_start(&f->server);
    connect_default(f, 300);
    until(f, has_ups, &f->seen);
    f->seen.downs = 0;
    peer_freeze(f->server.pid);
    uint64_t start_us = clock_monotonic_us();
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    until(f, nothing_pending, f->r);
    uint64_t took_ms = (clock_monotonic_us() - start_us) / 1000;
    assert_true(took_ms >= 300 && took_ms < 1500);
    assert_int_equal(f->seen.answers, 2);
    assert_int_equal(f->seen.codes[0], -ETIMEDOUT);
    assert_int_equal(f->seen.codes[1], -ETIMEDOUT);
    assert_int_equal(f->seen.downs, 1);
    f->seen.ups = 0;
    (void)kill(f->server.pid, SIGCONT);
    until(f, has_ups, &f->seen);
}

static void a_demoted_master_is_left_on_the_first_refused_write(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    f->seen.downs = 0;
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("REPLICAOF"), STR_LIT("127.0.0.1"), STR_LIT("1"));
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("SET"), STR_LIT("a"), STR_LIT("b"));
    until(f, nothing_pending, f->r);
    assert_int_equal(f->seen.codes[1], -EIO);
    assert_true(str_starts(str_of(f->seen.text), STR_LIT("READONLY")));
    assert_false(redis_is_up(f->r));
    // The same server again: a replica is no place for writes, so it is not used.
    f->seen.downs = f->seen.ups = 0;
    until(f, has_downs, &f->seen);
    assert_int_equal(f->seen.down.code, -EROFS);
    assert_int_equal(f->seen.ups, 0);
}

static void on_answer_free(void *arg, const struct redis_value *v, const struct error *err)
{
    struct seen *seen = arg;
    on_answer(arg, v, err);
    redis_commandl(seen->r, on_answer, seen, STR_LIT("PING"));
    redis_free(seen->r);
    *seen->freed_in_callback = NULL;
}

static void freeing_inside_a_callback_answers_the_rest(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    f->seen.freed_in_callback = &f->r;
    redis_commandl(f->r, on_answer_free, &f->seen, STR_LIT("PING"));
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    until(f, has_answer, &f->seen);
    assert_null(f->r);
    assert_int_equal(f->seen.answers, 3);
    assert_int_equal(f->seen.codes[0], 0);
    assert_int_equal(f->seen.codes[1], -ENOTCONN);
    assert_int_equal(f->seen.codes[2], -ENOTCONN);
}

static void on_answer_ask_once_more(void *arg, const struct redis_value *v, const struct error *err)
{
    struct seen *seen = arg;
    on_answer(arg, v, err);
    redis_fn *next = seen->answers < 3 ? on_answer_ask_once_more : on_answer;
    if (seen->answers < 4)
        redis_commandl(seen->r, next, seen, STR_LIT("PING"));
}

static void what_answers_of_the_end_ask_for_is_answered_too(void **state)
{
    struct fixture *f = *state;
    come_up(f);
    redis_commandl(f->r, on_answer_ask_once_more, &f->seen, STR_LIT("PING"));
    redis_free(f->r);
    f->r = NULL;
    assert_int_equal(f->seen.answers, 4);
    assert_int_equal(f->seen.codes[3], -ENOTCONN);
}

// ---- a peer that speaks badly

struct liar {
    struct fixture *f;
    const char *reply;
    struct event *accepting, *reading;
    int fd;
};

static void liar_read(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    const struct liar *liar = arg;
    char bytes[4096];
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n <= 0)
        (void)event_del(liar->reading);
    else if (memmem(bytes, (size_t)n, "INFO", 4))
        (void)!write(fd, "$22\r\nrole:master\r\nloading:0\r\n", 29);
    else
        (void)!write(fd, liar->reply, strlen(liar->reply));
}

static void liar_accept(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct liar *liar = arg;
    if (liar->reading)
        return; // one conversation is enough
    liar->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    liar->reading = event_new(liar->f->base, liar->fd, EV_READ | EV_PERSIST, liar_read, liar);
    (void)event_add(liar->reading, NULL);
}

static void talk_to_a_liar(struct fixture *f, const char *reply, int answer_code, int down_code)
{
    struct liar liar = {.f = f, .reply = reply};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(f->server.port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    liar.accepting = event_new(f->base, fd, EV_READ | EV_PERSIST, liar_accept, &liar);
    (void)event_add(liar.accepting, NULL);
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f->server.port);
    connect_to(f, url, NULL, TIMEOUT_MS);
    until(f, has_ups, &f->seen);
    redis_commandl(f->r, on_answer, &f->seen, STR_LIT("PING"));
    until(f, has_answer, &f->seen);
    until(f, has_downs, &f->seen);
    assert_int_equal(f->seen.codes[0], answer_code);
    assert_int_equal(f->seen.down.code, down_code);
    assert_int_equal(f->seen.answers, 1);
    event_free(liar.accepting);
    event_free(liar.reading);
    (void)close(fd);
    (void)close(liar.fd);
}

static void a_reply_too_many_costs_the_connection_only(void **state)
{
    talk_to_a_liar(*state, "+PONG\r\n+PONG\r\n", 0, -EPROTO);
}

static void what_is_not_resp_costs_the_connection_only(void **state)
{
    talk_to_a_liar(*state, "HTTP/1.1 400 Bad Request\r\n\r\n", -ENOTCONN, -EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(logs_in_and_tells_the_replication_id),
        TEST(a_url_carries_user_password_and_database),
        TEST(a_unix_socket_is_a_url_too),
        TEST(a_wrong_password_is_told_once_and_tried_again),
        TEST(a_name_without_an_address_is_told_and_blocks_nothing),
        TEST(bad_urls_are_refused_with_a_sentence),
        TEST(pipelined_commands_are_answered_in_order),
        TEST(replies_of_every_type_are_read),
        TEST(error_replies_come_as_eio_with_the_text),
        TEST(a_script_is_sent_whole_once_and_by_digest_after),
        TEST(while_down_commands_fail_on_the_next_turn),
        TEST(a_replica_that_comes_makes_no_other_server_of_it),
        TEST(comes_back_after_the_server_was_killed),
        TEST(a_silent_server_times_out_and_is_left),
        TEST(a_demoted_master_is_left_on_the_first_refused_write),
        TEST(freeing_inside_a_callback_answers_the_rest),
        TEST(what_answers_of_the_end_ask_for_is_answered_too),
        TEST(a_reply_too_many_costs_the_connection_only),
        TEST(what_is_not_resp_costs_the_connection_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
