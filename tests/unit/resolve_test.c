// Where next hops lead (RFC 3263): numbers, ports, NAPTR, SRV, families; what is set aside; who gets which.
#include "tests/unit/resolve_world.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// ---- numbers, ports, hosts

static void takes_numbers_as_they_are(void **state)
{
    struct world *w = *state;
    assert_string_equal(world_host(w, "192.0.2.7"), "udp:192.0.2.7:5060");
    assert_string_equal(world_host(w, "2001:db8::7"), "udp:[2001:db8::7]:5060");
    assert_string_equal(world_given(w, "192.0.2.7", TRANSPORT_TLS), "tls:192.0.2.7:5061");
    struct resolve_query q = world_query("192.0.2.7", TRANSPORT_UDP);
    q.sips = true;
    world_find(w, &q);
    assert_string_equal(w->text, "tls:192.0.2.7:5061");
    q = world_query("192.0.2.7", TRANSPORT_TCP);
    q.port = 5070;
    world_find(w, &q);
    assert_string_equal(w->text, "tcp:192.0.2.7:5070");
    assert_int_equal(w->server.asked, 0);
}

static void asks_for_addresses_alone_where_a_port_is_given(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"_sip._udp.r.test", "SRV", 60, "1 1 5999 other.test"},
          {"other.test", "A", 60, "192.0.2.9"}, );
    struct resolve_query q = world_query("R.Test.", TRANSPORT_UDP);
    q.port = 5065;
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5065");
    assert_int_equal(w->server.asked_by_type[33], 0);
    assert_int_equal(w->server.asked_by_type[35], 0);
}

static void looks_into_the_hosts_file_first(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, );
    world_hosts(w, "192.0.2.20 R.test alias # more\n2001:db8::20 r.test\n192.0.2.21\tr.test\n");
    world_tick(w, 1);
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->server.asked, 0);
    assert_non_null(strstr(w->text, " udp:[2001:db8::20]:5060")); // IPv4 comes first
    world_hosts(w, "192.0.2.22 r.test\n");
    world_tick(w, 1);
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.22:5060");
}

static void falls_to_the_address_where_there_is_neither_naptr_nor_srv(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "A", 60, "192.0.2.1"}, {"r.test", "AAAA", 60, "2001:db8::1"}, );
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060 udp:[2001:db8::1]:5060");
    assert_string_equal(world_given(w, "r.test", TRANSPORT_TLS), "tls:192.0.2.1:5061 tls:[2001:db8::1]:5061");
}

static void follows_srv_by_priority(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._tcp.r.test", "SRV", 60, "20 1 5062 b.test"},
          {"_sip._tcp.r.test", "SRV", 60, "10 1 5061 a.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"b.test", "A", 60, "192.0.2.2"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_TCP);
    q.transport_given = true;
    for (q.affinity = 1; q.affinity <= 10; q.affinity++) { // whoever asks
        world_find(w, &q);
        assert_string_equal(w->text, "tcp:192.0.2.1:5061 tcp:192.0.2.2:5062");
    }
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
    assert_string_equal(world_host(w, "r.test"), "tcp:192.0.2.1:5070 udp:192.0.2.1:5071");
}

// ---- RFC 3263

static void takes_tls_alone_for_sips(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "10 10 s SIP+D2U _sip._udp.r.test"},
          {"r.test", "NAPTR", 60, "20 10 s SIPS+D2T _sips._tcp.r.test"},
          {"_sip._udp.r.test", "SRV", 60, "0 0 5060 a.test"},
          {"_sips._tcp.r.test", "SRV", 60, "0 0 5071 a.test"}, {"a.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.sips = true;
    world_find(w, &q);
    assert_string_equal(w->text, "tls:192.0.2.1:5071");
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
}

static void keeps_to_a_transport_that_was_chosen(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "10 10 s SIP+D2U _sip._udp.r.test"},
          {"r.test", "NAPTR", 60, "20 10 s SIP+D2T _x.r.test"},
          {"_sip._udp.r.test", "SRV", 60, "0 0 5060 a.test"}, {"_x.r.test", "SRV", 60, "0 0 5072 a.test"},
          {"a.test", "A", 60, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_TCP);
    world_find(w, &q);
    assert_string_equal(w->text, "tcp:192.0.2.1:5072");
}

static void takes_the_transport_that_has_srv_where_none_was_chosen(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._tcp.r.test", "SRV", 60, "0 0 5073 a.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"r.test", "A", 60, "192.0.2.9"}, );
    assert_string_equal(world_host(w, "r.test"), "tcp:192.0.2.1:5073");
    assert_string_equal(world_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.9:5060");
}

