// common/json: what is JSON and what is refused with which sentence, the readers' exactness, the writer's
// bytes, and that no damaged text can do harm.
#include "common/json/json.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
// cmocka needs the four above
#include <cmocka.h>

static struct json *parsed(const char *text)
{
    struct json *root = NULL;
    struct error err = {0};
    if (json_parse(str_of(text), NULL, &root, &err))
        fail_msg("%s: %s", text, err.text);
    return root;
}

static void assert_writes(const struct json *v, const char *expected)
{
    struct buf out = BUF_INIT;
    json_write_value(&out, v);
    assert_string_equal(buf_str(&out).p, expected);
    buf_done(&out);
}

static void accepts_json_and_gives_it_back_compact(void **state)
{
    (void)state;
    static const struct {
        const char *text, *compact;
    } rows[] = {
        {"null", "null"},
        {" true\r\n", "true"},
        {"false", "false"},
        {"0", "0"},
        {"-0", "-0"},
        {"1.50", "1.50"},
        {"1E+400", "1E+400"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"\"\"", "\"\""},
        {"[]", "[]"},
        {"{}", "{}"},
        {"[ [ ] , { } ]", "[[],{}]"},
        {"{\"b\" : 1 ,\t\"a\" : [ true , null ]\n}", "{\"b\":1,\"a\":[true,null]}"},
        {"{\"\":0}", "{\"\":0}"},
        {"{\"a\":1,\"A\":2,\"a \":3}", "{\"a\":1,\"A\":2,\"a \":3}"},
        {"[{\"a\":1},{\"a\":2}]", "[{\"a\":1},{\"a\":2}]"},
        {"{\"a\":{\"a\":{\"a\":[]}}}", "{\"a\":{\"a\":{\"a\":[]}}}"},
        {"\"\\u0041\\/\\\"\\\\\"", "\"A/\\\"\\\\\""},
        {"\"\\b\\f\\n\\r\\t\\u001F\\u0000\"", "\"\\b\\f\\n\\r\\t\\u001f\\u0000\""},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
        {"\"\\uD83D\\uDE00\\uDBFF\\uDFFF\"", "\"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\""},
        {"\"\\\\ud800\"", "\"\\\\ud800\""},
        {"\"\\u2028\xe2\x80\xa9\"", "\"\xe2\x80\xa8\xe2\x80\xa9\""},
        {"\"\x7f \xc2\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80\"",
         "\"\x7f \xc2\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80\""},
        {"\"a very long plain text, then \xc3\xa9, then plain text again\"",
         "\"a very long plain text, then \xc3\xa9, then plain text again\""},
        {"\"https://host/path // no comment\"", "\"https://host/path // no comment\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *root cleanup(json_free_ptr) = parsed(rows[i].text);
        assert_writes(root, rows[i].compact);
        struct json *again cleanup(json_free_ptr) = parsed(rows[i].compact);
        assert_writes(again, rows[i].compact);
    }
}

static void refuses_what_is_not_json_and_says_where_and_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"", "the text is empty"},
        {" \r\n\t", "the text is empty"},
        {"{", "the text ends too early, at byte 1"},
        {"[1,2", "the text ends too early, at byte 4"},
        {"\"abc", "the text ends too early, at byte 4"},
        {"{\"a\":", "the text ends too early, at byte 5"},
        {"[1,]", "unexpected character at byte 3"},
        {"]", "unexpected character at byte 0"},
        {"[1}", "a comma or ] is missing at byte 2"},
        {"{\"a\":1]", "a comma or } is missing at byte 6"},
        {"[\"aaaa\",  @]", "unexpected character at byte 10"},
        {"'a'", "unexpected character at byte 0"},
        {"NaN", "unexpected character at byte 0"},
        {"Infinity", "unexpected character at byte 0"},
        {"+1", "unexpected character at byte 0"},
        {".5", "unexpected character at byte 0"},
        {"\xef\xbb\xbf[]", "unexpected character at byte 0"},
        {"{a:1}", "unexpected character at byte 1"},
        {"{\"a\":1,}", "a key must be a string at byte 7"},
        {"{1:2}", "a key must be a string at byte 1"},
        {"{\"a\" \"b\\\"c\"}", "a colon is missing at byte 5"},
        {"{\"a\":1 \"b\":2}", "a comma or } is missing at byte 7"},
        {"[1 2]", "a comma or ] is missing at byte 3"},
        {"[10 true]", "a comma or ] is missing at byte 4"},
        {"[01]", "a comma or ] is missing at byte 2"},
        {"01", "something follows the value at byte 1"},
        {"1//c", "something follows the value at byte 1"},
        {"{\"a\":\"\" \"\\\"b\" :2}", "a comma or } is missing at byte 8"},
        {"{\"a\":1 ,\n null:2}", "a key must be a string at byte 10"},
        {"{\"a\":[{}] x}", "unexpected character at byte 10"},
        {"[1] x", "something follows the value at byte 4"},
        {"[1] [2]", "something follows the value at byte 4"},
        {"{} \"", "something follows the value at byte 3"},
        {"[]tru", "something follows the value at byte 2"},
        {"null -", "something follows the value at byte 5"},
        {"\"a\"\"b", "something follows the value at byte 3"},
        {"{}{}", "something follows the value at byte 2"},
        {"1 \"a\"", "something follows the value at byte 2"},
        {"/* c */ 1", "comments are not JSON at byte 0"},
        {"[// c\n1]", "comments are not JSON at byte 1"},
        {"tru", "misspelt true, false or null at byte 3"},
        {"[nulL]", "misspelt true, false or null at byte 4"},
        {"\"\\x41\"", "unknown escape in a string at byte 2"},
        {"\"\\u12g4\"", "\\u without four hexadecimal digits at byte 5"},
        {"\"a\nb\"", "unescaped control character in a string at byte 2"},
        {"-", "a number lacks its digits after the minus sign at byte 1"},
        {"[1.]", "a number lacks its digits after the decimal point at byte 3"},
        {"[1e+]", "a number lacks its digits after the exponent at byte 4"},
        {"\"\\ud800\"", "half of a surrogate pair at byte 1"},
        {"\"ab\\udc00\"", "half of a surrogate pair at byte 3"},
        {"\"\\ud800\\u0041\"", "half of a surrogate pair at byte 1"},
        {"\"\\ud800\\ud800\\udc00\"", "half of a surrogate pair at byte 1"},
        {"\"\\\\\\ud800\"", "half of a surrogate pair at byte 3"},
        {"\"\\ud800", "half of a surrogate pair at byte 1"},
        {"\"12345678\xff\"", "not UTF-8 at byte 9"},
        {"\"\xc0\x80\"", "not UTF-8 at byte 1"},
        {"\"\xed\xa0\x80\"", "not UTF-8 at byte 1"},
        {"\"\xe0\x80\x80\"", "not UTF-8 at byte 1"},
        {"\"\xf0\x80\x80\x80\"", "not UTF-8 at byte 1"},
        {"\"\xf4\x90\x80\x80\"", "not UTF-8 at byte 1"},
        {"\"\xe2\x82\"", "not UTF-8 at byte 1"},
        {"{\"\\u0000\":1}", "a NUL in the key that ends at byte 9"},
        {"{\"a\":1,\"a\":1}", "the key \"a\" stands twice in the object that ends at byte 12"},
        {"{\"ab\":1,\"\\u0061b\":2}", "the key \"ab\" stands twice in the object that ends at byte 19"},
        {"[{\"\":1,\"\":2}]", "the key \"\" stands twice in the object that ends at byte 11"},
        {"{\"\\u0007\xc3\xa9\":1,\"\\u0007\xc3\xa9\":1}",
         "the key \"???\" stands twice in the object that ends at byte 26"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *root = NULL;
        struct error err = {0};
        if (json_parse(str_of(rows[i].text), NULL, &root, &err) != -EINVAL)
            fail_msg("accepted: %s", rows[i].text);
        assert_string_equal(err.text, rows[i].sentence);
        assert_null(root);
    }
}

