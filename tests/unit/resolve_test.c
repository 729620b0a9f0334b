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
    static const struct name_record after[] = {{"r.test", "A", 60, "192.0.2.2"}, {"r.test", "A", 60, "192.0.2.3"}};
    serve(w, after, 2);
    tick(w, 61);
    settle(w, asked + 2);
    assert_int_equal(w->changes, 1);
    assert_non_null(strstr(w->changed, "key udp:192.0.2."));
    assert_non_null(strstr(w->changed, "192.0.2.3"));
    assert_null(strstr(w->changed, "192.0.2.1:"));
}

static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    T(takes_numbers_as_they_are),       T(asks_for_addresses_alone_where_a_port_is_given),
    T(looks_into_the_hosts_file_first), T(falls_to_the_address_where_there_is_neither_naptr_nor_srv),
    T(follows_srv_by_priority),         T(chooses_by_naptr),
    T(asks_again_when_the_ttl_ends_and_tells_of_a_change),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