static void ignores_naptr_that_is_of_no_use(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "NAPTR", 60, "1 1 u SIP+D2U _u.r.test"},
          {"r.test", "NAPTR", 60, "1 1 s SIP+D2S _s.r.test"}, {"r.test", "NAPTR", 60, "1 1 s SIP+D2U ."},
          {"_u.r.test", "SRV", 60, "0 0 5999 a.test"}, {"r.test", "A", 60, "192.0.2.1"}, );
    assert_string_equal(world_host(w, "r.test"), "udp:192.0.2.1:5060");
}

static void says_that_a_service_is_not_offered(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._udp.r.test", "SRV", 60, "0 0 0 ."}, {"r.test", "A", 60, "192.0.2.1"}, );
    (void)world_given(w, "r.test", TRANSPORT_UDP);
    assert_int_equal(w->count, 0);
    assert_string_equal(w->cause, "r.test does not offer this service (SRV)");
}

static void follows_aliases_for_the_least_of_their_ttls(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "CNAME", 30, "b.test"}, {"b.test", "CNAME", 300, "c.test"},
          {"c.test", "A", 300, "192.0.2.1"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    w->server.negative_ttl = 3600;
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
    unsigned asked = w->server.asked_by_type[1];
    world_tick(w, 31);
    world_find(w, &q);
    assert_int_equal(w->server.asked_by_type[1], asked + 1);
}

static void asks_for_an_alias_that_the_server_does_not_follow(void **state)
{
    struct world *w = *state;
    // In this order the server gives the alias alone.
    SERVE(w, {"b.test", "A", 300, "192.0.2.1"}, {"r.test", "CNAME", 30, "b.test"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
    assert_string_equal(w->text, "udp:192.0.2.1:5060");
}

static void ends_a_circle_of_aliases(void **state)
{
    struct world *w = *state;
    SERVE(w, {"r.test", "CNAME", 30, "b.test"}, {"b.test", "CNAME", 30, "r.test"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.port = 5060;
    world_find(w, &q);
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
                                .now_us = world_now_us};
    resolver_free(w->resolver);
    assert_int_equal(resolver_new(&p, &w->resolver, NULL), 0);
    assert_string_equal(world_host(w, "r.test"), "udp:[2001:db8::1]:5060");
    assert_int_equal(w->server.asked_by_type[1], 0);
    (void)world_host(w, "192.0.2.1");
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
    assert_string_equal(world_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    assert_int_equal(w->usable, 2);
    resolver_set_aside(w->resolver, &a, 30);
    assert_string_equal(world_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.2:5060 udp:192.0.2.1:5060");
    assert_int_equal(w->usable, 1);
    resolver_set_aside(w->resolver, &b, 40);
    (void)world_given(w, "r.test", TRANSPORT_UDP);
    assert_int_equal(w->usable, 0);
    assert_int_equal(w->count, 2);
    world_pass(31000000);
    assert_string_equal(world_given(w, "r.test", TRANSPORT_UDP), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    resolver_set_aside(w->resolver, &a, 30);
    resolver_take_back(w->resolver, &a);
    resolver_take_back(w->resolver, &b);
    (void)world_given(w, "r.test", TRANSPORT_UDP);
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
    struct resolve_query q = world_query("192.0.2.1", TRANSPORT_UDP);
    q.port = 5999;
    world_find(w, &q);
    assert_int_equal(w->usable, 0);
    q.port = 1; // would have been over first
    world_find(w, &q);
    assert_int_equal(w->usable, 1);
}

// ---- affinity

static void keeps_each_affinity_to_its_target(void **state)
{
    struct world *w = *state;
    SERVE(w, {"_sip._udp.r.test", "SRV", 60, "1 30 5060 a.test"},
          {"_sip._udp.r.test", "SRV", 60, "1 70 5060 b.test"}, {"a.test", "A", 60, "192.0.2.1"},
          {"b.test", "A", 60, "192.0.2.2"}, );
    struct resolve_query q = world_query("r.test", TRANSPORT_UDP);
    q.transport_given = true;
    char first[100][sizeof(w->text)];
    unsigned second = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 100; i++) {
            q.affinity = i;
            world_find(w, &q);
            if (round)
                assert_string_equal(first[i], w->text);
            (void)snprintf(first[i], sizeof(first[i]), "%s", w->text);
            second += strncmp(w->text, "udp:192.0.2.2", 13) == 0;
        }
        world_tick(w, 61);
    }
    assert_in_range(second / 2, 50, 90);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    static const struct CMUnitTest tests[] = {
        T(takes_numbers_as_they_are),
        T(asks_for_addresses_alone_where_a_port_is_given),
        T(looks_into_the_hosts_file_first),
        T(falls_to_the_address_where_there_is_neither_naptr_nor_srv),
        T(follows_srv_by_priority),
        T(chooses_by_naptr),
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
        T(keeps_each_affinity_to_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
