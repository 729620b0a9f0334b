// How answers of DNS are kept, what is done while it fails, and what odd answers do: nothing.
#include "tests/unit/resolve_world.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// ---- time

static void asks_again_when_the_ttl_ends_and_tells_of_a_change(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"r.test", "A", 60, "192.0.2.2"}, );
    w->server.negative_ttl = 3600;
    (void)world_host(w, "r.test");
    unsigned asked = w->server.asked;
    (void)world_host(w, "r.test");
    assert_int_equal(w->server.asked, asked);
    world_tick(w, 59);
    assert_int_equal(w->server.asked, asked);
    world_tick(w, 2);
    world_settle(w, asked + 1);
    assert_int_equal(w->changes, 0);
    static const struct name_record after[] = {{"r.test", "A", 60, "192.0.2.2"},
                                               {"r.test", "A", 60, "192.0.2.3"}};
    world_serve(w, after, 2);
    world_tick(w, 61);
    world_settle(w, asked + 2);
    assert_int_equal(w->changes, 1);
    assert_int_equal(resolver_stats(w->resolver).changes, 1);
    assert_non_null(strstr(w->changed, "key udp:192.0.2."));
    assert_non_null(strstr(w->changed, "192.0.2.3"));
    assert_null(strstr(w->changed, "192.0.2.1:"));
}

static void asks_each_time_where_the_ttl_is_0(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 0, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    unsigned asked = w->server.asked_by_type[1];
    world_find(w, &q);
    assert_int_equal(w->server.asked_by_type[1], asked + 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void makes_one_question_of_many(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 0, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    for (unsigned i = 0; i < 10000; i++) {
        q.affinity = i;
        assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
    }
    world_wait(w, 10000);
    assert_int_equal(w->server.asked, 2); // A and AAAA
}

static void forgets_what_nobody_uses_for_two_hours(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 3000, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    unsigned asked = w->server.asked_by_type[1];
    world_tick(w, 3001);
    world_settle(w, 2 * asked);
    world_tick(w, 3001); // in use within the last two hours
    world_settle(w, 3 * asked);
    for (int i = 0; i < 4; i++) {
        world_tick(w, 3001);
        world_settle(w, 0);
    }
    assert_int_equal(w->server.asked_by_type[1], asked + 2);
    assert_int_equal(resolver_stats(w->resolver).names, 0);
}

static void believes_that_there_is_no_such_name_for_a_while(void **state)
{
    struct world *w = *state;
    w->server.negative_ttl = 20;
    (void)world_host(w, "none.test");
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "no address for none.test");
    unsigned asked = w->server.asked;
    (void)world_host(w, "none.test");
    world_tick(w, 19);
    (void)world_host(w, "none.test");
    assert_int_equal(w->server.asked, asked);
    world_tick(w, 2);
    SERVE(w, {"none.test", "A", 60, "192.0.2.1"}, );
    assert_string_equal(world_host(w, "none.test"), "udp:192.0.2.1:5060");
}

// ---- DNS that fails

static void uses_the_last_answer_on_while_dns_fails(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    (void)world_host(w, "r.test");
    w->server.code = 2; // SERVFAIL
    world_tick(w, 61);
    world_settle(w, w->server.asked + 1);
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
    assert_non_null(strstr(w->cause, "what they said last is used on"));
    assert_int_equal(resolver_stats(w->resolver).stale, 1);
    assert_true(resolver_stats(w->resolver).failures > 0);
    world_tick(w, 3000);
    world_settle(w, 0);
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
    world_tick(w, 700); // more than an hour after it ended
    (void)world_host(w, "r.test");
    assert_int_equal(w->count, 0);
    assert_non_null(strstr(w->cause, "the DNS servers do not answer for"));
    w->server.code = 0;
    world_tick(w, 11);
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
    assert_string_equal(w->cause, "");
    assert_int_equal(w->changes, 0);
    assert_int_equal(resolver_stats(w->resolver).stale, 0);
    assert_int_equal(resolver_stats(w->resolver).names, 1);
}

static void loses_patience_with_silent_servers(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    w->server.silent = true;
    world_pass(61000000);
    struct resolve_request *r = resolver_find(w->resolver, &q, world_answer, w);
    assert_non_null(r);
    unsigned before = w->answers;
    world_tick(w, 1);
    assert_int_equal(w->answers, before);
    world_tick(w, 1);
    assert_int_equal(w->answers, before + 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
    assert_null(resolver_find(w->resolver, &q, world_answer, w)); // nobody else waits
    for (int i = 0; i < 3; i++) {                                 // nor later, while it goes on
        world_pass(11000000);
        assert_null(resolver_find(w->resolver, &q, world_answer, w));
        assert_string_equal(w->text, "udp:192.0.2.1:5060");
        world_settle(w, w->server.asked);
    }
    w->server.silent = false;
}

static void gives_up_on_servers_that_never_answer(void **state)
{
    struct world *w = *state;
    w->server.silent = true;
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
    world_settle(w, 1);
    world_pass(9000000);
    world_wait(w, 1);
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "the DNS servers do not answer for r.test");
    unsigned asked = w->server.asked;
    world_find(w, &q); // known for some seconds
    assert_int_equal(w->server.asked, asked);
}

static void says_at_once_that_no_server_listens(void **state)
{
    struct world *w = *state;
    FILE *f = fopen(w->server.resolv_conf, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "nameserver 127.0.0.1\nport 9\n") > 0); // discard: closed
    assert_int_equal(fclose(f), 0);
    resolver_reload(w->resolver);
    uint64_t began = clock_monotonic_us();
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_string_equal(w->cause, "the DNS servers do not answer for r.test");
    assert_true(clock_monotonic_us() - began < 900000);
}

