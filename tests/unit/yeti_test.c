// services/gateway/yeti: the parts that need no request: validation, queries, bodies, sort keys, the
// mapping to the model.
#include "common/base/mem.h"
#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/query.h"
#include "services/gateway/yeti/sorting.h"
#include "services/gateway/yeti/statuses.h"
#include "services/gateway/yeti/validate.h"
#include "tests/unit/yeti_fixture.h"

#include <string.h>

// ---- the model

static void what_the_model_holds_otherwise_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct values v, back;
    values_init(&v);
    v.name = mem_dup_cstr("n");
    v.domain = mem_dup_cstr("h");
    v.username = mem_dup_cstr("alice");
    v.contact = mem_dup_cstr("sip:a@h");
    v.display_username = mem_dup_cstr("");
    v.interface = mem_dup_cstr("");
    v.auth_user = mem_dup_cstr("");
    v.auth_password = mem_dup_cstr("secret");
    v.expire = (struct integer){.set = true, .value = -1};
    struct registration r;
    registration_init(&r);
    r.labels = mem_dup_cstr("{\"other\":{\"a\":[1]}}");
    values_to(&v, true, &r);
    assert_null(r.display_username);
    assert_null(r.interface);
    assert_int_equal(r.expires, REGISTRATION_UNSET);
    assert_int_equal(r.default_expires, 1800);
    assert_int_equal(r.retry_shape, RETRY_FIXED);
    assert_int_equal(r.credential_count, 1);
    assert_string_equal(r.credentials[0].user, "alice");
    assert_true(r.credentials[0].clear);
    assert_non_null(strstr(r.labels, "\"other\":{\"a\":[1]}"));
    values_of(&back, &r, NULL);
    assert_string_equal(back.display_username, "");
    assert_string_equal(back.interface, "");
    assert_string_equal(back.auth_user, "");
    assert_string_equal(back.auth_password, VALUES_MASK);
    assert_true(back.expire.set);
    assert_int_equal(back.expire.value, -1);
    // written again without a new password, the credential keeps its secret, and nothing changes
    char *labels cleanup(mem_free_cstr) = mem_dup_cstr(r.labels);
    values_to(&back, false, &r);
    assert_string_equal(r.credentials[0].secret, "secret");
    assert_string_equal(r.labels, labels);
    values_done(&v);
    values_done(&back);
    registration_done(&r);
}

static void no_credential_is_none_of_any_realm(void **state)
{
    (void)state;
    struct values v;
    struct registration r;
    registration_init(&r);
    r.credential_count = 2;
    r.credentials[0].user = mem_dup_cstr("a");
    r.credentials[0].secret = mem_dup_cstr("sealed:x");
    r.credentials[1].realm = mem_dup_cstr("realm");
    r.credentials[1].user = mem_dup_cstr("b");
    values_of(&v, &r, NULL);
    free(v.auth_user);
    free(v.auth_password);
    v.auth_user = v.auth_password = NULL;
    values_to(&v, true, &r);
    assert_int_equal(r.credential_count, 0);
    values_done(&v);
    registration_done(&r);
}

// ---- bodies and validation

static bool read_body(struct body *b, const struct json *root, const char *url_id, struct errors *e)
{
    const struct body_params p = {.type = type_of(TYPE_REGISTRATIONS), .url_id = str_of(url_id)};
    return body_read(b, root, url_id ? &p : &(struct body_params){.type = p.type}, e);
}

// The errors' details, each with its code, as one text.
static void check_errors(const struct errors *e, const char *wanted)
{
    struct buf text cleanup(buf_done) = BUF_INIT, got cleanup(buf_done) = BUF_INIT;
    errors_write(&text, e);
    struct json *root cleanup(json_free_ptr) = parse(text.p);
    const struct json *list = json_get(root, "errors");
    buf_add_cstr(&got, "");
    for (size_t i = 0; i < json_count(list); i++) {
        buf_add_str(&got, json_str(json_get(json_at(list, i), "code")));
        buf_add_cstr(&got, " ");
        buf_add_str(&got, json_str(json_get(json_at(list, i), "detail")));
        buf_add_cstr(&got, "\n");
    }
    assert_string_equal(got.p, wanted);
}

