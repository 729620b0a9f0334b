// services/gateway/voximplant: the parts that need no request: parameters, addresses, bindings, labels, the
// mapping to the model, outcomes.
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "services/gateway/voximplant/address.h"
#include "services/gateway/voximplant/entry.h"
#include "services/gateway/voximplant/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs those above
#include <cmocka.h>

static struct params form(const char *text)
{
    struct params p = {.query = {.items = NULL}};
    struct error err;
    assert_int_equal(http_pairs_parse(str_of(text), &p.body, &err), 0);
    return p;
}

static struct binding binding(uint64_t application, uint64_t rule, uint64_t user)
{
    return (struct binding){.of = {{.id = application}, {.id = rule}, {.id = user}}};
}

static void assert_bound(const struct binding *b, uint64_t application, uint64_t rule, uint64_t user)
{
    assert_int_equal(b->of[TARGET_APPLICATION].id, application);
    assert_int_equal(b->of[TARGET_RULE].id, rule);
    assert_int_equal(b->of[TARGET_USER].id, user);
}

// ---- parameters

static void an_empty_value_is_absent_and_the_last_one_counts(void **state)
{
    (void)state;
    struct params p cleanup(vox_params_done) = form("a=1&b=&a=2&a=");
    assert_true(str_eq_cstr(vox_params_get(&p, "a"), "2"));
    assert_false(vox_params_get(&p, "b").n);
    assert_true(vox_params_clears(&p, "b"));
    assert_false(vox_params_clears(&p, "a"));
    assert_false(vox_params_clears(&p, "c"));
}

static void lists_are_split_and_any_stands_for_none(void **state)
{
    (void)state;
    struct params p cleanup(vox_params_done) = form("a=1%3B%202%3B%3B3&b=Any&c=all&d=any%3B1");
    struct id_list ids = {.items = NULL};
    struct text_list texts = {.items = NULL};
    struct fault fault;
    assert_true(vox_params_ids(&p, "a", &ids, &fault));
    assert_int_equal(ids.count, 3);
    assert_true(vox_ids_have(&ids, 2) && vox_ids_have(&ids, 3) && !vox_ids_have(&ids, 4));
    free(ids.items);
    assert_true(vox_params_texts(&p, "b", &texts, &fault));
    assert_true(vox_params_texts(&p, "c", &texts, &fault));
    assert_int_equal(texts.count, 0);
    assert_false(vox_params_ids(&p, "d", &ids, &fault));
    assert_int_equal(fault.code, CODE_INVALID_ARGUMENTS);
    assert_non_null(strstr(fault.text, "'d'"));
    free(ids.items);
}

// ---- addresses

static void check_route(const char *written, const char *route, const char *shown)
{
    struct buf made cleanup(buf_done) = BUF_INIT, text cleanup(buf_done) = BUF_INIT;
    struct error err;
    assert_int_equal(vox_route_parse(str_of(written), &made, &err), 0);
    assert_string_equal(made.p, route);
    vox_route_text(buf_str(&made), &text);
    assert_string_equal(text.p, shown);
}

static void an_outbound_proxy_becomes_a_loose_route_and_back(void **state)
{
    (void)state;
    check_route("h.example", "<sip:h.example;lr>", "h.example");
    check_route(" h.example:5070 ", "<sip:h.example:5070;lr>", "h.example:5070");
    check_route("<sip:h.example;lr>", "<sip:h.example;lr>", "h.example");
    check_route("sip:u@h.example;lr;transport=tcp", "<sip:u@h.example;lr;transport=tcp>",
                "sip:u@h.example;transport=tcp");
    check_route("sips:h.example", "<sips:h.example;lr>", "sips:h.example");
    check_route("2001:db8::1", "<sip:[2001:db8::1];lr>", "2001:db8::1");
    check_route("[2001:db8::1]:5070", "<sip:[2001:db8::1]:5070;lr>", "[2001:db8::1]:5070");
}

static void a_route_that_cannot_be_read_is_shown_as_it_is(void **state)
{
    (void)state;
    struct buf text cleanup(buf_done) = BUF_INIT;
    vox_route_text(STR_LIT("<tel:1>"), &text);
    assert_string_equal(text.p, "<tel:1>");
}

