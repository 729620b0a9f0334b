// common/registration/check: the rules that every dialect shares, and the field that each names.
#include "tests/unit/registration_fixture.h"

#include <errno.h>
#include <string.h>

typedef void change_fn(struct registration *r, const char *text);

static void contact(struct registration *r, const char *text)
{
    set(&r->contacts[0].uri, text);
}
static void quality(struct registration *r, const char *text)
{
    set(&r->contacts[0].q, text);
}
static void domain(struct registration *r, const char *text)
{
    set(&r->domain, text);
}
static void username(struct registration *r, const char *text)
{
    set(&r->username, text);
}
static void display(struct registration *r, const char *text)
{
    set(&r->display_username, text);
}
static void aor(struct registration *r, const char *text)
{
    set(&r->aor, text);
}
static void from(struct registration *r, const char *text)
{
    set(&r->from, text);
}
static void registrar(struct registration *r, const char *text)
{
    set(&r->registrar, text);
}
static void interface(struct registration *r, const char *text)
{
    set(&r->interface, text);
}
static void account(struct registration *r, const char *text)
{
    set(&r->account, text);
}
static void labels(struct registration *r, const char *text)
{
    set(&r->labels, text);
}
static void route(struct registration *r, const char *text)
{
    r->route_set[r->route_count++] = mem_dup_cstr("<sip:first;lr>");
    r->route_set[r->route_count++] = mem_dup_cstr(text);
}
static void credential_user(struct registration *r, const char *text)
{
    r->credentials[r->credential_count++] = (struct credential){.user = mem_dup_cstr(text)};
}
static void credential_realm(struct registration *r, const char *text)
{
    r->credentials[r->credential_count++] = (struct credential){.realm = mem_dup_cstr(text)};
}
static void no_contact(struct registration *r, const char *text)
{
    (void)text;
    free(r->contacts[0].uri);
    r->contact_count = 0;
}
static void contact_expires(struct registration *r, const char *text)
{
    r->contacts[0].expires = atoll(text);
}
static void flow_beside_another(struct registration *r, const char *text)
{
    contact(r, text);
    r->contacts[r->contact_count++] =
        (struct contact){.uri = mem_dup_cstr("sip:h"), .expires = REGISTRATION_UNSET};
}
static void flow_of_a_third_party(struct registration *r, const char *from)
{
    contact(r, "<sip:u@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1");
    set(&r->from, from);
}
// "realm/MD5/password"; "-" is none
static void clear_ha1(struct registration *r, const char *text)
{
    struct str rest = str_of(text), parts[3];
    char *texts[3];
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_split(&rest, '/', &parts[i]));
        texts[i] = str_eq_cstr(parts[i], "-") ? NULL : str_dup(parts[i]);
    }
    r->credentials[r->credential_count++] =
        (struct credential){.realm = texts[0], .ha1[HA1_MD5] = texts[1], .secret = texts[2], .clear = true};
}
static void clear_sha256(struct registration *r, const char *text)
{
    r->credentials[r->credential_count++] =
        (struct credential){.realm = mem_dup_cstr("r"), .ha1[HA1_SHA256] = mem_dup_cstr(text), .clear = true};
}
static void sealed_ha1(struct registration *r, const char *text)
{
    r->credentials[r->credential_count++] =
        (struct credential){.realm = mem_dup_cstr("r"), .ha1[HA1_MD5] = mem_dup_cstr(text)};
}
static void expires(struct registration *r, const char *text)
{
    r->expires = atoll(text);
}

struct rule_case {
    change_fn *change;
    const char *text;
    const char *field; // NULL: allowed
};