static void asks_the_second_server_where_the_first_is_closed(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    world_servers(w, "127.0.0.2", "127.0.0.1");
    resolver_reload(w->resolver);
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
}

// Two servers at one port: the first fails, whatever it is asked.
static void asks_the_second_server_where_the_first_fails(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct name_server broken;
    name_server_open(&broken, w->base, NULL, 0);
    broken.code = 2;
    world_servers(w, "127.0.0.3", "127.0.0.1");
    name_server_move(&broken, "127.0.0.3", w->server.port);
    resolver_reload(w->resolver);
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
    assert_true(broken.asked > 0);
    w->server.code = 5; // REFUSED, by the other
    struct resolve_query none = world_query("other.test", TRANSPORT_UDP);
    none.port = 5060;
    unsigned asked = w->server.asked + broken.asked;
    uint64_t began = clock_monotonic_us();
    world_find(w, &none);
    assert_int_equal(w->count, 0);
    assert_true(clock_monotonic_us() - began < 1000000);
    while (clock_monotonic_us() - began < 700000) // no storm of questions
        assert_int_not_equal(event_base_loop(w->base, EVLOOP_ONCE), -1);
    assert_true(w->server.asked + broken.asked <= asked + 12);
    name_server_close(&broken);
}

static void survives_fewer_servers_while_a_question_is_repeated(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"other.test", "A", 60, "192.0.2.2"}, );
    world_servers(w, "127.0.0.1", "127.0.0.1");
    w->server.silent = true;
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP),
                         other = world_query("other.test", TRANSPORT_UDP);
    q.port = other.port = 5060;
    assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
    world_settle(w, 4); // A and AAAA, and once more by the second server
    world_servers(w, "127.0.0.1", NULL);
    w->server.silent = false;
    world_pass(3000000);
    assert_non_null(resolver_find(w->resolver, &other, world_answer, w)); // with it the file is looked at
    world_wait(w, 2);
    world_find(w, &other);
    assert_string_equal(w->text, "udp:192.0.2.2:5060");
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void keeps_a_question_over_a_reload(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
    resolver_reload(w->resolver);
    world_wait(w, 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void never_answers_what_was_cancelled(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    struct resolve_request *first = resolver_find(w->resolver, &q, world_answer, w);
    assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
    struct resolve_request *last = resolver_find(w->resolver, &q, world_answer, w);
    resolve_cancel(first);
    resolve_cancel(last);
    resolve_cancel(NULL);
    world_wait(w, 1);
    world_settle(w, 0);
    assert_int_equal(w->answers, 1);
}

// ---- odd answers

static void fetches_by_tcp_what_was_cut(void **state)
{
    struct world *w = *state;
    static struct name_record many[40];
    static char names[40][32], data[40][64];
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(data[i], sizeof(data[i]), "10 1 5060 host%zu.r.test", i);
        (void)snprintf(names[i], sizeof(names[i]), "host%zu.r.test", i);
        many[i] = (struct name_record){"_sip._tcp.r.test", "SRV", 60, data[i]};
    }
    world_serve(w, many, 40);
    world_hosts(w, "192.0.2.1 host0.r.test\n192.0.2.2 host31.r.test\n");
    world_tick(w, 1);
    w->server.truncate = true;
    (void)world_given(w, "r.test", TRANSPORT_TCP);
    assert_int_equal(w->count, 2);
    assert_true(w->server.asked_tcp >= 1);
}

static void bounds_how_many_targets_it_takes(void **state)
{
    struct world *w = *state;
    static struct name_record many[300];
    static char data[300][32];
    for (size_t i = 0; i < 300; i++) {
        (void)snprintf(data[i], sizeof(data[i]), "10.0.%zu.%zu", i / 250, i % 250 + 1);
        many[i] = (struct name_record){"r.test", "A", 60, data[i]};
    }
    world_serve(w, many, 300);
    w->server.truncate = true;
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_int_equal(w->count, 64);
}

static void asks_without_edns_where_it_is_not_known(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    FILE *f = fopen(w->server.resolv_conf, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "nameserver 127.0.0.1\nport %u\noptions edns0\n", w->server.port) > 0);
    assert_int_equal(fclose(f), 0);
    resolver_reload(w->resolver);
    w->server.no_edns = true;
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
}

