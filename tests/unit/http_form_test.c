// common/http, the pure parts: multipart forms and cookies, as tools of other systems send them.
#include "common/base/mem.h"
#include "common/http/cookie.h"
#include "common/http/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

#define DISPOSITION "Content-Disposition: form-data; name="

static int parse(const char *type, const char *body, struct http_pairs *ret)
{
    return http_multipart_parse(str_of(type), str_of(body), ret, NULL);
}

// Node and PHP: one header line a part, the name quoted, a boundary of dashes and digits.
static void a_form_of_one_header_line_a_part_is_read(void **state)
{
    struct http_pairs p;
    assert_int_equal(
        parse("multipart/form-data; boundary=--------------------------1f2e",
              "----------------------------1f2e\r\n" DISPOSITION "\"cmd\"\r\n\r\nBindSipRegistration\r\n"
              "----------------------------1f2e\r\n" DISPOSITION "\"password\"\r\n\r\na+b%20c\xc3\xa9\r\n"
              "----------------------------1f2e--\r\n",
              &p),
        0);
    assert_int_equal(p.count, 2);
    assert_string_equal(p.items[0].name, "cmd");
    assert_string_equal(http_pairs_get(&p, "cmd"), "BindSipRegistration");
    assert_string_equal(http_pairs_get(&p, "password"), "a+b%20c\xc3\xa9");
    http_pairs_done(&p);
}

// .NET: boundary quoted, names not, a type with each part. Java: type, charset and encoding with each part.
static void a_form_with_part_headers_and_unquoted_names_is_read(void **state)
{
    struct http_pairs p;
    assert_int_equal(parse("Multipart/Form-Data; boundary=\"b 1:2\"",
                           "--b 1:2\r\nContent-Type: text/plain; charset=utf-8\r\n" DISPOSITION
                           "cmd\r\n\r\nx;y\r\n"
                           "--b 1:2  \r\n" DISPOSITION
                           "\"a;\\\"b\\\\\"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n"
                           "Content-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n--b 1:2--",
                           &p),
                     0);
    assert_int_equal(p.count, 2);
    assert_string_equal(http_pairs_get(&p, "cmd"), "x;y");
    assert_string_equal(http_pairs_get(&p, "a;\"b\\"), "\xc3\xa9");
    http_pairs_done(&p);
}

// Go sends fields without a value, and what looks nearly like a boundary may be in one.
static void values_may_be_empty_or_hold_what_looks_like_a_boundary(void **state)
{
    struct http_pairs p;
    assert_int_equal(parse("multipart/form-data; boundary=b",
                           "--b\r\n" DISPOSITION "\"e\"\r\n\r\n\r\n"
                           "--b\r\n" DISPOSITION "\"v\"\r\n\r\n\r\n--bb\r\n--b x\r\n x--b\r\n\r\n"
                           "--b\r\n" DISPOSITION "\"f\"; filename=\"f.txt\"\r\n\r\nfile\r\n"
                           "--b--\r\nepilogue",
                           &p),
                     0);
    assert_int_equal(p.count, 3);
    assert_string_equal(http_pairs_get(&p, "e"), "");
    assert_string_equal(http_pairs_get(&p, "v"), "\r\n--bb\r\n--b x\r\n x--b\r\n");
    assert_string_equal(http_pairs_get(&p, "f"), "file");
    http_pairs_done(&p);
}

static void a_form_without_fields_is_no_error(void **state)
{
    static const char *const bodies[] = {"", "--b--\r\n", "\r\n--b--\r\n", "preamble\r\n--b--"};
    struct http_pairs p;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(parse("multipart/form-data; boundary=b", bodies[i], &p), 0);
        assert_int_equal(p.count, 0);
        http_pairs_done(&p);
    }
}

static void what_would_have_to_be_guessed_is_refused(void **state)
{
    static const char whole[] = "--b\r\n" DISPOSITION "\"a\"\r\n\r\n1\r\n--b--\r\n";
    static const char too_long[] =
        "multipart/form-data; "
        "boundary=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    static const char *const types[] = {"multipart/form-data",
                                        "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
                                        "multipart/form-data; boundary=\"b", too_long};
    static const char *const bodies[] = {
        "--c\r\n",
        "--b\r\n" DISPOSITION "\"a\"\r\n\r\n1\r\n",
        "--b\r\n" DISPOSITION "\"a\"\r\n\r\n1\r\n--b",
        "--b\r\n\r\n1\r\n--b--\r\n",
        "--b\r\n" DISPOSITION "\"a\r\n\r\n1\r\n--b--\r\n",
        "--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--\r\n",
        "--b\r\n" DISPOSITION "a\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--b--\r\n",
    };
    struct http_pairs p;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        assert_int_equal(parse(types[i], whole, &p), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_int_equal(parse("multipart/form-data; boundary=b", bodies[i], &p), -EINVAL);
    struct str nul = STR_LIT("--b\r\n" DISPOSITION "a\r\n\r\n1\0002\r\n--b--\r\n");
    assert_int_equal(http_multipart_parse(STR_LIT("multipart/form-data; boundary=b"), nul, &p, NULL),
                     -EINVAL);
}

static void too_many_parts_are_refused(void **state)
{
    struct buf body = BUF_INIT;
    struct http_pairs p;
    for (int i = 0; i < 257; i++)
        buf_add_cstr(&body, "--b\r\n" DISPOSITION "a\r\n\r\n1\r\n");
    buf_add_cstr(&body, "--b--\r\n");
    assert_int_equal(parse("multipart/form-data; boundary=b", body.p, &p), -E2BIG);
    buf_done(&body);
}

static void a_cookie_is_found_among_others_and_in_an_echoed_set_cookie(void **state)
{
    static const struct {
        const char *field, *value; // NULL: none
    } cases[] = {
        {"PHPSESSID=x", "x"},
        {"a=b; PHPSESSID=x; c=d", "x"},
        {"PHPSESSID=\"x\"", "x"},
        {"PHPSESSID=", ""},
        {"PHPSESSID=x==", "x=="},
        {"PHPSESSID=x; path=/; secure; HttpOnly", "x"},
        {"csrfp_token=y; path=/; secure, PHPSESSID=x; path=/; HttpOnly", "x"},
        {"a=b; expires=Thu, 01 Jan 2026 00:00:00 GMT, PHPSESSID=x; path=/", "x"},
        {"PHPSESSID=x; PHPSESSID=y", "x"},
        {"", NULL},
        {"phpsessid=x; XPHPSESSID=x; PHPSESSID", NULL},
        {",;,; =", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str value = STR_NONE;
        bool found = cookie_find(str_of(cases[i].field), "PHPSESSID", &value);
        assert_int_equal(found, cases[i].value != NULL);
        assert_true(str_eq_cstr(value, cases[i].value ? cases[i].value : ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_of_one_header_line_a_part_is_read),
        cmocka_unit_test(a_form_with_part_headers_and_unquoted_names_is_read),
        cmocka_unit_test(values_may_be_empty_or_hold_what_looks_like_a_boundary),
        cmocka_unit_test(a_form_without_fields_is_no_error),
        cmocka_unit_test(what_would_have_to_be_guessed_is_refused),
        cmocka_unit_test(too_many_parts_are_refused),
        cmocka_unit_test(a_cookie_is_found_among_others_and_in_an_echoed_set_cookie),
    };
    return cmocka_run_group_tests_name("http_form", tests, NULL, NULL);
}
