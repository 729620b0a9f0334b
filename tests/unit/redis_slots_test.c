// Slots and redirections of a cluster, and every form of the URL. The slots are what a real Redis 7 answers
// to CLUSTER KEYSLOT.
#include "common/base/base.h"
#include "common/redis/slots.h"
#include "common/redis/url.h"
#include "tests/unit/peer.h"

static void a_key_is_in_the_slot_of_its_tag(void **state)
{
    assert_int_equal(redis_slot(STR_LIT("123456789")), 12739);
    assert_int_equal(redis_slot(STR_LIT("rc:{g}:seq")), 7233);
    assert_int_equal(redis_slot(STR_LIT("{g}")), 7233);
    assert_int_equal(redis_slot(STR_LIT("rc:{s5}:reg:1")), 15356);
    assert_int_equal(redis_slot(STR_LIT("a{b}{c}")), redis_slot(STR_LIT("b")));
    assert_int_equal(redis_slot(STR_LIT("a{{b}c}")), redis_slot(STR_LIT("{b")));
    assert_int_not_equal(redis_slot(STR_LIT("a{}b")), redis_slot(STR_LIT(""))); // an empty tag is none
    assert_int_not_equal(redis_slot(STR_LIT("a{b")), redis_slot(STR_LIT("b")));
    assert_int_equal(redis_slot(STR_NONE), 0);
}

static void redirections_are_read_and_nothing_else_is_one(void **state)
{
    struct redis_redirection to;
    assert_true(redis_redirection_read(STR_LIT("MOVED 3999 127.0.0.1:6381"), &to));
    assert_false(to.ask);
    assert_int_equal(to.slot, 3999);
    assert_true(str_eq_cstr(to.host, "127.0.0.1"));
    assert_int_equal(to.port, 6381);
    assert_true(redis_redirection_read(STR_LIT("ASK 0 2001:db8::1:7000"), &to));
    assert_true(to.ask);
    assert_true(str_eq_cstr(to.host, "2001:db8::1"));
    assert_true(redis_redirection_read(STR_LIT("MOVED 1 :7000"), &to)); // the host that says so
    assert_int_equal(to.host.n, 0);
    static const char *const others[] = {"",
                                         "MOVED",
                                         "MOVED 1",
                                         "MOVED 1 h",
                                         "MOVED 1 h:",
                                         "MOVED 1 h:0",
                                         "MOVED 1 h:65536",
                                         "MOVED 16384 h:1",
                                         "MOVED x h:1",
                                         "MOVE 1 h:1",
                                         "MOVED -1 h:1",
                                         "CLUSTERDOWN The cluster is down"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(redis_redirection_read(str_of(others[i]), &to));
}

static void a_url_names_sentinels_and_their_master(void **state)
{
    struct redis_url u;
    struct error err;
    assert_int_equal(
        redis_url_parse(STR_LIT("redis-sentinel://me:p%40ss@one,two:5000,[::1]:5001/my%2Fmaster/3"), &u,
                        &err),
        0);
    assert_int_equal(u.kind, REDIS_SENTINEL);
    assert_false(u.tls);
    assert_int_equal(u.address_count, 3);
    assert_string_equal(u.addresses[0].host, "one");
    assert_int_equal(u.addresses[0].port, 26379);
    assert_int_equal(u.addresses[1].port, 5000);
    assert_string_equal(u.addresses[2].host, "::1");
    assert_string_equal(u.master, "my/master");
    assert_string_equal(u.user, "me");
    assert_string_equal(u.password, "p@ss");
    assert_int_equal(u.db, 3);
    redis_url_done(&u);
}

static void a_url_names_nodes_of_a_cluster_and_tls(void **state)
{
    struct redis_url u;
    struct error err;
    assert_int_equal(redis_url_parse(STR_LIT("rediss-cluster://a:1,b"), &u, &err), 0);
    assert_int_equal(u.kind, REDIS_CLUSTER);
    assert_true(u.tls);
    assert_int_equal(u.address_count, 2);
    assert_int_equal(u.addresses[1].port, 6379);
    redis_url_done(&u);
    assert_int_equal(redis_url_parse(STR_LIT("rediss://h"), &u, &err), 0);
    assert_int_equal(u.kind, REDIS_ONE);
    assert_true(u.tls);
    redis_url_done(&u);
}

static void what_is_no_url_is_refused_with_a_sentence(void **state)
{
    static const char *const bad[] = {
        "redis-sentinel://h",     "redis-sentinel://h/",    "redis-sentinel:///m",
        "redis-sentinel://h/m/x", "redis-sentinel://h:0/m", "redis-cluster://",
        "redis-cluster://a,,b",   "redis-cluster://a/1",    "redis-cluster://a:b:c",
        "redis-sentinel://h/%zz", "redisscluster://a",      "redis-sentinel://u:%4@h/m"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct redis_url u;
        struct error err = {0};
        if (redis_url_parse(str_of(bad[i]), &u, &err) != -EINVAL)
            fail_msg("%s", bad[i]);
        assert_true(err.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_in_the_slot_of_its_tag),
        cmocka_unit_test(redirections_are_read_and_nothing_else_is_one),
        cmocka_unit_test(a_url_names_sentinels_and_their_master),
        cmocka_unit_test(a_url_names_nodes_of_a_cluster_and_tls),
        cmocka_unit_test(what_is_no_url_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
