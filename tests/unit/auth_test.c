// services/gateway/auth: who may in, and with which token.
#include "common/base/mem.h"
#include "services/gateway/auth/password_worker.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/auth/token.h"

#include <errno.h>
#include <event2/event.h>
#include <jwt.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
// cmocka needs those above
#include <cmocka.h>

#define SECRET STR_LIT("0123456789abcdef0123456789abcdef")

static int load(const char *text, struct principals **ret, struct error *err)
{
    char path[] = "/tmp/rollcall-principals-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int rc = principals_load(path, ret, err);
    unlink(path);
    return rc;
}

static void a_good_file_gives_its_users(void **state)
{
    (void)state;
    struct principals *p;
    struct error err = {0};
    assert_int_equal(
        load("{\"users\":[{\"id\":7,\"username\":\"ann\",\"password\":\"$6$x\",\"account\":\"acme\","
             "\"allowed_ips\":[\"192.0.2.0/25\",\"2001:db8::/33\",\"198.51.100.7\"]}]}",
             &p, &err),
        0);
    const struct principal *ann = principals_by_username(p, STR_LIT("ann"));
    assert_non_null(ann);
    assert_ptr_equal(ann, principals_by_id(p, 7));
    assert_string_equal(ann->account->name, "acme");
    assert_null(principals_by_username(p, STR_LIT("an")));
    assert_true(principal_allows_ip(ann, STR_LIT("192.0.2.127")));
    assert_false(principal_allows_ip(ann, STR_LIT("192.0.2.128")));
    assert_true(principal_allows_ip(ann, STR_LIT("2001:db8:7fff::1")));
    assert_false(principal_allows_ip(ann, STR_LIT("2001:db8:8000::1")));
    assert_true(principal_allows_ip(ann, STR_LIT("198.51.100.7")));
    assert_false(principal_allows_ip(ann, STR_LIT("junk")));
    principals_unref(p);
}

static void a_bad_file_is_refused_with_its_cause(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cause;
    } rows[] = {
        {"{", "byte"},
        {"{\"users\":[]}", "users"},
        {"{\"users\":[{\"id\":0,\"username\":\"a\",\"password\":\"$6$x\",\"account\":\"b\"}]}",
         "users[0].id"},
        {"{\"users\":[{\"id\":1,\"username\":\"\",\"password\":\"$6$x\",\"account\":\"b\"}]}",
         "users[0].username"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"password\":\"plain\",\"account\":\"b\"}]}", "crypt"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"password\":\"$6$x\",\"account\":\"b\"},"
         "{\"id\":1,\"username\":\"c\",\"password\":\"$6$x\",\"account\":\"b\"}]}",
         "twice"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"password\":\"$6$x\",\"account\":\"b\","
         "\"allowed_ips\":[\"192.0.2.0/33\"]}]}",
         "allowed_ips[0]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct principals *p = NULL;
        struct error err = {0};
        assert_int_equal(load(rows[i].text, &p, &err), -EINVAL);
        assert_null(p);
        if (!strstr(err.text, rows[i].cause))
            fail_msg("\"%s\" does not name \"%s\"", err.text, rows[i].cause);
    }
}

static void an_issued_token_verifies_until_it_expires(void **state)
{
    (void)state;
    struct buf token = BUF_INIT;
    uint64_t subject = 0;
    token_issue(&token, SECRET, 42, 1000, 600);
    assert_int_equal(token_verify(buf_str(&token), SECRET, 1599, &subject, NULL), 0);
    assert_int_equal(subject, 42);
    assert_int_equal(token_verify(buf_str(&token), SECRET, 1600, &subject, NULL), -EACCES);
    assert_int_equal(
        token_verify(buf_str(&token), STR_LIT("another secret of thirty-two byte"), 1000, &subject, NULL),
        -EACCES);
    token.p[token.n - 3] = token.p[token.n - 3] == 'A' ? 'B' : 'A';
    assert_int_equal(token_verify(buf_str(&token), SECRET, 1000, &subject, NULL), -EACCES);
    buf_done(&token);
    token_issue(&token, SECRET, 42, 1000, 0);
    assert_int_equal(token_verify(buf_str(&token), SECRET, UINT32_MAX, &subject, NULL), 0);
    buf_done(&token);
}