// Whatever is taken must be good enough for every other part.
static void what_is_taken_as_an_address_passes_the_models_own_rules(void **state)
{
    (void)state;
    static const char alphabet[] = "ab.:;=[]<>@?-0159 tlspru%,\"";
    struct rng rng = {.state = 7};
    size_t taken = 0;
    for (int round = 0; round < 60000; round++) {
        char text[24];
        size_t n = rng_below(&rng, sizeof(text));
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
        struct proxy proxy;
        struct buf route = BUF_INIT;
        struct registration r;
        const char *field = "";
        struct error err;
        registration_init(&r);
        r.account = mem_dup_cstr("a");
        r.username = mem_dup_cstr("u");
        r.contacts[r.contact_count++] =
            (struct contact){.uri = mem_dup_cstr("sip:u@{local}"), .expires = REGISTRATION_UNSET};
        bool is_proxy = !vox_proxy_parse(str_of_bytes(text, n), &proxy, &err);
        r.domain = mem_dup_cstr(is_proxy ? proxy.domain : "h.example");
        vox_proxy_done(&proxy);
        bool is_route = !vox_route_parse(str_of_bytes(text, n), &route, &err);
        if (is_route)
            r.route_set[r.route_count++] = mem_dup_cstr(route.p);
        taken += is_proxy || is_route;
        if (registration_check(&r, &field, &err))
            fail_msg("'%.*s': %s %s", (int)n, text, field, err.text);
        buf_done(&route);
        registration_done(&r);
    }
    assert_true(taken > 100);
}

// ---- bindings

static void another_application_takes_its_rule_and_user_along(void **state)
{
    (void)state;
    struct binding held cleanup(vox_binding_done) = binding(12, 5, 9), asked = binding(12, 0, 10);
    vox_binding_merge(&held, &asked);
    assert_bound(&held, 12, 5, 10);
    asked = binding(0, 6, 0);
    vox_binding_merge(&held, &asked);
    assert_bound(&held, 12, 6, 10);
    asked = binding(13, 7, 0);
    vox_binding_merge(&held, &asked);
    assert_bound(&held, 13, 7, 0);
}

static void unbinding_takes_away_what_is_named_where_it_fits(void **state)
{
    (void)state;
    static const struct {
        struct binding asked;
        uint64_t left[TARGET_COUNT];
    } cases[] = {
        {{.of = {{.id = 0}}}, {0, 0, 0}},
        {{.of = {{.id = 12}}}, {0, 0, 0}},
        {{.of = {{.id = 13}}}, {12, 5, 9}},
        {{.of = {{.id = 12}, {.id = 5}}}, {12, 0, 9}},
        {{.of = {{.id = 0}, {.id = 0}, {.id = 9}}}, {12, 5, 0}},
        {{.of = {{.id = 0}, {.id = 6}, {.id = 9}}}, {12, 5, 9}},
        {{.of = {{.id = 13}, {.id = 0}, {.id = 9}}}, {12, 5, 9}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct binding held cleanup(vox_binding_done) = binding(12, 5, 9);
        vox_binding_remove(&held, &cases[i].asked);
        assert_bound(&held, cases[i].left[0], cases[i].left[1], cases[i].left[2]);
    }
}

static void check_key(struct binding b, const char *key)
{
    struct buf out cleanup(buf_done) = BUF_INIT;
    vox_binding_user_key(&b, &out);
    assert_string_equal(out.p ? out.p : "", key);
}

static void a_user_is_known_by_id_or_by_name_in_an_application(void **state)
{
    (void)state;
    char name[] = "alice", application[] = "pbx";
    check_key(binding(12, 5, 0), "");
    check_key(binding(12, 5, 9), "id:9");
    check_key((struct binding){.of = {{.id = 12}, {.id = 0}, {.id = 9, .name = name}}}, "id:9");
    check_key((struct binding){.of = {{.id = 12}, {.id = 0}, {.name = name}}}, "name:alice@12");
    check_key((struct binding){.of = {{.name = application}, {.id = 0}, {.name = name}}}, "name:alice@pbx");
}

// ---- labels

static void labels_of_other_dialects_stay(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    struct facts f cleanup(vox_facts_done), read cleanup(vox_facts_done);
    registration_init(&r);
    r.labels = mem_dup_cstr("{\"yeti\":{\"a\":1},\"index\":{\"other\":\"x\"}}");
    vox_facts_of(&f, &r);
    assert_true(f.is_persistent);
    f.is_persistent = false;
    f.binding = binding(12, 0, 9);
    vox_facts_store(&f, &r);
    assert_string_equal(r.labels,
                        "{\"yeti\":{\"a\":1},\"index\":{\"other\":\"x\",\"vox-user\":\"id:9\"},"
                        "\"voximplant\":{\"is_persistent\":false,\"application_id\":12,\"user_id\":9}}");
    vox_facts_of(&read, &r);
    assert_false(read.is_persistent);
    assert_bound(&read.binding, 12, 0, 9);
    f.is_persistent = true;
    vox_binding_done(&f.binding);
    vox_facts_store(&f, &r);
    assert_string_equal(r.labels, "{\"yeti\":{\"a\":1},\"index\":{\"other\":\"x\"}}");
}

static void a_plain_registration_has_no_labels(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    struct facts f cleanup(vox_facts_done);
    registration_init(&r);
    vox_facts_of(&f, &r);
    vox_facts_store(&f, &r);
    assert_null(r.labels);
}

static void labels_that_cannot_be_read_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"voximplant\":7}",
                                        "{\"voximplant\":{\"user_id\":\"x\",\"proxy\":[]}}",
                                        "{\"voximplant\":", "[\"voximplant\"]"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct registration r cleanup(registration_done);
        struct facts f cleanup(vox_facts_done);
        registration_init(&r);
        r.labels = mem_dup_cstr(texts[i]);
        vox_facts_of(&f, &r);
        assert_true(f.is_persistent && !f.proxy);
        assert_bound(&f.binding, 0, 0, 0);
    }
}

