// The order in which targets are tried: weights over many, one that asks keeps its own.
#include "common/base/hash.h"
#include "services/registrant/resolve/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AFFINITIES 10000u

static const bool none_aside[ORDER_MAX_TARGETS];

static struct candidate candidate(unsigned number, uint32_t rank, uint16_t weight)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "198.51.100.%u", number);
    struct candidate c = {.target.transport = TRANSPORT_UDP, .rank = rank, .weight = weight};
    assert_true(address_parse(str_of(text), 5060, &c.target.address));
    (void)snprintf(text, sizeof(text), "host%u.example.com", number);
    c.group = order_hash(str_of(text), 5060);
    return c;
}

static unsigned number_of(const struct resolve_target *t)
{
    return ntohl(t->address.v4.sin_addr.s_addr) & 0xff;
}

static unsigned first(const struct candidate *list, size_t count, uint64_t affinity, const bool *aside)
{
    struct resolve_target order[ORDER_MAX_TARGETS];
    size_t usable;
    order_targets(list, count, hash_u64(affinity), aside, order, &usable);
    return number_of(&order[0]);
}

static void spreads_by_weight(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 10), candidate(1, 1, 20), candidate(2, 1, 70)};
    unsigned got[3] = {0};
    for (uint64_t a = 0; a < AFFINITIES; a++)
        got[first(list, 3, a, none_aside)]++;
    assert_in_range(got[0], 900, 1100);
    assert_in_range(got[1], 1850, 2150);
    assert_in_range(got[2], 6850, 7150);
}

static void spreads_what_remains_by_weight_too(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 10), candidate(1, 1, 30), candidate(2, 1, 60)};
    const bool aside[ORDER_MAX_TARGETS] = {[2] = true};
    unsigned got[3] = {0};
    for (uint64_t a = 0; a < AFFINITIES; a++)
        got[first(list, 3, a, aside)]++;
    assert_in_range(got[0], 2350, 2650);
    assert_int_equal(got[2], 0);
}

static void spreads_evenly_where_no_weight_is_given(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 0), candidate(1, 1, 0), candidate(2, 1, 0),
                                     candidate(3, 1, 0)};
    unsigned got[4] = {0};
    for (uint64_t a = 0; a < AFFINITIES; a++)
        got[first(list, 4, a, none_aside)]++;
    for (size_t i = 0; i < 4; i++)
        assert_in_range(got[i], 2350, 2650);
}

static void gives_weight_0_a_very_small_chance_beside_others(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 0), candidate(1, 1, 1)};
    unsigned got[2] = {0};
    for (uint64_t a = 0; a < AFFINITIES; a++)
        got[first(list, 2, a, none_aside)]++;
    assert_in_range(got[0], 1, 300);
}

static void moves_only_those_of_a_target_that_goes(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 10), candidate(1, 1, 20), candidate(2, 1, 30),
                                     candidate(3, 1, 40)};
    unsigned moved = 0;
    for (uint64_t a = 0; a < AFFINITIES; a++) {
        unsigned before = first(list, 4, a, none_aside), after = first(list, 3, a, none_aside);
        assert_true(before == after || before == 3);
        moved += before == 3;
    }
    assert_in_range(moved, 3800, 4200);
}

static void moves_to_the_next_of_its_own_order(void **state)
{
    const struct candidate list[] = {candidate(0, 1, 10), candidate(1, 1, 20), candidate(2, 1, 30)};
    for (uint64_t a = 0; a < AFFINITIES; a++) {
        struct resolve_target order[ORDER_MAX_TARGETS];
        size_t usable;
        order_targets(list, 3, hash_u64(a), none_aside, order, &usable);
        bool aside[ORDER_MAX_TARGETS] = {false};
        aside[number_of(&order[0])] = true;
        assert_int_equal(first(list, 3, a, aside), number_of(&order[1]));
    }
}

static void exhausts_a_priority_before_the_next(void **state)
{
    const struct candidate list[] = {candidate(0, 20, 60000), candidate(1, 10, 1), candidate(2, 10, 1),
                                     candidate(3, 0x10000, 60000)};
    for (uint64_t a = 0; a < 1000; a++) {
        struct resolve_target order[ORDER_MAX_TARGETS];
        size_t usable;
        order_targets(list, 4, hash_u64(a), none_aside, order, &usable);
        assert_int_equal(usable, 4);
        assert_int_equal(number_of(&order[2]), 0);
        assert_int_equal(number_of(&order[3]), 3);
    }
}

static void keeps_the_addresses_of_one_host_together_ipv4_first(void **state)
{
    struct candidate list[6];
    for (unsigned i = 0; i < 6; i++) {
        list[i] = candidate(i, 1, 1);
        list[i].group = i / 3;
    }
    for (unsigned i = 0; i < 6; i += 3)
        assert_true(address_parse(STR_LIT("2001:db8::1"), (uint16_t)(5060 + i), &list[i].target.address));
    bool both[2] = {false};
    for (uint64_t a = 0; a < 1000; a++) {
        struct resolve_target order[ORDER_MAX_TARGETS];
        size_t usable;
        order_targets(list, 6, hash_u64(a), none_aside, order, &usable);
        assert_int_equal(order[2].address.any.sa_family, AF_INET6);
        assert_int_equal(order[5].address.any.sa_family, AF_INET6);
        assert_int_equal(number_of(&order[0]) / 3, number_of(&order[1]) / 3);
        both[number_of(&order[0]) / 3] = true;
    }
    assert_true(both[0] && both[1]);
}

static void is_the_same_whatever_the_order_of_the_answer(void **state)
{
    struct candidate list[] = {candidate(0, 1, 5), candidate(1, 1, 5), candidate(2, 1, 5),
                               candidate(3, 1, 5)};
    struct candidate turned[] = {list[3], list[1], list[0], list[2]};
    for (uint64_t a = 0; a < 1000; a++)
        assert_int_equal(first(list, 4, a, none_aside), first(turned, 4, a, none_aside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreads_by_weight),
        cmocka_unit_test(spreads_what_remains_by_weight_too),
        cmocka_unit_test(spreads_evenly_where_no_weight_is_given),
        cmocka_unit_test(gives_weight_0_a_very_small_chance_beside_others),
        cmocka_unit_test(moves_only_those_of_a_target_that_goes),
        cmocka_unit_test(moves_to_the_next_of_its_own_order),
        cmocka_unit_test(exhausts_a_priority_before_the_next),
        cmocka_unit_test(keeps_the_addresses_of_one_host_together_ipv4_first),
        cmocka_unit_test(is_the_same_whatever_the_order_of_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