static void refuses_a_raw_nul(void **state)
{
    (void)state;
    struct json *root = NULL;
    assert_int_equal(json_parse(STR_LIT("\"a\0b\""), NULL, &root, NULL), -EINVAL);
    assert_int_equal(json_parse(STR_LIT("[]\0"), NULL, &root, NULL), -EINVAL);
    assert_int_equal(json_parse(STR_LIT("\0[]"), NULL, &root, NULL), -EINVAL);
    assert_null(root);
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    const struct json_limits small = {.max_bytes = 8, .max_depth = 2};
    struct json *root = NULL;
    struct error err = {0};
    assert_int_equal(json_parse(STR_LIT("[[12345]]"), &small, &root, &err), -E2BIG);
    assert_string_equal(err.text, "9 bytes where at most 8 are allowed");
    assert_int_equal(json_parse(STR_LIT("[{},[[]]"), &small, &root, &err), -E2BIG);
    assert_string_equal(err.text, "nested deeper than 2 levels at byte 5");
    assert_null(root);
    assert_int_equal(json_parse(STR_LIT("[[1234]]"), &small, &root, &err), 0);
    json_free(root);
}

static void values_of_all_containers_are_counted(void **state)
{
    (void)state;
    const struct json_limits few = {.max_bytes = 100, .max_depth = 8, .max_values = 5};
    static const char *const within[] = {"[1,\"a\",null,true]", "{\"a\":{\"b\":{}},\"c\":[]}", "[[[[[]]]]]"};
    static const char *const beyond[] = {"[1,\"a\",null,true,2]", "[1,2,3,4,\"a\"]",
                                         "[1,2,3,4,false]",       "{\"a\":{\"b\":{}},\"c\":[[],1]}",
                                         "[[[[[[]]]]]]",          "[1,2,3,4,null"};
    struct json *root = NULL;
    struct error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(within); i++) {
        assert_int_equal(json_parse(str_of(within[i]), &few, &root, &err), 0);
        json_free_ptr(&root);
    }
    for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
        assert_int_equal(json_parse(str_of(beyond[i]), &few, &root, &err), -E2BIG);
        assert_null(root);
    }
    assert_int_equal(json_parse(STR_LIT("[1,2,3,4,5,6]"), &few, &root, &err), -E2BIG);
    assert_string_equal(err.text, "more than 5 values at byte 10");
}

