// common/sip: what is a SIP URI, a name-addr, a parameter, and which URIs are the same.
#include "common/sip/uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

// Parsing from a heap copy of the exact length lets AddressSanitizer see a read past the end.
static char *exact(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    return copy;
}

static int parse_uri(const char *text, struct error *err)
{
    struct sip_uri u;
    char *copy = exact(text);
    int rc = sip_uri_parse(str_of_bytes(copy, strlen(text)), &u, err);
    free(copy);
    return rc;
}

static int parse_addr(const char *text, struct error *err)
{
    struct sip_addr a;
    char *copy = exact(text);
    int rc = sip_addr_parse(str_of_bytes(copy, strlen(text)), &a, err);
    free(copy);
    return rc;
}

static void each_must_parse(const char *const *texts, size_t count,
                            int (*parse)(const char *, struct error *))
{
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        if (parse(texts[i], &err))
            fail_msg("\"%s\" should parse: %s", texts[i], err.text);
    }
}

static void each_must_fail(const char *const *texts, size_t count, int (*parse)(const char *, struct error *))
{
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        if (parse(texts[i], &err) != -EINVAL || !err.text[0])
            fail_msg("\"%s\" should be refused with a sentence", texts[i]);
    }
}

static void takes_uris_of_the_grammar(void **state)
{
    static const char *const good[] = {
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "SIP:alice@atlanta.com",
        "SiPs:atlanta.com",
        "sip:proxy",
        "sip:proxy;lr",
        "sip:my_host.local:5060;lr;x=1",
        "sip:atlanta.com.",
        "sip:a@[2001:db8::1]",
        "sip:a@[::1]:5061;transport=tls",
        "sip:[::ffff:192.0.2.1]",
        "sip:a&=+$,;?/-_.!~*'()b@h",
        "sip:user%20name@h",
        "sip:a:@h",
        "sip:h:1",
        "sip:h:65535",
        "sip:h;maddr=[::1]",
        "sip:h?a=",
        "sip:1.example",
        "sip:3com.example",
        "sip:xn--mller-kva.example",
    };
    (void)state;
    each_must_parse(good, ARRAY_LEN(good), parse_uri);
}

static void refuses_uris_outside_the_grammar(void **state)
{
    static const char *const bad[] = {
        "sip:a@b;x=1;x=2",
        "sip:a@b;transport=tcp;TRANSPORT=udp",
        "sip:a@b;lr;l%72",
        "",
        "sip",
        "sip:",
        "sips:",
        "alice@atlanta.com",
        "xsip:u@h",
        "tel:+1212",
        "http://h",
        " sip:h",
        "sip:h ",
        "sip: h",
        "sip:@h",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@h",
        "sip:a%2@h",
        "sip:a%zz@h",
        "sip:a%",
        "sip:a#b@h",
        "sip:a\"b@h",
        "sip:a<b@h",
        "sip:a\\b@h",
        "sip:a:b:c@h",
        "sip:\xc3\xa9@h",
        "sip:u@h\r\nX: y",
        "sip:u@h;a=b\n",
        "sip:u\t@h",
        "sip:u@h:",
        "sip:u@h:0",
        "sip:u@h:65536",
        "sip:u@h:99999999999999999999",
        "sip:u@h:50a0",
        "sip:u@h:-1",
        "sip:u@h:+5",
        "sip:u@h:5060:5060",
        "sip:u@h: 5060",
        "sip:u@.h",
        "sip:u@h..i",
        "sip:u@h.i..",
        "sip:u@.",
        "sip:u@-h",
        "sip:u@h-",
        "sip:u@h!",
        "sip:u@300.1.1.1",
        "sip:u@1.2.3",
        "sip:u@1.2.3.4.5",
        "sip:u@01.2.3.4.",
        "sip:u@12",
        "sip:u@::1",
        "sip:u@[::1",
        "sip:u@[]",
        "sip:u@[::g]",
        "sip:u@[192.0.2.1]",
        "sip:u@[::1]5060",
        "sip:u@[fe80::1%eth0]",
        "sip:h;",
        "sip:h;;lr",
        "sip:h;lr;",
        "sip:h;=x",
        "sip:h;a=",
        "sip:h;a b",
        "sip:h;a=\"b\"",
        "sip:h;a=b=c",
        "sip:h?",
        "sip:h?a",
        "sip:h?=a",
        "sip:h?a=b&",
        "sip:h?a=b&&c=d",
        "sip:h?a=<b>",
        "sip:{local}",
    };
    (void)state;
    each_must_fail(bad, ARRAY_LEN(bad), parse_uri);
}

