// services/registrant/core/observe: every answer is counted in one place, and what threads count is added up.
#include "services/registrant/core/observe.h"

#include "common/base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static void every_code_has_a_place_of_its_own_or_of_its_class(void **state)
{
    (void)state;
    const struct {
        int status;
        bool local;
        const char *name;
    } rows[] = {
        {200, false, "200"},        {202, false, "2xx"},   {302, false, "3xx"},      {403, false, "403"},
        {499, false, "4xx"},        {408, false, "408"},   {503, false, "503"},      {599, false, "5xx"},
        {606, false, "606"},        {699, false, "6xx"},   {408, true, "local_408"}, {503, true, "local_503"},
        {500, true, "local_other"}, {700, false, "other"}, {1000000, true, "other"}, {-1, false, "other"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(observe_code_name(observe_code(rows[i].status, rows[i].local)), rows[i].name);
    for (unsigned i = 0; i < OBSERVE_CODES; i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(observe_code_name(i), observe_code_name(k));
    assert_null(observe_code_name(OBSERVE_CODES));
}

static void a_histogram_counts_a_bound_to_its_bucket(void **state)
{
    (void)state;
    struct histogram h = {0}, sum = {0};
    histogram_add(&h, 0);
    histogram_add(&h, 1000);
    histogram_add(&h, 1001);
    histogram_add(&h, UINT64_C(1800000000));
    histogram_add(&h, UINT64_C(1800000001));
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[1], 1);
    assert_int_equal(h.counts[OBSERVE_BUCKETS - 1], 1);
    assert_int_equal(h.counts[OBSERVE_BUCKETS], 1);
    histogram_merge(&sum, &h);
    histogram_merge(&sum, &h);
    assert_int_equal(sum.counts[0], 4);
    assert_int_equal(sum.sum_us, UINT64_C(7200004004));
}

static void sums_of_different_registrars_teach_nothing(void **state)
{
    (void)state;
    struct registrar_view sum = {0}, one = {.registrars = 1, .bound = 3, .granted_s = 60, .open_for_ms = 5};
    (void)snprintf(one.name, sizeof(one.name), "udp:a:0");
    registrar_view_merge(&sum, &one);
    registrar_view_merge(&sum, &one);
    assert_int_equal(sum.registrars, 2);
    assert_int_equal(sum.bound, 6);
    assert_int_equal(sum.open_for_ms, 5);
    assert_int_equal(sum.granted_s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_place_of_its_own_or_of_its_class),
        cmocka_unit_test(a_histogram_counts_a_bound_to_its_bucket),
        cmocka_unit_test(sums_of_different_registrars_teach_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
