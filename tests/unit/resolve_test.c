// Where next hops lead (RFC 3263), over real sockets to a name server of the test's own; time is the test's.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/registrant/resolve/resolve.h"
#include "tests/unit/name_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECORDS(...)                                                                                         \
    (const struct name_record[])                                                                             \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct world {
    struct event_base *base;
    struct name_server server;
    struct resolver *resolver;
    char hosts[64];
    char text[4096]; // of the last answer: targets, or the cause
    char cause[256];
    size_t count, usable;
    unsigned answers;
    char changed[1024];
    unsigned changes;
};

static uint64_t ahead_us; // of the clock

static uint64_t now_us(void)
{
    return clock_monotonic_us() + ahead_us;
}

static void write_targets(char *out, size_t size, const struct resolve_target *t, size_t count)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&b, ' ');
        address_add_with(&b, t[i].transport, &t[i].address);
    }
    (void)snprintf(out, size, STR_FMT, STR_ARG(buf_str(&b)));
    buf_done(&b);
}

static void on_answer(void *arg, const struct resolve_answer *a)
{
    struct world *w = arg;
    w->answers++;
    w->count = a->count;
    w->usable = a->usable;
    (void)snprintf(w->cause, sizeof(w->cause), "%s", a->cause ? a->cause : "");
    write_targets(w->text, sizeof(w->text), a->targets, a->count);
}

static void on_changed(void *arg, struct str registrar, const struct resolve_target *targets, size_t count)
{
    struct world *w = arg;
    w->changes++;
    char list[900];
    write_targets(list, sizeof(list), targets, count);
    (void)snprintf(w->changed, sizeof(w->changed), STR_FMT " %s", STR_ARG(registrar), list);
}

static void make_resolver(struct world *w)
{
    struct resolver_params p = {.base = w->base,
                                .resolv_conf = w->server.resolv_conf,
                                .hosts_file = w->hosts,
                                .ipv4 = true,
                                .ipv6 = true,
                                .tls = true,
                                .changed = on_changed,
                                .arg = w,
                                .now_us = now_us};
    assert_int_equal(resolver_new(&p, &w->resolver, NULL), 0);
}

static void write_hosts(struct world *w, const char *text)
{
    FILE *f = fopen(w->hosts, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int open_world(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));
    ahead_us = 0;
    w->base = event_base_new();
    assert_non_null(w->base);
    name_server_open(&w->server, w->base, NULL, 0);
    (void)snprintf(w->hosts, sizeof(w->hosts), "/tmp/rollcall-hosts-XXXXXX");
    int fd = mkstemp(w->hosts);
    assert_true(fd >= 0);
    (void)close(fd);
    make_resolver(w);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    resolver_free(w->resolver);
    name_server_close(&w->server);
    event_base_free(w->base);
    (void)unlink(w->hosts);
    free(w);
    return 0;
}

static void serve(struct world *w, const struct name_record *records, size_t count)
{
    w->server.records = records;
    w->server.count = count;
}
#define SERVE(w, ...)                                                                                        \
    static const struct name_record served[] = {__VA_ARGS__};                                                \
    serve(w, served, COUNT(served))

// Runs the loop until that many answers are there.
static void wait_answers(struct world *w, unsigned answers)
{
    uint64_t until = clock_monotonic_us() + 20000000;
    while (w->answers < answers && clock_monotonic_us() < until)
        assert_int_not_equal(event_base_loop(w->base, EVLOOP_ONCE), -1);
    assert_true(w->answers >= answers);
}

static void find_query(struct world *w, const struct resolve_query *q)
{
    unsigned before = w->answers;
    struct resolve_request *r = resolver_find(w->resolver, q, on_answer, w);
    assert_int_equal(w->answers - before, r ? 0 : 1);
    wait_answers(w, before + 1);
}

static struct resolve_query query(const char *host, enum registration_transport transport)
{
    return (struct resolve_query){.host = str_of(host), .transport = transport, .registrar = STR_LIT("key")};
}