static void check_body(const char *json, const char *url_id, const char *wanted)
{
    struct json *root cleanup(json_free_ptr) = parse(json);
    struct errors e cleanup(errors_done) = ERRORS_INIT;
    struct body b;
    assert_int_equal(read_body(&b, root, url_id, &e), wanted == NULL);
    if (wanted)
        check_errors(&e, wanted);
}

static void bodies_are_judged_in_the_order_of_the_contract(void **state)
{
    (void)state;
    check_body("{}", NULL, "106 The required parameter, data, is missing.\n");
    check_body("{\"data\":[1]}", NULL, "122 Data must be a hash.\n");
    check_body("{\"data\":{\"type\":\"x\",\"bogus\":1}}", "5",
               "109 The resource object does not contain a key.\n");
    check_body("{\"data\":{\"type\":\"x\",\"id\":\"05\"}}", "5", "110 The URL does not support the key 05\n");
    check_body("{\"data\":{\"type\":\"x\",\"id\":5,\"bogus\":1}}", "5", "101 x is not a valid resource.\n");
    check_body("{\"data\":{\"type\":\"registrations\",\"relationships\":{\"x\":1},\"attributes\":{\"y\":1}}}",
               NULL, "105 x is not allowed.\n");
    check_body("{\"data\":{\"type\":\"REGISTRATIONS\",\"attributes\":[]}}", NULL, NULL);
    check_body("{\"data\":{\"type\":\"registrations\",\"id\":5,\"attributes\":{\"name\":1}}}", "5", NULL);
}

static void drafts_name_every_attribute_that_fails(void **state)
{
    (void)state;
    struct json *root cleanup(json_free_ptr) =
        parse("{\"data\":{\"type\":\"registrations\",\"attributes\":{\"enabled\":null,\"route-set\":5,"
              "\"name\":\"a\\nb\","
              "\"contact\":\"x\",\"expire\":1e12,\"auth-password\":\"********\",\"domain\":\"a b\"},"
              "\"relationships\":{\"pop\":{\"data\":{\"type\":\"pops\",\"id\":4}},"
              "\"node\":{\"data\":{\"type\":\"nodes\",\"id\":9}}}}}");
    struct errors e cleanup(errors_done) = ERRORS_INIT;
    struct draft d cleanup(draft_done) = {.has_password = false};
    struct object nodes[] = {{.id = 9, .pop = 3}};
    const struct objects no_pops = {.items = NULL}, one_node = {.items = nodes, .count = 1};
    struct body b;
    values_init(&d.values);
    assert_true(read_body(&b, root, NULL, &e));
    draft_apply(&d, &b, true);
    assert_false(draft_check(&d, &no_pops, &one_node, &e));
    assert_int_equal(e.status, 422);
    check_errors(&e, "100 name - is invalid\n100 domain - is invalid\n100 username - can't be blank\n"
                     "100 contact - is invalid\n100 auth-password - is invalid\n"
                     "100 enabled - is not included in the list\n"
                     "100 expire - must be less than or equal to 2147483647\n100 route-set - is invalid\n"
                     "100 pop - must exist\n100 node - must belong to the pop\n");
}

// ---- queries

struct asked {
    struct http_pairs pairs;
    struct query query;
    struct errors errors;
    bool good;
};

static struct asked *ask(const char *text, enum type_id type, enum query_scope scope)
{
    struct asked *a = mem_alloc(sizeof(*a));
    a->errors = ERRORS_INIT;
    assert_int_equal(http_pairs_parse(str_of(text), &a->pairs, NULL), 0);
    a->good = query_read(&a->query, type_of(type), scope, false, &a->pairs, &a->errors);
    return a;
}