// A token with these claims, signed as told, to be refused or taken.
static int verdict(jwt_alg_t alg, const char *claims)
{
    jwt_t *jwt = NULL;
    uint64_t subject;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : (const unsigned char *)SECRET.p,
                                 alg == JWT_ALG_NONE ? 0 : (int)SECRET.n),
                     0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    char *text = jwt_encode_str(jwt);
    int rc = token_verify(str_of(text), SECRET, 1000, &subject, NULL);
    free(text);
    jwt_free(jwt);
    return rc;
}

static void only_hs256_for_our_audience_is_taken(void **state)
{
    (void)state;
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":[\"x\",\"admin\"]}"), 0);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":\"admin\"}"), 0);
    assert_int_equal(verdict(JWT_ALG_HS512, "{\"sub\":1,\"aud\":[\"admin\"]}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_NONE, "{\"sub\":1,\"aud\":[\"admin\"]}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":[\"customer\"]}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"aud\":[\"admin\"]}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":\"1\",\"aud\":[\"admin\"]}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":[\"admin\"],\"nbf\":1001}"), -EACCES);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":[\"admin\"],\"iat\":9999}"), 0);
    assert_int_equal(verdict(JWT_ALG_HS256, "{\"sub\":1,\"aud\":[\"admin\"],\"exp\":\"2000\"}"), -EACCES);
}

struct answer {
    struct event_base *base;
    int count;
    bool matches;
};

static void on_answer(void *arg, bool matches)
{
    struct answer *a = arg;
    a->count++;
    a->matches = matches;
    (void)event_base_loopbreak(a->base);
}

static bool ask(struct password_client *c, struct answer *a, const char *hash, struct str password)
{
    assert_true(password_check(c, hash, password, on_answer, a));
    int before = a->count;
    while (a->count == before)
        (void)event_base_dispatch(a->base);
    return a->matches;
}

static void passwords_are_checked_off_the_loop(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct password_worker *w = password_worker_start();
    struct password_client *c = password_client_new(w, base);
    struct answer a = {.base = base};
    char made[256];
    FILE *p = popen("openssl passwd -6 -salt salt right", "r");
    assert_non_null(p);
    assert_non_null(fgets(made, sizeof(made), p));
    pclose(p);
    made[strcspn(made, "\n")] = '\0';
    assert_true(ask(c, &a, made, STR_LIT("right")));
    assert_false(ask(c, &a, made, STR_LIT("wrong")));
    assert_false(ask(c, &a, made, str_of_bytes("right\0x", 7)));
    assert_true(
        password_check(c, made, STR_LIT("right"), on_answer, &a)); // still under way when the client goes
    int before = a.count;
    password_client_free(c);
    password_worker_stop(w);
    assert_int_equal(a.count, before);
    event_base_free(base);
}

static void count_answer(void *arg, bool matches)
{
    struct answer *a = arg;
    a->count += !matches;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// The worker is faster than the loop here, which asks for more before it looks what came back.
static void every_check_that_is_taken_is_answered(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct password_worker *w = password_worker_start();
    struct password_client *c = password_client_new(w, base);
    struct answer a = {.base = base};
    int taken = 0;
    for (uint64_t end = now_ms() + 300; taken < 600 && now_ms() < end; (void)sched_yield())
        taken += password_check(c, "no hash", STR_LIT("x"), count_answer, &a);
    for (uint64_t end = now_ms() + 5000; a.count < taken && now_ms() < end; (void)sched_yield())
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(a.count, taken);
    assert_true(password_check(c, "no hash", STR_LIT("x"), count_answer, &a));
    password_client_free(c);
    password_worker_stop(w);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_gives_its_users),
        cmocka_unit_test(a_bad_file_is_refused_with_its_cause),
        cmocka_unit_test(an_issued_token_verifies_until_it_expires),
        cmocka_unit_test(only_hs256_for_our_audience_is_taken),
        cmocka_unit_test(passwords_are_checked_off_the_loop),
        cmocka_unit_test(every_check_that_is_taken_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