// The targets of a host without port and transport parameter, as text.
static const char *find(struct world *w, const char *host)
{
    struct resolve_query q = query(host, TRANSPORT_UDP);
    find_query(w, &q);
    return w->text;
}

static const char *find_given(struct world *w, const char *host, enum registration_transport transport)
{
    struct resolve_query q = query(host, transport);
    q.transport_given = true;
    find_query(w, &q);
    return w->text;
}

static void tick(struct world *w, uint64_t seconds)
{
    ahead_us += seconds * 1000000;
    resolver_tick(w->resolver);
}

// Lets the loop run what is ready, for a moment.
static void settle(struct world *w, unsigned asked)
{
    uint64_t until = clock_monotonic_us() + 5000000;
    while (w->server.asked < asked && clock_monotonic_us() < until)
        (void)event_base_loop(w->base, EVLOOP_ONCE);
    for (int i = 0; i < 20; i++)
        (void)event_base_loop(w->base, EVLOOP_NONBLOCK);
    assert_true(w->server.asked >= asked);
}

// ---- numbers, ports, hosts

static void takes_numbers_as_they_are(void **state)
{
    struct world *w = *state;
    assert_string_equal(find(w, "192.0.2.7"), "udp:192.0.2.7:5060");
    assert_string_equal(find(w, "2001:db8::7"), "udp:[2001:db8::7]:5060");
    assert_string_equal(find_given(w, "192.0.2.7", TRANSPORT_TLS), "tls:192.0.2.7:5061");
    struct resolve_query q = query("192.0.2.7", TRANSPORT_UDP);
    q.sips = true;
    find_query(w, &q);
    assert_string_equal(w->text, "tls:192.0.2.7:5061");
    q = query("192.0.2.7", TRANSPORT_TCP);
    q.port = 5070;
    find_query(w, &q);
    assert_string_equal(w->text, "tcp:192.0.2.7:5070");
    assert_int_equal(w->server.asked, 0);
}

static void asks_for_addresses_alone_where_a_port_is_given(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"_sip._udp.r.test", "SRV", 60, "1 1 5999 other.test"},
          {"other.test", "A", 60, "192.0.2.9"}, );
    struct resolve_query q = query("R.Test.", TRANSPORT_UDP);
    q.port = 5065;
    find_query(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5065");
    assert_int_equal(w->server.asked_by_type[33], 0);
    assert_int_equal(w->server.asked_by_type[35], 0);
}

static void looks_into_the_hosts_file_first(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    write_hosts(w, "192.0.2.20 R.test alias # more\n2001:db8::20 r.test\n192.0.2.21\tr.test\n");
    tick(w, 1);
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->server.asked, 0);
    assert_non_null(strstr(w->text, " udp:[2001:db8::20]:5060")); // IPv4 comes first
    write_hosts(w, "192.0.2.22 r.test\n");
    tick(w, 1);
    find_query(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.22:5060");
}

static void falls_to_the_address_where_there_is_neither_naptr_nor_srv(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"r.test", "AAAA", 60, "2001:db8::1"}, );
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060 udp:[2001:db8::1]:5060");
    assert_string_equal(find_given(w, "r.test", TRANSPORT_TLS), "tls:192.0.2.1:5061 tls:[2001:db8::1]:5061");
}

static void follows_srv_by_priority(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._tcp.r.test", "SRV", 60, "20 1 5062 b.test"},
          {"_sip._tcp.r.test", "SRV", 60, "10 1 5061 a.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"b.test", "A", 60, "192.0.2.2"}, );
    assert_string_equal(find_given(w, "r.test", TRANSPORT_TCP), "tcp:192.0.2.1:5061 tcp:192.0.2.2:5062");
    assert_int_equal(w->server.asked_by_type[35], 0);
}

static void chooses_by_naptr(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "20 10 s SIP+D2U _sip._udp.r.test"},
          {"r.test", "NAPTR", 60, "10 20 s SIP+D2U _u.r.test"},
          {"r.test", "NAPTR", 60, "10 10 S sip+d2t _t.r.test"},
          {"r.test", "NAPTR", 60, "5 10 s SIP+D2S _sctp.r.test"}, {"_t.r.test", "SRV", 60, "0 0 5070 a.test"},
          {"_u.r.test", "SRV", 60, "0 0 5071 a.test"}, {"a.test", "A", 60, "192.0.2.1"}, );
    assert_string_equal(find(w, "r.test"), "tcp:192.0.2.1:5070 udp:192.0.2.1:5071");
}

