// What keeps one dialect from spoiling another's registrations: identity.c and labels.c.
#include "common/base/mem.h"
#include "services/gateway/dialect/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka needs those above
#include <cmocka.h>

static void make(struct registration *r, const char *aor)
{
    registration_init(r);
    r->username = mem_dup_cstr("alice");
    r->domain = mem_dup_cstr("example.com");
    r->aor = mem_dup_cstr(aor);
    r->registrar = mem_dup_cstr("sip:192.0.2.1:5070");
}

static void check_aor(const char *before, enum registration_scheme scheme, const char *username,
                      const char *after)
{
    struct registration r cleanup(registration_done);
    make(&r, before);
    dialect_set_identity(&r, scheme, str_of(username), str_of(r.domain));
    assert_string_equal(r.username, username);
    assert_int_equal(r.scheme, scheme);
    assert_string_equal(r.aor, after);
    assert_non_null(r.registrar);
}

static void an_address_of_record_follows_user_and_scheme_and_keeps_its_host(void **state)
{
    (void)state;
    check_aor("sip:alice@{local}", SCHEME_SIP, "bob", "sip:bob@{local}");
    check_aor("sip:alice@other.example:5070", SCHEME_SIPS, "alice", "sips:alice@other.example:5070");
    check_aor("sip:al%69ce@{local}", SCHEME_SIP, "b b", "sip:b%20b@{local}");
    check_aor("sip:al%69ce@{local}", SCHEME_SIP, "alice", "sip:al%69ce@{local}");
    check_aor("sip:main-number@{local}", SCHEME_SIP, "bob", "sip:main-number@{local}");
    check_aor("sip:other.example", SCHEME_SIP, "bob", "sip:other.example");
    check_aor("sip:other.example", SCHEME_SIPS, "alice", "sips:other.example");
}

static void another_domain_gives_a_registrar_of_its_own_up(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    make(&r, NULL);
    dialect_set_identity(&r, SCHEME_SIP, str_of(r.username), STR_LIT("EXAMPLE.com"));
    assert_string_equal(r.domain, "EXAMPLE.com");
    assert_non_null(r.registrar);
    dialect_set_identity(&r, SCHEME_SIP, str_of(r.username), STR_LIT("example.com:5080"));
    assert_string_equal(r.domain, "example.com:5080");
    assert_null(r.registrar);
    assert_null(r.aor);
}

static void a_new_one_takes_what_is_given(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    registration_init(&r);
    dialect_set_identity(&r, SCHEME_SIPS, STR_LIT("alice"), str_of(r.domain));
    assert_string_equal(r.username, "alice");
    assert_null(r.domain);
}

// ---- labels

static void check_label(const char *before, const char *name, const char *object, const char *after)
{
    struct registration r cleanup(registration_done);
    struct buf text cleanup(buf_done) = BUF_INIT;
    registration_init(&r);
    r.labels = mem_dup_cstr(before);
    buf_add_cstr(&text, object);
    dialect_set_label(&r, name, &text);
    if (after)
        assert_string_equal(r.labels, after);
    else
        assert_null(r.labels);
}

static void a_label_is_written_in_its_place_and_the_others_stay(void **state)
{
    (void)state;
    check_label("{\"a\":{\"x\":[1,null]},\"b\":{\"y\":2},\"c\":3}", "b", "{\"z\":4}",
                "{\"a\":{\"x\":[1,null]},\"b\":{\"z\":4},\"c\":3}");
    check_label("{\"a\":{\"x\":1},\"b\":{\"y\":2}}", "a", "{}", "{\"b\":{\"y\":2}}");
    check_label("{\"a\":{\"x\":1}}", "b", "{\"y\":2}", "{\"a\":{\"x\":1},\"b\":{\"y\":2}}");
    check_label("{\"a\":{\"x\":1}}", "a", "{}", NULL);
    check_label(NULL, "a", "{}", NULL);
    check_label(NULL, "a", "{\"x\":1}", "{\"a\":{\"x\":1}}");
    check_label("[1", "a", "{\"x\":1}", "{\"a\":{\"x\":1}}");
    check_label("[1]", "a", "{\"x\":1}", "{\"a\":{\"x\":1}}");
}

static void an_indexed_text_comes_and_goes(void **state)
{
    (void)state;
    struct registration r cleanup(registration_done);
    registration_init(&r);
    dialect_set_index(&r, "one", STR_LIT("a\"b"));
    dialect_set_index(&r, "two", STR_LIT("2"));
    assert_string_equal(r.labels, "{\"index\":{\"one\":\"a\\\"b\",\"two\":\"2\"}}");
    dialect_set_index(&r, "one", STR_LIT("1"));
    assert_string_equal(r.labels, "{\"index\":{\"one\":\"1\",\"two\":\"2\"}}");
    dialect_set_index(&r, "one", STR_NONE);
    dialect_set_index(&r, "two", STR_NONE);
    assert_null(r.labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_of_record_follows_user_and_scheme_and_keeps_its_host),
        cmocka_unit_test(another_domain_gives_a_registrar_of_its_own_up),
        cmocka_unit_test(a_new_one_takes_what_is_given),
        cmocka_unit_test(a_label_is_written_in_its_place_and_the_others_stay),
        cmocka_unit_test(an_indexed_text_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