static void a_million_open_brackets_do_no_harm(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    for (int i = 0; i < 1000000; i++)
        buf_add_char(&text, '[');
    struct json *root = NULL;
    assert_int_equal(json_parse(buf_str(&text), NULL, &root, NULL), -E2BIG);
    assert_null(root);
    buf_done(&text);
}

// {"k0":0,…} with `count` members and `last` before the closing brace.
static void write_members(struct buf *out, int count, const char *last)
{
    buf_clear(out);
    for (int i = 0; i < count; i++)
        buf_addf(out, "%c\"k%d\":%d", i ? ',' : '{', i, i);
    buf_add_cstr(out, last);
}

static void finds_a_duplicate_among_many_members(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    for (int count = 14; count < 4000; count += count / 2) {
        struct json *root = NULL;
        struct error err = {0};
        write_members(&text, count, ",\"\\u006b3\":1}");
        assert_int_equal(json_parse(buf_str(&text), NULL, &root, &err), -EINVAL);
        assert_non_null(strstr(err.text, "the key \"k3\" stands twice"));
        write_members(&text, count, "}");
        assert_int_equal(json_parse(buf_str(&text), NULL, &root, &err), 0);
        assert_int_equal(json_count(root), count);
        for (int i = 0; i < count; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "k%d", i);
            assert_ptr_equal(json_get(root, key), json_at(root, (size_t)i));
            assert_true(json_i64_or(json_get(root, key), -1) == i);
        }
        json_free(root);
    }
    buf_done(&text);
}

// Comparing every pair of these would take 2,400,000,000 comparisons.
static void many_members_cost_no_quadratic_time(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    write_members(&text, 70000, "}");
    struct json *root = NULL;
    clock_t before = clock();
    assert_int_equal(json_parse(buf_str(&text), NULL, &root, NULL), 0);
    assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
    assert_int_equal(json_count(root), 70000);
    json_free(root);
    buf_done(&text);
}

static void many_nested_values_keep_their_places(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_add_char(&text, '[');
    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "%s{\"n\":%d,\"list\":[%d,[],{\"deep\":\"\\u0041%d\"}]}", i ? "," : "", i, i, i);
    buf_add_char(&text, ']');
    struct json *root = parsed(buf_str(&text).p);
    assert_int_equal(json_count(root), 5000);
    for (int i = 0; i < 5000; i++) {
        const struct json *v = json_at(root, (size_t)i);
        const struct json *list = json_get(v, "list");
        char deep[16];
        (void)snprintf(deep, sizeof(deep), "A%d", i);
        assert_true(json_i64_or(json_get(v, "n"), -1) == i && json_i64_or(json_at(list, 0), -1) == i);
        assert_int_equal(json_count(list), 3);
        assert_true(str_eq_cstr(json_str(json_get(json_at(list, 2), "deep")), deep));
    }
    json_free(root);
    buf_done(&text);
}

