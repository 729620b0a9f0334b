// services/gateway/yeti/coerce: what of any JSON is held as a text, a flag, a number, a list.
#include "services/gateway/yeti/coerce.h"

#include "common/base/mem.h"
#include "tests/unit/yeti_fixture.h"

static void check_text_cast(const char *json, const char *held, const char *message)
{
    struct json *v cleanup(json_free_ptr) = parse(json);
    char *text cleanup(mem_free_cstr) = mem_dup_cstr("before");
    const char *said = coerce_text(v, &text);
    if (message) {
        assert_string_equal(said, message);
        assert_string_equal(text, "before");
        return;
    }
    assert_null(said);
    if (held)
        assert_string_equal(text, held);
    else
        assert_null(text);
}

static void casts_everything_to_text(void **state)
{
    (void)state;
    check_text_cast("\"a b\"", "a b", NULL);
    check_text_cast("\"\"", "", NULL);
    check_text_cast("123", "123", NULL);
    check_text_cast("45.5", "45.5", NULL);
    check_text_cast("true", "t", NULL);
    check_text_cast("false", "f", NULL);
    check_text_cast("null", NULL, NULL);
    check_text_cast("[1,\"a\"]", "[1,\"a\"]", NULL);
    check_text_cast("{\"a\":1}", "{\"a\":1}", NULL);
}

static void refuses_text_that_would_break_a_header(void **state)
{
    (void)state;
    check_text_cast("\"a\\u0000b\"", NULL, "is invalid");
    check_text_cast("\"a\\r\\nb\"", NULL, "is invalid");
    check_text_cast("\"a\\u007f\"", NULL, "is invalid");
    check_text_cast("\"a\\tb\"", "a\tb", NULL);
}

static void casts_flags_by_the_list_of_falses(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int held; // -1: refused
    } rows[] = {
        {"false", 0},     {"0", 0},       {"\"0\"", 0},   {"\"f\"", 0}, {"\"F\"", 0}, {"\"false\"", 0},
        {"\"FALSE\"", 0}, {"\"off\"", 0}, {"\"OFF\"", 0}, {"true", 1},  {"1", 1},     {"\"no\"", 1},
        {"\"Off\"", 1},   {"[]", 1},      {"{}", 1},      {"null", -1}, {"\"\"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *v cleanup(json_free_ptr) = parse(rows[i].json);
        bool flag = rows[i].held == 0;
        const char *said = coerce_flag(v, &flag);
        assert_int_equal(said == NULL, rows[i].held >= 0);
        if (!said)
            assert_int_equal(flag, rows[i].held);
    }
}

static void casts_integers_by_what_they_begin_with(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool set;
        int64_t held;
    } rows[] = {
        {"7", true, 7},       {"-5", true, -5},     {"3.7", true, 3},
        {"-3.7", true, -3},   {"1e3", true, 1000},  {"\"12abc\"", true, 12},
        {"\"abc\"", true, 0}, {"\" +7\"", true, 7}, {"\"-8x\"", true, -8},
        {"\"-\"", true, 0},   {"true", true, 1},    {"false", true, 0},
        {"null", false, 0},   {"\"\"", false, 0},   {"\" \"", false, 0},
        {"[1]", false, 0},    {"{}", false, 0},     {"2147483647", true, INT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *v cleanup(json_free_ptr) = parse(rows[i].json);
        struct integer held = {.set = !rows[i].set, .value = 99};
        assert_null(coerce_integer(v, &held));
        assert_int_equal(held.set, rows[i].set);
        if (held.set)
            assert_int_equal(held.value, rows[i].held);
    }
}

static void refuses_integers_beyond_32_bits(void **state)
{
    (void)state;
    static const char *const beyond[] = {"2147483648",
                                         "-2147483649",
                                         "1e300",
                                         "-1e300",
                                         "\"99999999999999999999999\"",
                                         "\"-99999999999999999999999\"",
                                         "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
        struct json *v cleanup(json_free_ptr) = parse(beyond[i]);
        struct integer held = {.set = true, .value = 5};
        assert_non_null(coerce_integer(v, &held));
        assert_int_equal(held.value, 5);
    }
}

static void judges_counts_as_they_were_written(void **state)
{
    (void)state;
    static const struct {
        const char *json, *said;
        int64_t held; // 0: null
    } rows[] = {
        {"1", NULL, 1},
        {"\"+7\"", NULL, 7},
        {"32767", NULL, 32767},
        {"null", NULL, 0},
        {"\"\"", NULL, 0},
        {"[]", NULL, 0},
        {"\" \"", "is not a number", 0},
        {"\"x\"", "is not a number", 0},
        {"\"0x1\"", "is not a number", 0},
        {"\"1-1\"", "is not a number", 0},
        {"\".\"", "is not a number", 0},
        {"true", "is not a number", 0},
        {"7.0", "must be an integer", 0},
        {"1e2", "must be an integer", 0},
        {"\" 8 \"", "must be an integer", 0},
        {"0", "must be greater than 0", 0},
        {"-99999999999999999999999", "must be greater than 0", 0},
        {"32768", "must be less than or equal to 32767", 0},
        {"99999999999999999999999", "must be less than or equal to 32767", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json *v cleanup(json_free_ptr) = parse(rows[i].json);
        struct integer held = {.set = true, .value = 5};
        const char *said = coerce_count(v, &held);
        if (rows[i].said) {
            assert_string_equal(said, rows[i].said);
            continue;
        }
        assert_null(said);
        assert_int_equal(held.set ? held.value : 0, rows[i].held);
    }
}

static void check_texts(const char *json, const char *joined, const char *message)
{
    struct json *v cleanup(json_free_ptr) = parse(json);
    struct texts t cleanup(texts_done) = {.items = NULL};
    const char *said = coerce_texts(v, &t);
    if (message) {
        assert_string_equal(said, message);
        return;
    }
    struct buf all cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&all, "");
    for (size_t i = 0; i < t.count; i++)
        buf_addf(&all, "[%s]", t.items[i]);
    assert_null(said);
    assert_string_equal(all.p ? all.p : "", joined);
}

static void casts_lists_of_texts(void **state)
{
    (void)state;
    check_texts("[]", "", NULL);
    check_texts("[\"a\",null,1,true,\"\"]", "[a][1][t][]", NULL);
    check_texts("\"a\\r\\n b \\r\\n\\r\\n\"", "[a][b]", NULL);
    check_texts("\"a\\nb\"", "[a\nb]", NULL);
    check_texts("null", NULL, "can't be blank");
    check_texts("{}", NULL, "is invalid");
    check_texts("5", NULL, "is invalid");
    check_texts("[\"a\\u0000\"]", NULL, "is invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(casts_everything_to_text),
        cmocka_unit_test(refuses_text_that_would_break_a_header),
        cmocka_unit_test(casts_flags_by_the_list_of_falses),
        cmocka_unit_test(casts_integers_by_what_they_begin_with),
        cmocka_unit_test(refuses_integers_beyond_32_bits),
        cmocka_unit_test(judges_counts_as_they_were_written),
        cmocka_unit_test(casts_lists_of_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