// ---- time

static void asks_again_when_the_ttl_ends_and_tells_of_a_change(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"r.test", "A", 60, "192.0.2.2"}, );
    w->server.negative_ttl = 3600;
    (void)find(w, "r.test");
    unsigned asked = w->server.asked;
    (void)find(w, "r.test");
    assert_int_equal(w->server.asked, asked);
    tick(w, 59);
    assert_int_equal(w->server.asked, asked);
    tick(w, 2);
    settle(w, asked + 1);
    assert_int_equal(w->changes, 0);
    static const struct name_record after[] = {{"r.test", "A", 60, "192.0.2.2"},
                                               {"r.test", "A", 60, "192.0.2.3"}};
    serve(w, after, 2);
    tick(w, 61);
    settle(w, asked + 2);
    assert_int_equal(w->changes, 1);
    assert_non_null(strstr(w->changed, "key udp:192.0.2."));
    assert_non_null(strstr(w->changed, "192.0.2.3"));
    assert_null(strstr(w->changed, "192.0.2.1:"));
}

static void asks_each_time_where_the_ttl_is_0(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 0, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    unsigned asked = w->server.asked_by_type[1];
    find_query(w, &q);
    assert_int_equal(w->server.asked_by_type[1], asked + 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void makes_one_question_of_many(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 0, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    for (unsigned i = 0; i < 10000; i++) {
        q.affinity = i;
        assert_non_null(resolver_find(w->resolver, &q, on_answer, w));
    }
    wait_answers(w, 10000);
    assert_int_equal(w->server.asked, 2); // A and AAAA
}

static void forgets_what_nobody_uses_for_two_hours(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 3000, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    unsigned asked = w->server.asked_by_type[1];
    tick(w, 3001);
    settle(w, 2 * asked);
    tick(w, 3001); // in use within the last two hours
    settle(w, 3 * asked);
    for (int i = 0; i < 4; i++) {
        tick(w, 3001);
        settle(w, 0);
    }
    assert_int_equal(w->server.asked_by_type[1], asked + 2);
}

static void believes_that_there_is_no_such_name_for_a_while(void **state)
{
    struct world *w = *state;
    w->server.negative_ttl = 20;
    (void)find(w, "none.test");
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "no address for none.test");
    unsigned asked = w->server.asked;
    (void)find(w, "none.test");
    tick(w, 19);
    (void)find(w, "none.test");
    assert_int_equal(w->server.asked, asked);
    tick(w, 2);
    SERVE(w, {"none.test", "A", 60, "192.0.2.1"}, );
    assert_string_equal(find(w, "none.test"), "udp:192.0.2.1:5060");
}

// ---- DNS that fails

static void uses_the_last_answer_on_while_dns_fails(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    (void)find(w, "r.test");
    w->server.code = 2; // SERVFAIL
    tick(w, 61);
    settle(w, w->server.asked + 1);
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
    assert_non_null(strstr(w->cause, "what they said last is used on"));
    tick(w, 3000);
    settle(w, 0);
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
    tick(w, 700); // more than an hour after it ended
    (void)find(w, "r.test");
    assert_int_equal(w->count, 0);
    assert_non_null(strstr(w->cause, "the DNS servers do not answer for"));
    w->server.code = 0;
    tick(w, 11);
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
    assert_string_equal(w->cause, "");
    assert_int_equal(w->changes, 0);
}

static void loses_patience_with_silent_servers(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    w->server.silent = true;
    ahead_us += 61000000;
    struct resolve_request *r = resolver_find(w->resolver, &q, on_answer, w);
    assert_non_null(r);
    unsigned before = w->answers;
    tick(w, 1);
    assert_int_equal(w->answers, before);
    tick(w, 1);
    assert_int_equal(w->answers, before + 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
    assert_null(resolver_find(w->resolver, &q, on_answer, w)); // nobody else waits
    w->server.silent = false;
}

static void gives_up_on_servers_that_never_answer(void **state)
{
    struct world *w = *state;
    w->server.silent = true;
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    assert_non_null(resolver_find(w->resolver, &q, on_answer, w));
    settle(w, 1);
    ahead_us += 9000000;
    wait_answers(w, 1);
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "the DNS servers do not answer for r.test");
    unsigned asked = w->server.asked;
    find_query(w, &q); // known for some seconds
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
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    assert_string_equal(w->cause, "the DNS servers do not answer for r.test");
    assert_true(clock_monotonic_us() - began < 900000);
}

static void asks_the_second_server_where_the_first_is_closed(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    FILE *f = fopen(w->server.resolv_conf, "we");
    assert_non_null(f);
    assert_true(fprintf(f, "nameserver 127.0.0.2\nnameserver 127.0.0.1\nport %u\n", w->server.port) > 0);
    assert_int_equal(fclose(f), 0);
    resolver_reload(w->resolver);
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
}

static void keeps_a_question_over_a_reload(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    assert_non_null(resolver_find(w->resolver, &q, on_answer, w));
    resolver_reload(w->resolver);
    wait_answers(w, 1);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void never_answers_what_was_cancelled(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    struct resolve_request *first = resolver_find(w->resolver, &q, on_answer, w);
    assert_non_null(resolver_find(w->resolver, &q, on_answer, w));
    struct resolve_request *last = resolver_find(w->resolver, &q, on_answer, w);
    resolve_cancel(first);
    resolve_cancel(last);
    resolve_cancel(NULL);
    wait_answers(w, 1);
    settle(w, 0);
    assert_int_equal(w->answers, 1);
}

// ---- RFC 3263

static void takes_tls_alone_for_sips(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "10 10 s SIP+D2U _sip._udp.r.test"},
          {"r.test", "NAPTR", 60, "20 10 s SIPS+D2T _sips._tcp.r.test"},
          {"_sip._udp.r.test", "SRV", 60, "0 0 5060 a.test"},
          {"_sips._tcp.r.test", "SRV", 60, "0 0 5071 a.test"}, {"a.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.sips = true;
    find_query(w, &q);
    assert_string_equal(w->text, "tls:192.0.2.1:5071");
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
}

static void keeps_to_a_transport_that_was_chosen(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "10 10 s SIP+D2U _sip._udp.r.test"},
          {"r.test", "NAPTR", 60, "20 10 s SIP+D2T _x.r.test"},
          {"_sip._udp.r.test", "SRV", 60, "0 0 5060 a.test"}, {"_x.r.test", "SRV", 60, "0 0 5072 a.test"},
          {"a.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_TCP);
    find_query(w, &q);
    assert_string_equal(w->text, "tcp:192.0.2.1:5072");
}

static void takes_the_transport_that_has_srv_where_none_was_chosen(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._tcp.r.test", "SRV", 60, "0 0 5073 a.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"r.test", "A", 60, "192.0.2.9"}, );
    assert_string_equal(find(w, "r.test"), "tcp:192.0.2.1:5073");
    assert_string_equal(find_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.9:5060");
}

static void ignores_naptr_that_is_of_no_use(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "1 1 u SIP+D2U _u.r.test"},
          {"r.test", "NAPTR", 60, "1 1 s SIP+D2S _s.r.test"}, {"r.test", "NAPTR", 60, "1 1 s SIP+D2U ."},
          {"_u.r.test", "SRV", 60, "0 0 5999 a.test"}, {"r.test", "A", 60, "192.0.2.1"}, );
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
}