static void integers_are_exact_to_their_limits(void **state)
{
    (void)state;
    struct json *v cleanup(json_free_ptr) =
        parsed("[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,"
               "18446744073709551615,18446744073709551616,-1,-0,1.0,1e2,\"7\",null]");
    int64_t i = 5;
    uint64_t u = 5;
    assert_true(json_i64(json_at(v, 0), &i) == 0 && i == INT64_MAX);
    assert_true(json_i64(json_at(v, 1), &i) == 0 && i == INT64_MIN);
    assert_int_equal(json_i64(json_at(v, 2), &i), -ERANGE);
    assert_int_equal(json_i64(json_at(v, 3), &i), -ERANGE);
    assert_true(json_u64(json_at(v, 4), &u) == 0 && u == UINT64_MAX);
    assert_int_equal(json_u64(json_at(v, 5), &u), -ERANGE);
    assert_int_equal(json_u64(json_at(v, 6), &u), -ERANGE);
    assert_true(json_u64(json_at(v, 7), &u) == 0 && u == 0);
    assert_true(json_i64(json_at(v, 7), &i) == 0 && i == 0);
    for (size_t at = 8; at < 12; at++) {
        assert_int_equal(json_i64(json_at(v, at), &i), -EINVAL);
        assert_int_equal(json_u64(json_at(v, at), &u), -EINVAL);
        assert_true(json_i64_or(json_at(v, at), 42) == 42 && json_u64_or(json_at(v, at), 43) == 43);
    }
    assert_true(i == 0 && u == 0); // refused values set nothing
}

static void doubles_outside_the_range_are_otherwise(void **state)
{
    (void)state;
    struct json *v cleanup(json_free_ptr) = parsed("[1.5,-2e3,1e400,-1e400,\"1.5\",7]");
    assert_true(json_double_or(json_at(v, 0), 9) == 1.5);
    assert_true(json_double_or(json_at(v, 1), 9) == -2000);
    assert_true(json_double_or(json_at(v, 2), 9) == 9);
    assert_true(json_double_or(json_at(v, 3), 9) == 9);
    assert_true(json_double_or(json_at(v, 4), 9) == 9);
    assert_true(json_double_or(json_at(v, 5), 9) == 7);
    assert_true(str_eq_cstr(json_number_text(json_at(v, 1)), "-2e3"));
}

static void readers_take_absent_and_foreign_values(void **state)
{
    (void)state;
    struct json *v cleanup(json_free_ptr) =
        parsed("{\"text\":\"a\\u0000b\",\"yes\":true,\"n\":null,\"o\":{}}");
    const struct json *text = json_get(v, "text");
    assert_true(json_str(text).n == 3 && memcmp(json_str(text).p, "a\0b", 3) == 0);
    assert_true(json_bool(json_get(v, "yes"), false));
    assert_true(json_bool(text, true) && !json_bool(NULL, false));
    assert_null(json_get(v, "tex"));
    assert_null(json_get(v, "text2"));
    assert_null(json_get(text, "text"));
    assert_null(json_get(NULL, "text"));
    assert_null(json_at(v, 4));
    assert_null(json_at(text, 0));
    assert_true(json_is(json_get(v, "n"), JSON_NULL) && !json_is(NULL, JSON_NULL));
    assert_int_equal(json_type(NULL), JSON_NULL);
    assert_int_equal(json_count(text) + json_count(NULL) + json_count(json_get(v, "o")), 0);
    assert_true(str_eq_cstr(json_key_at(v, 1), "yes") && json_key_at(v, 4).p == NULL);
    assert_true(json_str(json_get(v, "yes")).p == NULL && json_number_text(text).p == NULL);
    assert_string_equal(json_type_name(JSON_BOOL), "boolean");
    assert_string_equal(json_type_name(JSON_OBJECT), "object");
}