static void asked_free(struct asked **a)
{
    query_done(&(*a)->query);
    http_pairs_done(&(*a)->pairs);
    errors_done(&(*a)->errors);
    free(*a);
}

static void check_query(const char *text, enum query_scope scope, const char *wanted)
{
    struct asked *a cleanup(asked_free) = ask(text, TYPE_REGISTRATIONS, scope);
    check_errors(&a->errors, wanted);
    assert_int_equal(a->good, !wanted[0]);
}

static void queries_collect_or_abort(void **state)
{
    (void)state;
    check_query("page[size]=0&filter[x-y]=1&include=q", QUERY_INDEX,
                "112 q is not a valid relationship of registrations\n102 x_y is not allowed.\n"
                "118 0 is not a valid value for size page parameter.\n");
    check_query("page[size]=0&sort=-a-b&include=q", QUERY_INDEX,
                "114 a_b is not a valid sort criteria for registrations\n");
    check_query("include=q&fields[registrations]=", QUERY_INDEX,
                "104 nil is not a valid field for registrations.\n");
    check_query("page[size]=0&sort=x&filter[x]=1&include=q", QUERY_SHOW,
                "112 q is not a valid relationship of registrations\n102 x is not allowed.\n");
    check_query("page[size]=0&sort=x&filter[x]=1", QUERY_WRITE, "");
}

static void fieldsets_select_by_type(void **state)
{
    (void)state;
    struct asked *a cleanup(asked_free) =
        ask("fields[registrations]=name,pop&fields[pops]=id", TYPE_REGISTRATIONS, QUERY_INDEX);
    const struct type *t = type_of(TYPE_REGISTRATIONS);
    assert_true(a->good);
    for (size_t i = 0; i < t->attribute_count; i++)
        assert_int_equal(query_shows_attribute(&a->query, t, i), i == ATTRIBUTE_NAME);
    assert_true(query_shows_relation(&a->query, t, 1));
    assert_false(query_shows_relation(&a->query, t, 2));
    assert_false(query_shows_attribute(&a->query, type_of(TYPE_POPS), 0));
    assert_true(query_shows_attribute(&a->query, type_of(TYPE_NODES), 0));
}

static void page_links_are_sorted_and_encoded(void **state)
{
    (void)state;
    struct asked *a cleanup(asked_free) =
        ask("sort=-name&x=1&token=t&filter[id]=1,2&page[size]=7&include=&page[offset]=3", TYPE_REGISTRATIONS,
            QUERY_INDEX);
    struct buf out cleanup(buf_done) = BUF_INIT;
    query_page_string(&out, &a->query, 3);
    assert_string_equal(out.p,
                        "filter%5Bid%5D=1%2C2&include=&page%5Bnumber%5D=3&page%5Bsize%5D=7&sort=-name");
}

// ---- sort keys

static int order(const char *sort, struct values *x, struct values *y)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_addf(&text, "sort=%s", sort);
    struct asked *a cleanup(asked_free) = ask(text.p, TYPE_REGISTRATIONS, QUERY_INDEX);
    struct sorting s = sorting_of(&a->query);
    char *kx cleanup(mem_free_cstr) = sorting_key(&s, x), *ky cleanup(mem_free_cstr) = sorting_key(&s, y);
    int d = strcmp(kx, ky);
    return d < 0 ? -1 : d > 0;
}