static void refuses_what_is_far_too_long(void **state)
{
    (void)state;
    char text[5000];
    struct sip_uri u;
    memset(text, 'a', sizeof(text));
    memcpy(text, "sip:", 4);
    text[4998] = '@';
    assert_int_equal(sip_uri_parse(str_of_bytes(text, sizeof(text)), &u, NULL), -EINVAL);
    assert_int_equal(sip_uri_parse(STR_LIT("sip:a\0b@h"), &u, NULL), -EINVAL);
    assert_int_equal(sip_uri_parse(STR_NONE, &u, NULL), -EINVAL);
}

static void gives_the_parts_of_a_uri(void **state)
{
    (void)state;
    struct sip_uri u;
    assert_int_equal(
        sip_uri_parse(STR_LIT("sips:a%20b:pw@[2001:DB8::1]:5061;transport=tcp;lr?a=b&c=d"), &u, NULL), 0);
    assert_true(u.sips && u.ipv6);
    assert_true(str_eq_cstr(u.user, "a%20b"));
    assert_true(str_eq_cstr(u.password, "pw"));
    assert_true(str_eq_cstr(u.host, "2001:DB8::1"));
    assert_int_equal(u.port, 5061);
    assert_true(str_eq_cstr(u.port_text, "5061"));
    assert_true(str_eq_cstr(u.params, ";transport=tcp;lr"));
    assert_true(str_eq_cstr(u.headers, "a=b&c=d"));
    assert_int_equal(sip_uri_parse(STR_LIT("sip:proxy"), &u, NULL), 0);
    assert_null(u.user.p);
    assert_null(u.password.p);
    assert_int_equal(u.port, 0);
    assert_int_equal(u.params.n + u.headers.n + u.port_text.n + u.user.n, 0);
}

static void a_failure_leaves_the_result_alone(void **state)
{
    (void)state;
    struct sip_uri u = {.port = 77};
    assert_int_equal(sip_uri_parse(STR_LIT("sip:u@h:0"), &u, NULL), -EINVAL);
    assert_int_equal(sip_hostport_parse(STR_LIT("h:0"), &u, NULL), -EINVAL);
    assert_int_equal(u.port, 77);
}

static void takes_addresses_as_headers_hold_them(void **state)
{
    static const char *const good[] = {
        "sip:u@h",
        "  sip:u@h\t",
        "sip:u@h;q=0.5;expires=60",
        "sip:u@h ;q=1",
        "<sip:u@h>",
        "<sip:proxy;lr>",
        "sip:proxy;lr",
        "Bob <sip:u@h>",
        "Bob Smith <sip:u@h>;x=1",
        "\"Bob\" <sip:u@h>;x=1",
        "\"Bob \\\"the\\\\ <man>, \"<sip:u@h;a=b?c=d>",
        "\"\xc3\xa9t\xc3\xa9\" <sip:u@h>",
        "\"\" <sip:u@h>",
        "<sip:u;a=b,c?d@h>",
        "<sip:u@h>;+sip.instance=\"<urn:uuid:0;1,2>\";reg-id=1",
        "<sip:u@h> ; expires = 60 ; q = 0.1",
        "<sip:u@h>;received=[::1]:5060;rport",
        "<sip:u@h>;received=sip:192.0.2.1:5060",
    };
    (void)state;
    each_must_parse(good, ARRAY_LEN(good), parse_addr);
}