static const struct rule_case rule_cases[] = {
    {contact, "sip:user@domain", NULL},
    {contact, "sip:{username}@{local}", NULL},
    {contact, "<sip:{username}@{local};transport=tcp>;q=0.5", NULL},
    {contact, "<sip:alice@{local}>;expires=60", NULL},
    {contact, "\"Bob\" <sip:u@h>;x=1", NULL},
    {contact, "sips:u@h", NULL},
    {contact, "<sip:192.0.2.1;bnc>", NULL},
    {contact, "<sip:192.0.2.1;bnc=1>", "contacts"},
    {contact, "<sip:u@192.0.2.1;bnc>", "contacts"},
    {contact, "<sip:192.0.2.1;bnc;user=phone>", "contacts"},
    {contact, "sip:u@192.0.2.1;bnc", NULL}, // of the header, where it means nothing
    {contact, "<sip:u@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=2147483647", NULL},
    {contact, "<sip:u@h>;reg-id=0", "contacts"},
    {contact, "<sip:u@h>;reg-id=2147483648", "contacts"},
    {contact, "<sip:u@h>;reg-id=x", "contacts"},
    {contact, "<sip:alice@SIP.example.com>;+sip.instance=\"<urn:uuid:1>\"", "contacts"}, // the AoR
    {contact, "<sip:alice@sip.example.com:5060>;+sip.instance=\"<urn:uuid:1>\"", NULL},
    {contact, "<sip:alice@sip.example.com>", NULL},
    {flow_beside_another, "<sip:u@h>;reg-id=1", "contacts"},
    {flow_beside_another, "<sip:u@h>;+sip.instance=\"<urn:uuid:1>\"", NULL},
    {flow_of_a_third_party, "sip:other@sip.example.com", "contacts"},
    {flow_of_a_third_party, "\"Alice\" <sip:alice@SIP.example.com>", NULL},
    {contact, "sip:", "contacts"},
    {contact, "", "contacts"},
    {contact, "xsip:u", "contacts"},
    {contact, "sip:u@h:99999", "contacts"},
    {contact, "sip:u@h:abc", "contacts"},
    {contact, "sip:u@{local}:5060", "contacts"},
    {contact, "sip:{user}@h", "contacts"},
    {contact, "sip:u@h\r\nX: y", "contacts"},
    {contact, "sip:u@h, sip:v@h", "contacts"},
    {contact, "*", "contacts"},
    {no_contact, "", "contacts"},
    {quality, "0", NULL},
    {quality, "0.", "contacts"},
    {quality, "0.755", NULL},
    {quality, "1.000", NULL},
    {quality, "1.001", "contacts"},
    {quality, "0.1234", "contacts"},
    {quality, "2", "contacts"},
    {quality, "", "contacts"},
    {contact_expires, "1", NULL},
    {contact_expires, "4294967295", NULL},
    {contact_expires, "0", "contacts"},
    {contact_expires, "4294967296", "contacts"},
    {domain, "h:5070", NULL},
    {domain, "[::1]:5070", NULL},
    {domain, "", "domain"},
    {domain, NULL, "domain"},
    {domain, "u@h", "domain"},
    {domain, "h:0", "domain"},
    {domain, "h;transport=tcp", "domain"},
    {domain, "h\r\n", "domain"},
    {username, "user name", NULL},
    {username, "\xc3\xa9", NULL},
    {username, "", "username"},
    {username, NULL, "username"},
    {username, "a\nb", "username"},
    {username, "\xff", "username"},
    {display, "\"A\" \\ B, <c>", NULL},
    {display, "a\rb", "display_username"},
    {display, "\x7f", "display_username"},
    {aor, "sip:a@b", NULL},
    {aor, "a@b", "aor"},
    {aor, "<sip:a@b>", "aor"},
    {aor, "sip:a@{local}", NULL},
    {aor, "sips:a@{local}:5070;x=y", NULL},
    {aor, "sip:{local}", NULL},
    {aor, "sip:{local}@b", "aor"},
    {aor, "sip:{local}@{local}", "aor"},
    {aor, "sip:a@{local}.example", "aor"},
    {aor, "sip:a@{remote}", "aor"},
    {from, "\"x\" <sip:a@b>", NULL},
    {from, "sip:a@b", NULL},
    {from, "a@b", "from"},
    {from, "\"x\" <sip:a@{local}>", NULL},
    {from, "<sip:{local}@a>", "from"},
    {registrar, "sip:192.0.2.1:5070;transport=tcp", NULL},
    {registrar, "192.0.2.1", "registrar"},
    {registrar, "<sip:h>", "registrar"},
    {interface, "eth0", NULL},
    {interface, "eth0\n", "interface"},
    {account, "", "account"},
    {route, "sip:user@proxy-domain1", NULL},
    {route, "<sip:proxy;lr>", NULL},
    {route, "proxy", "route_set"},
    {route, "", "route_set"},
    {route, "<sip:a;lr>, <sip:b;lr>", "route_set"},
    {route, "<sip:proxy;lr>\r\nX: y", "route_set"},
    {credential_user, "a \"b\"", NULL},
    {credential_user, "a\nb", "credentials"},
    {credential_realm, "a\r", "credentials"},
    {clear_ha1, "r/0123456789abcdef0123456789abcdef/-", NULL},
    {clear_ha1, "-/0123456789abcdef0123456789abcdef/-", "credentials"},
    {clear_ha1, "r/0123456789abcdef0123456789abcdef/secret", "credentials"},
    {clear_ha1, "r/0123456789ABCDEF0123456789abcdef/-", "credentials"},
    {clear_ha1, "r/0123456789abcdef0123456789abcde/-", "credentials"},
    {clear_ha1, "r/0123456789abcdef0123456789abcdeg/-", "credentials"},
    {clear_sha256, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL},
    {clear_sha256, "0123456789abcdef0123456789abcdef", "credentials"},
    {sealed_ha1, "sealed:k1:AAAA", NULL},
    {expires, "4294967295", NULL},
    {expires, "-5", NULL},
    {expires, "4294967296", "expires"},
    {labels, "{\"a\":[1]}", NULL},
    {labels, "{\"a\":[1]", "labels"},
    {labels, "[1]", "labels"},
};

static void the_rules_name_the_field_they_refuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rule_cases); i++) {
        const struct rule_case *c = &rule_cases[i];
        const char *field = NULL;
        struct registration r;
        struct error err = {0};
        fill(&r);
        c->change(&r, c->text);
        int rc = registration_check(&r, &field, &err);
        if (rc != (c->field ? -EINVAL : 0) ||
            (c->field && (!field || strcmp(field, c->field) != 0 || !err.text[0])))
            fail_msg("case %zu \"%s\": rc %d, field %s, \"%s\"", i, c->text ? c->text : "", rc,
                     field ? field : "-", err.text);
        registration_done(&r);
    }
}

static void the_rules_bound_every_text(void **state)
{
    static const struct {
        change_fn *change;
        const char *start, *field;
    } cases[] = {{contact, "sip:u@h;x=", "contacts"},
                 {route, "sip:u@h;x=", "route_set"},
                 {aor, "sip:u@h;x=", "aor"},
                 {username, "", "username"},
                 {account, "", "account"},
                 {credential_user, "", "credentials"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text cleanup(buf_done) = BUF_INIT;
        struct registration r;
        const char *field = NULL;
        buf_add_cstr(&text, cases[i].start);
        while (text.n <= REGISTRATION_MAX_TEXT_BYTES)
            buf_add_char(&text, 'x');
        fill(&r);
        cases[i].change(&r, text.p);
        assert_int_equal(registration_check(&r, &field, NULL), -EINVAL);
        assert_string_equal(field, cases[i].field);
        registration_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_name_the_field_they_refuse),
        cmocka_unit_test(the_rules_bound_every_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