static void sort_keys_order_as_the_values_do(void **state)
{
    (void)state;
    char ab[] = "ab", abc[] = "abc";
    struct values x = {.id = 2, .name = ab, .expire = {true, -3}, .username = ab};
    struct values y = {.id = 10, .name = abc, .expire = {true, 20}, .username = ab, .enabled = true};
    assert_int_equal(order("name", &x, &y), -1);
    assert_int_equal(order("-name", &x, &y), 1);
    assert_int_equal(order("expire", &x, &y), -1);
    assert_int_equal(order("-expire", &x, &y), 1);
    assert_int_equal(order("username", &x, &y), 0);
    assert_int_equal(order("username,-id", &x, &y), 1);
    assert_int_equal(order("-username,id", &x, &y), -1);
    assert_int_equal(order("enabled", &x, &y), -1);
    x.expire.set = false; // null: last ascending, first descending
    assert_int_equal(order("expire", &x, &y), 1);
    assert_int_equal(order("-expire", &x, &y), -1);
    x.name = NULL;
    assert_int_equal(order("name", &x, &y), 1);
    assert_int_equal(order("-name", &x, &y), -1);
}

// ---- filters

static void indexes_serve_exact_values_alone(void **state)
{
    (void)state;
    struct store_term terms[CONDITIONS_TERMS_MAX];
    struct asked *a cleanup(asked_free) =
        ask("filter[name_eq]=n&filter[domain_in]=d&filter[username_in]=a,b&filter[state_not_eq]=pending&"
            "filter[id]=1,2",
            TYPE_REGISTRATIONS, QUERY_INDEX);
    assert_true(a->good);
    assert_int_equal(conditions_terms(&a->query, terms), 2);
    assert_string_equal(terms[0].field, "name");
    assert_true(str_eq_cstr(terms[0].value, "n"));
    assert_string_equal(terms[1].field, "domain");
    assert_true(conditions_judge(&a->query, offsetof(struct values, state)));
    assert_true(conditions_judge(&a->query, offsetof(struct values, username)));
    assert_false(conditions_judge(&a->query, offsetof(struct values, name)));

    struct asked *b cleanup(asked_free) =
        ask("filter[state_eq]=pending&filter[id]=1", TYPE_REGISTRATIONS, QUERY_INDEX);
    assert_int_equal(conditions_terms(&b->query, terms), 1);
    assert_false(conditions_judge(&b->query, CONDITIONS_ANY));
}

static bool holds(const char *filter, const struct values *v)
{
    struct asked *a cleanup(asked_free) = ask(filter, TYPE_REGISTRATIONS, QUERY_INDEX);
    assert_true(a->good);
    return conditions_hold(&a->query, v);
}

static void null_fulfils_no_condition(void **state)
{
    (void)state;
    char name[] = "n";
    struct values v = {.id = 1, .name = name, .expire = {true, 5}, .node = 3};
    assert_true(holds("filter[name_not_eq]=m&filter[expire_not_in]=4&filter[node_id_not_eq]=4", &v));
    assert_true(holds("filter[enabled_eq]=f&filter[expire_lteq]=5", &v));
    assert_false(holds("filter[auth_user_not_eq]=m", &v));
    assert_false(holds("filter[auth_user_not_in]=m", &v));
    assert_false(holds("filter[pop_id_not_eq]=4", &v));
    assert_false(holds("filter[max_attempts_lt]=4", &v));
}

static void strictness_knows_the_filter_id_alone(void **state)
{
    (void)state;
    struct http_pairs pairs;
    struct query query;
    struct errors errors cleanup(errors_done) = ERRORS_INIT;
    assert_int_equal(http_pairs_parse(str_of("filter[id]=1&filter[name_eq]=2&include=status"), &pairs, NULL),
                     0);
    assert_false(query_read(&query, type_of(TYPE_REGISTRATIONS), QUERY_INDEX, true, &pairs, &errors));
    check_errors(&errors,
                 "112 status is not a valid relationship of registrations\n102 name_eq is not allowed.\n");
    query_done(&query);
    http_pairs_done(&pairs);
}