static void refuses_addresses_that_could_be_read_two_ways(void **state)
{
    static const char *const bad[] = {
        "",
        "*",
        "sip:",
        "<>",
        "<sip:>",
        "<sip:u@h",
        "sip:u@h>",
        "sip:u@h>;x=1",
        "<<sip:u@h>>",
        "<sip:u@h>x",
        "<sip:u@h> x=1",
        "<sip:u@h>, <sip:v@h>",
        "sip:u@h, sip:v@h",
        "sip:u,v@h",
        "sip:u@h?a=b",
        "sip:u;a=b@h",
        "\"Bob <sip:u@h>",
        "\"Bob\" x <sip:u@h>",
        "\"Bob\\\" <sip:u@h>",
        "\"Bob\"",
        "B,ob <sip:u@h>",
        "B\"o\"b <sip:u@h>",
        "\xc3\xa9t\xc3\xa9 <sip:u@h>",
        "\"\xe9t\xe9\" <sip:u@h>",
        "\"Bob\r\nX: y\" <sip:u@h>",
        "\"Bob\x01\" <sip:u@h>",
        "<sip:u@h>;",
        "<sip:u@h>;;x",
        "<sip:u@h>;=1",
        "<sip:u@h>;a=",
        "<sip:u@h>;a b",
        "<sip:u@h>;a=b c",
        "<sip:u@h>;a=\"b",
        "<sip:u@h>;a=b,c",
        "<sip:u@h>;a=<b>",
        "< sip:u@h>",
        "<tel:+123>",
    };
    (void)state;
    each_must_fail(bad, ARRAY_LEN(bad), parse_addr);
}

static void gives_the_parts_of_an_address(void **state)
{
    (void)state;
    struct sip_addr a;
    struct str value;
    assert_int_equal(
        sip_addr_parse(STR_LIT("\"A \\\"B\\\"\" <sip:u@h;lr>;Q=1; expires=\"6;0\" ;rport"), &a, NULL), 0);
    assert_true(a.brackets);
    assert_true(str_eq_cstr(a.display, "A \\\"B\\\""));
    assert_true(str_eq_cstr(a.uri_text, "sip:u@h;lr"));
    assert_true(str_eq_cstr(a.uri.params, ";lr"));
    assert_true(sip_param_get(a.params, "q", &value) && str_eq_cstr(value, "1"));
    assert_true(sip_param_get(a.params, "expires", &value) && str_eq_cstr(value, "\"6;0\""));
    assert_true(sip_param_get(a.params, "rport", &value) && value.n == 0);
    assert_false(sip_param_get(a.params, "expire", &value));
    assert_false(sip_param_get(a.params, "0\"", &value));
    assert_false(sip_param_get(STR_NONE, "q", &value));
}

static void parameters_without_brackets_belong_to_the_header(void **state)
{
    (void)state;
    struct sip_addr a;
    assert_int_equal(sip_addr_parse(STR_LIT("sip:u@h;expires=60"), &a, NULL), 0);
    assert_false(a.brackets);
    assert_true(str_eq_cstr(a.uri_text, "sip:u@h"));
    assert_int_equal(a.uri.params.n, 0);
    assert_true(str_eq_cstr(a.params, ";expires=60"));
}

static void a_domain_is_host_and_port_alone(void **state)
{
    static const char *const good[] = {"sip.example.com", "h:5070", "192.0.2.1", "192.0.2.1:1", "::1",
                                       "2001:db8::5060",  "[::1]",  "[::1]:5061"};
    static const char *const bad[] = {"",     "h:",      "h:0",  "h;lr",  "u@h", "sip:h",   "h ",
                                      ":506", "[::1]:",  "[::1", "h?a=b", "h/x", "h\r\n",   "256.1.1.1",
                                      "<h>",  "::1:5:x", ",",    "h,i",   "[h]", "h:5060 ", "1.2.3.4:99999"};
    (void)state;
    struct sip_uri u;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (sip_hostport_parse(str_of(good[i]), &u, NULL))
            fail_msg("\"%s\" should parse", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!sip_hostport_parse(str_of(bad[i]), &u, NULL))
            fail_msg("\"%s\" should be refused", bad[i]);
    assert_int_equal(sip_hostport_parse(STR_LIT("2001:db8::5060"), &u, NULL), 0);
    assert_true(u.ipv6 && u.port == 0 && str_eq_cstr(u.host, "2001:db8::5060"));
    assert_int_equal(sip_hostport_parse(STR_LIT("[::1]:5061"), &u, NULL), 0);
    assert_true(u.ipv6 && u.port == 5061 && str_eq_cstr(u.host, "::1"));
}

