// services/registrant/admin_registrars: what threads see is merged, the largest are named, the rest is
// summed, and nothing that a peer or a customer names breaks the page.
#include "services/registrant/admin_registrars.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/registration/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

static struct registrar_view view_of(const char *name, uint64_t registrations)
{
    struct registrar_view v = {
        .registrars = 1, .registrations = registrations, .bound = registrations, .rate = 2.5};
    (void)snprintf(v.name, sizeof(v.name), "%s", name);
    v.states[STATE_REGISTERED] = registrations;
    v.codes[observe_code(200, false)] = registrations;
    return v;
}

static struct registrars *many(size_t count)
{
    static const struct registrar_view none;
    struct registrars *r = mem_alloc(sizeof(*r));
    for (size_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "udp:r%03zu.example:0", i);
        struct registrar_view v = view_of(name, count - i);
        registrars_merge(r, &v, 1, &none);
    }
    return r;
}

static bool says(const struct buf *out, const char *text)
{
    return strstr(out->p, text) != NULL;
}

static void the_same_registrar_of_two_threads_is_one(void **state)
{
    (void)state;
    struct registrars *r = mem_alloc(sizeof(*r));
    struct registrar_view rest = {.registrars = 3, .registrations = 30};
    struct registrar_view first[] = {view_of("udp:a:0", 5), view_of("udp:b:0", 4)};
    struct registrar_view second[] = {view_of("udp:b:0", 9)};
    first[1].granted_s = 3600;
    first[1].granted_least_s = 600;
    second[0].granted_least_s = 300;
    registrars_merge(r, first, 2, &rest);
    registrars_merge(r, second, 1, &rest);
    assert_int_equal(r->count, 2);
    assert_string_equal(r->items[0].name, "udp:b:0");
    assert_int_equal(r->items[0].registrations, 13);
    assert_int_equal(r->items[0].registrars, 1);
    assert_int_equal(r->items[0].granted_s, 3600);
    assert_int_equal(r->items[0].granted_least_s, 300);
    assert_true(r->items[0].rate > 4.9 && r->items[0].rate < 5.1);
    assert_int_equal(r->rest.registrars, 6);
    assert_int_equal(r->rest.registrations, 60);
    free(r);
}

static void only_the_largest_are_named_in_metrics_and_the_rest_is_summed(void **state)
{
    (void)state;
    struct registrars *r = many(230);
    struct buf out = BUF_INIT;
    registrars_metrics(r, &out);
    assert_true(says(&out, "rollcall_registrant_registrar_bound{registrar=\"udp:r000.example:0\"} 230\n"));
    assert_true(says(&out, "rollcall_registrant_registrar_bound{registrar=\"udp:r019.example:0\"} 211\n"));
    assert_false(says(&out, "udp:r020.example:0"));
    // 1 + 2 + … + 210
    assert_true(says(&out, "rollcall_registrant_registrar_bound{registrar=\"other\"} 22155\n"));
    assert_true(
        says(&out, "rollcall_registrant_registrar_answers_total{registrar=\"other\",code=\"200\"} 22155\n"));
    assert_true(says(&out,
                     "rollcall_registrant_registrar_registrations{registrar=\"other\",state=\"registered\"} "
                     "22155\n"));
    assert_true(says(&out, "rollcall_registrant_registrar_rate{registrar=\"udp:r000.example:0\"} 2.5\n"));
    assert_false(says(&out, "code=\"403\""));
    buf_done(&out);
    free(r);
}

static void a_name_cannot_break_the_page(void **state)
{
    (void)state;
    static const struct registrar_view none;
    struct registrars *r = mem_alloc(sizeof(*r));
    struct registrar_view v = view_of("udp:\"x\n\\:0", 1);
    struct buf out = BUF_INIT;
    struct json *json = NULL;
    struct error err = {0};
    registrars_merge(r, &v, 1, &none);
    registrars_metrics(r, &out);
    assert_true(says(&out, "{registrar=\"udp:\\\"x\\n\\\\:0\"}"));
    buf_clear(&out);
    registrars_json(r, STR_NONE, &out);
    assert_int_equal(json_parse(buf_str(&out), &JSON_LIMITS_DEFAULT, &json, &err), 0);
    json_free(json);
    buf_done(&out);
    free(r);
}

static void json_tells_what_was_learned_and_finds_a_registrar_by_prefix(void **state)
{
    (void)state;
    struct registrars *r = many(3);
    struct buf out = BUF_INIT;
    r->items[1].min_expires_s = 1800;
    r->items[1].suspect = 1;
    registrars_json(r, STR_LIT("R001.EX"), &out);
    assert_true(says(&out, "{\"registrars\":[{\"name\":\"udp:r001.example:0\",\"registrations\":2,"));
    assert_true(says(&out, "\"answers\":{\"200\":2}"));
    assert_true(says(&out, "\"min_expires_s\":1800"));
    assert_true(says(&out, "\"rate\":2.500"));
    assert_false(says(&out, "r000"));
    assert_false(says(&out, "\"rest\""));
    buf_clear(&out);
    registrars_json(r, STR_LIT("udp:r00"), &out);
    assert_true(says(&out, "r000") && says(&out, "r002"));
    buf_clear(&out);
    registrars_json(r, STR_NONE, &out);
    assert_true(says(&out, "\"rest\":{\"registrars\":0,"));
    buf_done(&out);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_registrar_of_two_threads_is_one),
        cmocka_unit_test(only_the_largest_are_named_in_metrics_and_the_rest_is_summed),
        cmocka_unit_test(a_name_cannot_break_the_page),
        cmocka_unit_test(json_tells_what_was_learned_and_finds_a_registrar_by_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