static void the_writer_puts_commas_colons_and_escapes(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct json_writer w = json_writer(&out);
    json_begin_object(&w);
    json_kv_str(&w, "a\"b", STR_LIT("\x01\x1f \b\f\n\r\t / \" \\ \x7f \xe2\x80\xa8 \xc3\xa9"));
    json_kv_cstr(&w, "none", NULL);
    json_kv_i64(&w, "min", INT64_MIN);
    json_kv_u64(&w, "max", UINT64_MAX);
    json_kv_bool(&w, "yes", true);
    json_key(&w, "list");
    json_begin_array(&w);
    json_put_bool(&w, false);
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_put_raw(&w, STR_LIT("[1]"));
    json_put_null(&w);
    json_end_array(&w);
    json_kv_i64(&w, "last", -7);
    json_end_object(&w);
    assert_string_equal(
        out.p, "{\"a\\\"b\":\"\\u0001\\u001f \\b\\f\\n\\r\\t / \\\" \\\\ \x7f \xe2\x80\xa8 \xc3\xa9\","
               "\"none\":null,\"min\":-9223372036854775808,\"max\":18446744073709551615,"
               "\"yes\":true,\"list\":[false,{},[],[1],null],\"last\":-7}");
    json_free(parsed(out.p));
    buf_done(&out);
}

static void invalid_utf8_goes_out_as_replacement_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"a\xff"
         "b",
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc3\n", "\"\xef\xbf\xbd\\n\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = BUF_INIT;
        struct json_writer w = json_writer(&out);
        json_put_str(&w, str_of(rows[i].text));
        assert_string_equal(out.p, rows[i].json);
        json_free(parsed(out.p));
        buf_done(&out);
    }
}

static const char document[] =
    "{\"data\":{\"type\":\"registrations\",\"id\":\"17\",\"attributes\":{\"name\":\"tr\\u00fcnk "
    "\\ud83d\\ude00\","
    "\"enabled\":true,\"expires\":null,\"retry-delay\":5,\"q\":-0.5e-3,\"list\":[1,[],{},\"\xc3\xa9\"]}}}";

static void every_prefix_of_a_document_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(document) - 1; n++) {
        struct json *root = NULL;
        char *exact = str_dup(str_of_bytes(document, n));
        assert_int_equal(json_parse(str_of_bytes(exact, n), NULL, &root, NULL), -EINVAL);
        assert_null(root);
        free(exact);
    }
}

// Whatever one wrong byte makes of a document: it is refused, or it reads back as what was written of it.
static void a_changed_byte_is_refused_or_round_trips(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (size_t at = 0; at < sizeof(document) - 1; at++) {
        for (unsigned c = 0; c < 256; c++) {
            char changed[sizeof(document)];
            memcpy(changed, document, sizeof(document));
            changed[at] = (char)c;
            struct json *root cleanup(json_free_ptr) = NULL;
            struct error err = {0};
            if (json_parse(str_of_bytes(changed, sizeof(document) - 1), NULL, &root, &err)) {
                assert_null(root);
                assert_true(err.code == -EINVAL && err.text[0]);
                continue;
            }
            accepted++;
            struct buf out cleanup(buf_done) = BUF_INIT;
            json_write_value(&out, root);
            struct json *again cleanup(json_free_ptr) = parsed(buf_str(&out).p);
            assert_writes(again, buf_str(&out).p);
        }
    }
    assert_true(accepted > sizeof(document)); // at least every byte as it was
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json_and_gives_it_back_compact),
        cmocka_unit_test(refuses_what_is_not_json_and_says_where_and_why),
        cmocka_unit_test(refuses_a_raw_nul),
        cmocka_unit_test(limits_hold_exactly),
        cmocka_unit_test(values_of_all_containers_are_counted),
        cmocka_unit_test(a_million_open_brackets_do_no_harm),
        cmocka_unit_test(finds_a_duplicate_among_many_members),
        cmocka_unit_test(many_members_cost_no_quadratic_time),
        cmocka_unit_test(many_nested_values_keep_their_places),
        cmocka_unit_test(integers_are_exact_to_their_limits),
        cmocka_unit_test(doubles_outside_the_range_are_otherwise),
        cmocka_unit_test(readers_take_absent_and_foreign_values),
        cmocka_unit_test(the_writer_puts_commas_colons_and_escapes),
        cmocka_unit_test(invalid_utf8_goes_out_as_replacement_characters),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(a_changed_byte_is_refused_or_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