static void cuts_header_lists_at_their_commas_only(void **state)
{
    (void)state;
    struct str rest = STR_LIT(" \"a, <b\" <sip:u,v@h>;x=\"1,\\\"2\" ,, sip:w@h\t,<sip:x@h>,"), e;
    assert_true(sip_list_next(&rest, &e));
    assert_true(str_eq_cstr(e, "\"a, <b\" <sip:u,v@h>;x=\"1,\\\"2\""));
    assert_true(sip_list_next(&rest, &e) && str_eq_cstr(e, "sip:w@h"));
    assert_true(sip_list_next(&rest, &e) && str_eq_cstr(e, "<sip:x@h>"));
    assert_false(sip_list_next(&rest, &e));
    rest = STR_LIT("\"never closed, sip:u@h");
    assert_true(sip_list_next(&rest, &e) && str_eq_cstr(e, "\"never closed, sip:u@h"));
    assert_false(sip_list_next(&rest, &e));
    rest = STR_LIT(" , ,");
    assert_false(sip_list_next(&rest, &e));
}

struct pair {
    const char *a, *b;
    bool equal;
};

// The first two groups are the examples of RFC 3261 19.1.4.
static const struct pair pairs[] = {
    {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
    {"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
    {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
    {"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
    {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
     "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
    {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
     "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},

    {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
    {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
    {"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
    {"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
    {"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
    {"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},

    {"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
    {"sip:u@h;user=phone", "sip:u@h", false},
    {"sip:u@h;ttl=1", "sip:u@h", false},
    {"sip:u@h;method=INVITE", "sip:u@h", false},
    {"sip:u@h;maddr=192.0.2.1", "sip:u@h", false},
    {"sip:u@h;MAddr=192.0.2.1", "sip:u@h", false},
    {"sip:u@h;lr", "sip:u@h", true},
    {"sip:u@h;lr", "sip:u@h;lr=on", false},
    {"sip:u@h;x=A%42", "sip:u@h;X=abc", false},
    {"sip:u@h;x=A%42c", "sip:u@h;X=abC", true},
    {"sips:u@h", "sip:u@h", false},
    {"sip:u@h", "sip:h", false},
    {"sip:u:@h", "sip:u@h", false},
    {"sip:u:p@h", "sip:u:P@h", false},
    {"sip:u:p@h", "sip:u:%70@h", true},
    {"sip:U@h", "sip:u@h", false},
    {"sip:u%20x@h", "sip:u%20X@h", false},
    {"sip:a%2Bb@h", "sip:a+b@h", false}, // reserved: escaped is another URI
    {"sip:a%2Bb@h", "sip:a%2bb@h", true},
    {"sip:%7e@h", "sip:~@h", true},
    {"sip:u@h:05060", "sip:u@h:5060", true},
    {"sip:u@[2001:db8::1]", "sip:u@[2001:0DB8:0::1]", true},
    {"sip:u@[2001:db8::1]", "sip:u@[2001:db8::2]", false},
    {"sip:u@h?a=b&a=c", "sip:u@h?a=b", false},
    {"sip:u@h?A=b", "sip:u@h?a=b", true},
    {"sip:u@hh", "sip:u@h", false},
    {"sip:uu@h", "sip:u@h", false},
};

static bool same(const char *a, const char *b)
{
    struct sip_uri x, y;
    assert_int_equal(sip_uri_parse(str_of(a), &x, NULL), 0);
    assert_int_equal(sip_uri_parse(str_of(b), &y, NULL), 0);
    return sip_uri_equal(&x, &y);
}

static void compares_as_the_rfc_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (same(pairs[i].a, pairs[i].b) != pairs[i].equal || same(pairs[i].b, pairs[i].a) != pairs[i].equal)
            fail_msg("%s and %s should %sbe equal", pairs[i].a, pairs[i].b, pairs[i].equal ? "" : "not ");
        assert_true(same(pairs[i].a, pairs[i].a) && same(pairs[i].b, pairs[i].b));
    }
}

static void quoting_a_name_gives_it_back(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    struct sip_addr a;
    sip_quote(&out, STR_LIT("A \"B\" \\ <c>, d"));
    assert_string_equal(out.p, "\"A \\\"B\\\" \\\\ <c>, d\"");
    buf_add_cstr(&out, " <sip:u@h>");
    assert_int_equal(sip_addr_parse(buf_str(&out), &a, NULL), 0);
    assert_true(str_eq_cstr(a.display, "A \\\"B\\\" \\\\ <c>, d"));
}

static void any_user_escapes_into_a_uri_that_parses(void **state)
{
    (void)state;
    struct buf out cleanup(buf_done) = BUF_INIT;
    struct sip_uri u;
    sip_escape_user(&out, STR_LIT("user name@x+1;a=b%:\"<>\r\n\xc3\xa9"));
    assert_string_equal(out.p, "user%20name%40x+1;a=b%25%3A%22%3C%3E%0D%0A%C3%A9");
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        buf_clear(&out);
        buf_add_cstr(&out, "sip:");
        sip_escape_user(&out, str_of_bytes(&byte, 1));
        buf_add_cstr(&out, "@h");
        assert_int_equal(sip_uri_parse(buf_str(&out), &u, NULL), 0);
        assert_true(str_eq_cstr(u.host, "h") && u.user.n && !u.password.p);
    }
}

static void only_text_without_controls_is_safe(void **state)
{
    static const char *const good[] = {"",         "a\tb",         "user name",
                                       "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    static const char *const bad[] = {"a\rb",
                                      "a\nb",
                                      "\x01",
                                      "\x1b[0m",
                                      "\x7f",
                                      "\x80",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xe0\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xc3\x28",
                                      "\xf4\x90\x80\x80"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!sip_text_is_safe(str_of(good[i])))
            fail_msg("text %zu is safe", i);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (sip_text_is_safe(str_of(bad[i])))
            fail_msg("text %zu is not safe", i);
    assert_false(sip_text_is_safe(STR_LIT("a\0b")));
}

// Whatever the bytes are, nothing is read outside them, and what parses holds no byte that ends a header.
static void damaged_addresses_never_smuggle_a_line(void **state)
{
    static const char seed[] = "\"Bob \\\"x\" <sip:u%20:p@[::1]:5060;lr;a=b?c=d&e=f>;q=0.5;i=\"<urn:1;2>\"";
    static const char bytes[] = "\r\n\t \"<>;,?&=@:%[]\\.*a0\x80";
    (void)state;
    unsigned parsed = 0;
    for (size_t at = 0; at + 1 < sizeof(seed); at++) {
        for (size_t b = 0; b < sizeof(bytes); b++) {
            size_t n = sizeof(seed) - 1;
            char *copy = malloc(n);
            memcpy(copy, seed, n);
            copy[at] = bytes[b];
            struct sip_addr a;
            if (!sip_addr_parse(str_of_bytes(copy, n), &a, NULL)) {
                parsed++;
                assert_true(sip_text_is_safe(str_of_bytes(copy, n)));
                assert_true(sip_uri_equal(&a.uri, &a.uri));
            }
            struct str rest = str_of_bytes(copy, n), element;
            while (sip_list_next(&rest, &element))
                assert_true(element.n > 0);
            free(copy);
        }
    }
    assert_in_range(parsed, 100, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_uris_of_the_grammar),
        cmocka_unit_test(refuses_uris_outside_the_grammar),
        cmocka_unit_test(refuses_what_is_far_too_long),
        cmocka_unit_test(gives_the_parts_of_a_uri),
        cmocka_unit_test(a_failure_leaves_the_result_alone),
        cmocka_unit_test(takes_addresses_as_headers_hold_them),
        cmocka_unit_test(refuses_addresses_that_could_be_read_two_ways),
        cmocka_unit_test(gives_the_parts_of_an_address),
        cmocka_unit_test(parameters_without_brackets_belong_to_the_header),
        cmocka_unit_test(a_domain_is_host_and_port_alone),
        cmocka_unit_test(cuts_header_lists_at_their_commas_only),
        cmocka_unit_test(compares_as_the_rfc_says),
        cmocka_unit_test(quoting_a_name_gives_it_back),
        cmocka_unit_test(any_user_escapes_into_a_uri_that_parses),
        cmocka_unit_test(only_text_without_controls_is_safe),
        cmocka_unit_test(damaged_addresses_never_smuggle_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