// ---- enabled

static void settle(struct registration *r, bool persistent, uint64_t user_before, uint64_t user_after)
{
    struct facts f cleanup(vox_facts_done) = {.is_persistent = persistent,
                                              .binding = binding(0, 0, user_before)};
    bool wanted = vox_facts_want_enabled(&f);
    f.binding = binding(0, 0, user_after);
    vox_model_settle(wanted, &f, r);
}

static void only_a_binding_that_changes_switches_a_registration(void **state)
{
    (void)state;
    static const struct {
        bool enabled, persistent;
        uint64_t before, after;
        bool expected;
    } cases[] = {
        {true, true, 0, 9, true},   {false, true, 0, 9, false}, {false, false, 0, 9, true},
        {true, false, 9, 0, false}, {true, false, 0, 0, true},  {false, false, 9, 8, false},
        {true, true, 9, 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct registration r cleanup(registration_done);
        registration_init(&r);
        r.enabled = cases[i].enabled;
        settle(&r, cases[i].persistent, cases[i].before, cases[i].after);
        assert_int_equal(r.enabled, cases[i].expected);
    }
}

static void names_are_unique_and_hold_whole_characters(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    char username[600], first[700];
    registration_init(&r);
    for (size_t i = 0; i < sizeof(username) - 1; i++)
        username[i] = i % 2 ? '\xa9' : '\xc3';
    username[sizeof(username) - 1] = '\0';
    r.username = mem_dup_cstr(username);
    r.domain = mem_dup_cstr("h.example");
    vox_model_name(&r);
    assert_true(strlen(r.name) < sizeof(first));
    (void)snprintf(first, sizeof(first), "%s", r.name);
    assert_int_equal((unsigned char)strchr(first, '@')[-1], 0xa9);
    vox_model_name(&r);
    assert_string_not_equal(first, r.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_value_is_absent_and_the_last_one_counts),
        cmocka_unit_test(lists_are_split_and_any_stands_for_none),
        cmocka_unit_test(an_outbound_proxy_becomes_a_loose_route_and_back),
        cmocka_unit_test(a_route_that_cannot_be_read_is_shown_as_it_is),
        cmocka_unit_test(what_is_taken_as_an_address_passes_the_models_own_rules),
        cmocka_unit_test(another_application_takes_its_rule_and_user_along),
        cmocka_unit_test(unbinding_takes_away_what_is_named_where_it_fits),
        cmocka_unit_test(a_user_is_known_by_id_or_by_name_in_an_application),
        cmocka_unit_test(labels_of_other_dialects_stay),
        cmocka_unit_test(a_plain_registration_has_no_labels),
        cmocka_unit_test(labels_that_cannot_be_read_are_none),
        cmocka_unit_test(only_a_binding_that_changes_switches_a_registration),
        cmocka_unit_test(names_are_unique_and_hold_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