static void says_that_a_service_is_not_offered(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._udp.r.test", "SRV", 60, "0 0 0 ."}, {"r.test", "A", 60, "192.0.2.1"}, );
    (void)find_given(w, "r.test", TRANSPORT_UDP);
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "r.test does not offer this service (SRV)");
}

static void follows_aliases_for_the_least_of_their_ttls(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "CNAME", 30, "b.test"}, {"b.test", "CNAME", 300, "c.test"},
          {"c.test", "A", 300, "192.0.2.1"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    w->server.negative_ttl = 3600;
    find_query(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
    unsigned asked = w->server.asked_by_type[1];
    tick(w, 31);
    find_query(w, &q);
    assert_int_equal(w->server.asked_by_type[1], asked + 1);
}

static void asks_for_an_alias_that_the_server_does_not_follow(void **state)
{
    struct world *w = *state;
    // In this order the server gives the alias alone.
    SERVE(w, {"b.test", "A", 300, "192.0.2.1"}, {"r.test", "CNAME", 30, "b.test"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void ends_a_circle_of_aliases(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "CNAME", 30, "b.test"}, {"b.test", "CNAME", 30, "r.test"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    assert_int_equal(w->count, 0);
    assert_true(w->server.asked < 12);
}

static void sends_only_from_families_that_it_has(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"r.test", "AAAA", 60, "2001:db8::1"}, );
    struct resolver_params p = {.base = w->base,
                                .resolv_conf = w->server.resolv_conf,
                                .hosts_file = w->hosts,
                                .ipv6 = true,
                                .now_us = now_us};
    resolver_free(w->resolver);
    assert_int_equal(resolver_new(&p, &w->resolver, NULL), 0);
    assert_string_equal(find(w, "r.test"), "udp:[2001:db8::1]:5060");
    assert_int_equal(w->server.asked_by_type[1], 0);
    (void)find(w, "192.0.2.1");
    assert_string_equal(w->cause, "nothing is sent by IPv4 here");
}

// ---- aside

static void puts_a_target_that_failed_last(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._udp.r.test", "SRV", 60, "1 1 5060 a.test"},
          {"_sip._udp.r.test", "SRV", 60, "2 1 5060 b.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"b.test", "A", 60, "192.0.2.2"}, );
    struct resolve_target a = {.transport = TRANSPORT_UDP}, b = a, other = {.transport = TRANSPORT_TCP};
    assert_true(address_parse(STR_LIT("192.0.2.1"), 5060, &a.address));
    assert_true(address_parse(STR_LIT("192.0.2.2"), 5060, &b.address));
    other.address = a.address;
    resolver_set_aside(w->resolver, &other, 30); // by another transport it may work
    assert_string_equal(find_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    assert_int_equal(w->usable, 2);
    resolver_set_aside(w->resolver, &a, 30);
    assert_string_equal(find_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.2:5060 udp:192.0.2.1:5060");
    assert_int_equal(w->usable, 1);
    resolver_set_aside(w->resolver, &b, 40);
    (void)find_given(w, "r.test", TRANSPORT_UDP);
    assert_int_equal(w->usable, 0);
    assert_int_equal(w->count, 2);
    ahead_us += 31000000;
    assert_string_equal(find_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    resolver_set_aside(w->resolver, &a, 30);
    resolver_take_back(w->resolver, &a);
    resolver_take_back(w->resolver, &b);
    (void)find_given(w, "r.test", TRANSPORT_UDP);
    assert_int_equal(w->usable, 2);
}

static void sets_a_number_aside_too(void **state)
{
    struct world *w = *state;
    struct resolve_target a = {.transport = TRANSPORT_UDP};
    assert_true(address_parse(STR_LIT("192.0.2.1"), 5060, &a.address));
    for (uint16_t port = 1; port < 6000; port++) { // more than are remembered
        a.address.v4.sin_port = htons(port);
        resolver_set_aside(w->resolver, &a, 1000u + port);
    }
    struct resolve_query q = query("192.0.2.1", TRANSPORT_UDP);
    q.port = 5999;
    find_query(w, &q);
    assert_int_equal(w->usable, 0);
    q.port = 1; // would have been over first
    find_query(w, &q);
    assert_int_equal(w->usable, 1);
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
    serve(w, many, 40);
    write_hosts(w, "192.0.2.1 host0.r.test\n192.0.2.2 host31.r.test\n");
    tick(w, 1);
    w->server.truncate = true;
    (void)find_given(w, "r.test", TRANSPORT_TCP);
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
    serve(w, many, 300);
    w->server.truncate = true;
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
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
    assert_string_equal(find(w, "r.test"), "udp:192.0.2.1:5060");
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
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    for (size_t i = 0; i < COUNT(cases); i++) {
        w->server.raw = (const uint8_t *)cases[i].bytes;
        w->server.raw_bytes = cases[i].count;
        w->server.raw_answers = cases[i].answers;
        unsigned before = w->answers, asked = w->server.asked;
        ahead_us += 400000000; // what the one before left is forgotten
        assert_non_null(resolver_find(w->resolver, &q, on_answer, w));
        settle(w, asked + 1);
        ahead_us += 9000000;
        wait_answers(w, before + 1);
        assert_int_equal(w->count, 0);
    }
    w->server.raw = NULL;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    ahead_us += 400000000;
    find_query(w, &q);
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
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    find_query(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void refuses_what_is_no_name(void **state)
{
    static const char *const names[] = {
        "",    ".",   "a..b",  ".a",
        "a b", "a/b", "[::1]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"};
    struct world *w = *state;
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)find(w, names[i]);
        assert_int_equal(w->count, 0);
        assert_string_equal(w->cause, "the host is neither a name nor a number");
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 50; i < sizeof(longest); i += 50)
        longest[i] = '.';
    longest[254] = '\0';
    (void)find(w, longest);
    assert_string_equal(w->cause, "the host is neither a name nor a number");
    longest[250] = '\0'; // with _sip._udp. in front of it it is too long
    (void)find(w, longest);
    assert_int_equal(w->count, 0);
    (void)find_given(w, "r.test", TRANSPORT_WS);
    assert_string_equal(w->cause, "WebSocket is not spoken here");
    assert_true(w->server.asked <= 5);
}

// ---- affinity

static void keeps_each_affinity_to_its_target(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._udp.r.test", "SRV", 60, "1 30 5060 a.test"},
          {"_sip._udp.r.test", "SRV", 60, "1 70 5060 b.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"b.test", "A", 60, "192.0.2.2"}, );
    struct resolve_query q = query("r.test", TRANSPORT_UDP);
    q.transport_given = true;
    char first[100][sizeof(w->text)];
    unsigned second = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 100; i++) {
            q.affinity = i;
            find_query(w, &q);
            if (round)
                assert_string_equal(first[i], w->text);
            (void)snprintf(first[i], sizeof(first[i]), "%s", w->text);
            second += strncmp(w->text, "udp:192.0.2.2", 13) == 0;
        }
        tick(w, 61);
    }
    assert_in_range(second / 2, 50, 90);
}

static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    T(takes_numbers_as_they_are),
    T(asks_for_addresses_alone_where_a_port_is_given),
    T(looks_into_the_hosts_file_first),
    T(falls_to_the_address_where_there_is_neither_naptr_nor_srv),
    T(follows_srv_by_priority),
    T(chooses_by_naptr),
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
    T(keeps_a_question_over_a_reload),
    T(never_answers_what_was_cancelled),
    T(takes_tls_alone_for_sips),
    T(keeps_to_a_transport_that_was_chosen),
    T(takes_the_transport_that_has_srv_where_none_was_chosen),
    T(ignores_naptr_that_is_of_no_use),
    T(says_that_a_service_is_not_offered),
    T(follows_aliases_for_the_least_of_their_ttls),
    T(asks_for_an_alias_that_the_server_does_not_follow),
    T(ends_a_circle_of_aliases),
    T(sends_only_from_families_that_it_has),
    T(puts_a_target_that_failed_last),
    T(sets_a_number_aside_too),
    T(fetches_by_tcp_what_was_cut),
    T(bounds_how_many_targets_it_takes),
    T(asks_without_edns_where_it_is_not_known),
    T(is_not_harmed_by_malformed_answers),
    T(believes_only_what_is_of_the_name_it_asked_for),
    T(refuses_what_is_no_name),
    T(keeps_each_affinity_to_its_target),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