// What each does to the question for A of r.test: no answer, no harm.
static void is_not_harmed_by_malformed_answers(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        unsigned answers;
    } cases[] = {
#define CASE(text, answers) {text, sizeof(text) - 1, answers}
        CASE("\xc0\x18\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 1),     // a name that is itself
        CASE("\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x24", 1),       // an alias that is itself
        CASE("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0", 1),         // cut in the address
        CASE("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\xc0\0\2\1\0", 1),   // five bytes of address
        CASE("\xc0\x0c\0\1\0\1\0\0\0\x3c\xff\xff\xc0\0\2\1", 1), // a length beyond the end
        CASE("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 9),     // fewer than announced
        CASE("\x3f"
             "aa",
             1), // a label beyond the end
        CASE("", 65535),
    };
    struct world *w = *state;
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    for (size_t i = 0; i < COUNT(cases); i++) {
        w->server.raw = (const uint8_t *)cases[i].bytes;
        w->server.raw_bytes = cases[i].count;
        w->server.raw_answers = cases[i].answers;
        unsigned before = w->answers, asked = w->server.asked;
        world_pass(400000000); // what the one before left is forgotten
        assert_non_null(resolver_find(w->resolver, &q, world_answer, w));
        world_settle(w, asked + 1);
        world_pass(9000000);
        world_wait(w, before + 1);
        assert_int_equal(w->count, 0);
    }
    w->server.raw = NULL;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    world_pass(400000000);
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void believes_only_what_is_of_the_name_it_asked_for(void **state)
{
    struct world *w = *state;
    // An A of another name, and one of r.test.
    static const char raw[] = "\5other\4test\0\0\1\0\1\0\0\0\x3c\0\4\xc6\x33\x64\1"
                              "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    w->server.raw = (const uint8_t *)raw;
    w->server.raw_bytes = sizeof(raw) - 1;
    w->server.raw_answers = 2;
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void an_answer_to_another_question_is_none(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    w->server.other_name = true;
    world_find(w, &q);
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "the DNS servers do not answer for r.test");
    w->server.other_name = false;
    world_pass(400000000);
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

// A server that knows no SRV has no SRV records, whatever it adds.
static void a_refusal_brings_no_records(void **state)
{
    struct world *w = *state;
    static const char raw[] = "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x12\0\1\0\1\x13\xc4"
                              "\3"
                              "192"
                              "\1"
                              "0"
                              "\1"
                              "2"
                              "\2"
                              "66\0";
    w->server.raw = (const uint8_t *)raw;
    w->server.raw_bytes = sizeof(raw) - 1;
    w->server.raw_answers = 1;
    (void)world_host(w, "r.test");
    assert_string_equal(w->text, "udp:192.0.2.66:5060"); // as an answer it is one
    world_pass(400000000);
    w->server.code = 4; // NOTIMP
    (void)world_host(w, "s.test");
    assert_int_equal(w->count, 0);
}

static void refuses_what_is_no_name(void **state)
{
    static const char *const names[] = {
        "",    ".",   "a..b",  ".a",
        "a b", "a/b", "[::1]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"};
    struct world *w = *state;
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)world_host(w, names[i]);
        assert_int_equal(w->count, 0);
        assert_string_equal(w->cause, "the host is neither a name nor a number");
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 50; i < sizeof(longest); i += 50)
        longest[i] = '.';
    longest[254] = '\0';
    (void)world_host(w, longest);
    assert_string_equal(w->cause, "the host is neither a name nor a number");
    longest[250] = '\0'; // with _sip._udp. in front of it it is too long
    (void)world_host(w, longest);
    assert_int_equal(w->count, 0);
    (void)world_given(w, "r.test", TRANSPORT_WS);
    assert_string_equal(w->cause, "WebSocket is not spoken here");
    assert_true(w->server.asked <= 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    static const struct CMUnitTest tests[] = {
        T(asks_again_when_the_ttl_ends_and_tells_of_a_change),
        T(asks_each_time_where_the_ttl_is_0),
        T(makes_one_question_of_many),
        T(forgets_what_nobody_uses_for_two_hours),
        T(believes_that_there_is_no_such_name_for_a_while),
        T(uses_the_last_answer_on_while_dns_fails),
        T(loses_patience_with_silent_servers),
        T(gives_up_on_servers_that_never_answer),
        T(says_at_once_that_no_server_listens),
        T(asks_the_second_server_where_the_first_is_closed),
        T(asks_the_second_server_where_the_first_fails),
        T(survives_fewer_servers_while_a_question_is_repeated),
        T(keeps_a_question_over_a_reload),
        T(never_answers_what_was_cancelled),
        T(fetches_by_tcp_what_was_cut),
        T(bounds_how_many_targets_it_takes),
        T(asks_without_edns_where_it_is_not_known),
        T(is_not_harmed_by_malformed_answers),
        T(believes_only_what_is_of_the_name_it_asked_for),
        T(an_answer_to_another_question_is_none),
        T(a_refusal_brings_no_records),
        T(refuses_what_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