static void filters_judge_items(void **state)
{
    (void)state;
    char name[] = "Berlin", endpoint[] = "10.0.0.1:80";
    struct object node = {.id = 7, .name = name, .rpc_endpoint = endpoint, .pop = 3};
    static const struct {
        const char *query;
        bool holds;
    } rows[] = {
        {"filter[id]=7,8", true},
        {"filter[id]=8", false},
        {"filter[id_gt]=6", true},
        {"filter[id_gt]=7", false},
        {"filter[id_lteq]=7", true},
        {"filter[id_not_in]=7,8", false},
        {"filter[name_cont]=ERL", true},
        {"filter[name_end]=LIN", true},
        {"filter[name_end]=xxxxxxxLIN", false},
        {"filter[name_eq]=berlin", false},
        {"filter[name_not_eq]=x", true},
        {"filter[name_cont_any]=x,in", true},
        {"filter[pop_id_eq]=3", true},
        {"filter[pop_id_eq]=x", false},
        {"filter[pop_id_not_in]=4", true},
        {"filter[rpc-endpoint-start]=10.", true},
        {"filter[id]=7&filter[pop_id_eq]=4", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asked *a cleanup(asked_free) = ask(rows[i].query, TYPE_NODES, QUERY_INDEX);
        if (!a->good || conditions_hold(&a->query, &node) != rows[i].holds)
            fail_msg("%s", rows[i].query);
    }
}

static void a_line_of_values_is_csv(void **state)
{
    (void)state;
    struct asked *a cleanup(asked_free) =
        ask("filter[name]=a%2C%22b%2Cc%22%2C%22d%22%22e%22%2C%2Cf", TYPE_POPS, QUERY_INDEX);
    static const char *const wanted[] = {"a", "b,c", "d\"e", "", "f"};
    assert_int_equal(a->query.condition_count, 1);
    assert_int_equal(a->query.conditions[0].values.count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_string_equal(a->query.conditions[0].values.items[i], wanted[i]);
}

// ---- status

static void a_report_is_believed_until_it_runs_out(void **state)
{
    (void)state;
    struct store_record record = {.reg = {.id = 7, .revision = 5}};
    struct status_item item;
    status_item_of(&item, &record, 1000);
    assert_string_equal(item.state, "pending");
    assert_false(item.in_sync);
    status_item_done(&item);
    record.status = STR_LIT(
        "{\"v\":1,\"id\":7,\"epoch\":1,\"seq\":1,\"revision\":5,\"state\":\"registered\",\"since_ms\":1,"
        "\"expires_at_ms\":2000,\"next_at_ms\":1500,\"node\":\"a\"}");
    status_item_of(&item, &record, 1999);
    assert_string_equal(item.state, "registered");
    assert_true(item.in_sync);
    assert_null(item.last_report);
    status_item_done(&item);
    status_item_of(&item, &record, 2000);
    assert_string_equal(item.state, "unknown");
    assert_null(item.node);
    assert_non_null(strstr(item.last_report, "\"state\":\"registered\""));
    assert_non_null(strstr(item.last_report, "\"expires-at\":\"1970-01-01T00:00:02.000Z\""));
    status_item_done(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_model_holds_otherwise_reads_back_as_it_was_written),
        cmocka_unit_test(no_credential_is_none_of_any_realm),
        cmocka_unit_test(bodies_are_judged_in_the_order_of_the_contract),
        cmocka_unit_test(drafts_name_every_attribute_that_fails),
        cmocka_unit_test(queries_collect_or_abort),
        cmocka_unit_test(fieldsets_select_by_type),
        cmocka_unit_test(page_links_are_sorted_and_encoded),
        cmocka_unit_test(sort_keys_order_as_the_values_do),
        cmocka_unit_test(filters_judge_items),
        cmocka_unit_test(indexes_serve_exact_values_alone),
        cmocka_unit_test(null_fulfils_no_condition),
        cmocka_unit_test(strictness_knows_the_filter_id_alone),
        cmocka_unit_test(a_line_of_values_is_csv),
        cmocka_unit_test(a_report_is_believed_until_it_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
