// services/gateway/auth: the file of accounts, users and keys: what it gives, and what is refused with which
// words.
#include "common/base/buf.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/auth/principals_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs those above
#include <cmocka.h>

#define USER(id, name, account, more)                                                                        \
    "{\"id\":" #id ",\"username\":\"" name "\",\"password\":\"$6$x\",\"account\":\"" account "\"" more "}"
// SHA-256 of "secret"
#define DIGEST "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

static struct principals *good(const char *text)
{
    struct principals *p = NULL;
    struct error err = {0};
    if (principals_parse(str_of(text), &p, &err))
        fail_msg("%s", err.text);
    return p;
}

static void refused(const char *text, const char *cause)
{
    struct principals *p = NULL;
    struct error err = {0};
    assert_int_equal(principals_parse(str_of(text), &p, &err), -EINVAL);
    assert_null(p);
    if (!strstr(err.text, cause))
        fail_msg("\"%s\" does not say \"%s\"", err.text, cause);
}

// ---- what a file gives

static const char family[] =
    "{\"accounts\":[{\"name\":\"top\",\"title\":\"The Top\",\"number\":7,\"realm\":\"Top.Example\","
    "\"phone_number\":\"+4930\",\"hex_id\":\"00112233445566778899aabbccddeeff\",\"system\":true},"
    "{\"name\":\"mid\",\"parent\":\"top\",\"voximplant\":{\"price\":3}},{\"name\":\"low\",\"parent\":\"mid\"}"
    "],"
    "\"users\":[" USER(1, "ann", "mid",
                       ",\"roles\":[\"support\",\"admin\"],\"credentials_md5\":\"$6$m\"") "]}";

static void an_account_is_found_by_all_that_names_it(void **state)
{
    (void)state;
    struct principals *p = good(family);
    const struct account *top = principals_account(p, STR_LIT("top"));
    assert_non_null(top);
    assert_ptr_equal(top, principals_account_by_number(p, 7));
    assert_ptr_equal(top, principals_account_by_hex_id(p, STR_LIT("00112233445566778899aabbccddeeff")));
    assert_ptr_equal(top, principals_account_by_title(p, STR_LIT("the top")));
    assert_ptr_equal(top, principals_account_by_realm(p, STR_LIT("TOP.example")));
    assert_ptr_equal(top, principals_account_by_phone(p, STR_LIT("+4930")));
    assert_string_equal(top->realm, "Top.Example");
    assert_true(top->is_system);
    assert_null(principals_account(p, STR_LIT("to")));
    assert_null(principals_account(p, STR_NONE));
    assert_null(principals_account_by_number(p, 0));
    principals_unref(p);
}

static void an_account_without_more_has_the_title_and_the_hex_id_of_its_name(void **state)
{
    (void)state;
    struct principals *p = good(family);
    const struct account *low = principals_account(p, STR_LIT("low"));
    assert_string_equal(low->title, "low");
    assert_string_equal(low->hex_id, "6c1ff09db3a73dc4a854f695d20d174a");
    assert_null(low->realm);
    assert_null(low->phone_number);
    assert_false(low->is_system);
    principals_unref(p);
}

static void a_dialect_finds_its_own_settings_in_the_account(void **state)
{
    (void)state;
    struct principals *p = good(family);
    const struct json *own = json_get(principals_account(p, STR_LIT("mid"))->settings, "voximplant");
    assert_int_equal(json_u64_or(json_get(own, "price"), 0), 3);
    principals_unref(p);
}

static void an_account_is_within_itself_and_all_above_it(void **state)
{
    (void)state;
    struct principals *p = good(family);
    const struct account *top = principals_account_at(p, 0), *low = principals_account_at(p, 2);
    assert_int_equal(principals_account_count(p), 3);
    assert_true(account_is_within(low, top));
    assert_true(account_is_within(low, low));
    assert_false(account_is_within(top, low));
    principals_unref(p);
}

static void a_file_of_users_alone_makes_their_accounts(void **state)
{
    (void)state;
    struct principals *p = good("{\"users\":[" USER(1, "ann", "acme", "") "," USER(
        2, "bob", "acme", "") "," USER(3, "eve", "Acme", "") "]}");
    const struct principal *ann = principals_by_username(p, STR_LIT("ann"));
    assert_int_equal(principals_account_count(p), 2); // names differ in case, hence accounts
    assert_ptr_equal(ann, principals_by_id(p, 1));
    assert_ptr_equal(ann->account, principals_by_username(p, STR_LIT("bob"))->account);
    assert_string_equal(principals_by_username(p, STR_LIT("eve"))->account->name, "Acme");
    assert_int_equal(ann->roles, ROLE_BIT(ROLE_OWNER));
    assert_null(ann->account->settings);
    assert_null(ann->credentials_md5);
    assert_string_equal(principals_decoy_hash(p), "$6$x");
    principals_unref(p);
}

static void an_api_key_is_found_by_its_text(void **state)
{
    (void)state;
    struct principals *p = good("{\"keys\":[{\"id\":\"k1\",\"account\":\"acme\",\"roles\":[\"support\"],"
                                "\"api_key_sha256\":\"" DIGEST "\"}]}");
    const struct principal *k = principals_by_api_key(p, STR_LIT("secret"));
    assert_non_null(k);
    assert_string_equal(k->username, "k1");
    assert_string_equal(k->account->name, "acme");
    assert_int_equal(k->id, 0);
    assert_null(k->password_hash);
    assert_true(principal_allows_ip(k, STR_LIT("192.0.2.1")));
    assert_null(principals_by_api_key(p, STR_LIT("Secret")));
    assert_null(principals_by_api_key(p, STR_NONE));
    assert_null(principals_by_username(p, STR_LIT("k1"))); // no password opens a key
    assert_non_null(principals_decoy_hash(p));
    principals_unref(p);
}

static void roles_say_what_a_principal_may(void **state)
{
    (void)state;
    static const struct {
        enum role role;
        bool writes, deploys;
    } rows[ROLE_COUNT] = {
        {ROLE_OWNER, true, true},        {ROLE_ADMIN, true, true},        {ROLE_DEVELOPER, true, false},
        {ROLE_SUPERVISOR, false, false}, {ROLE_ACCOUNTANT, false, false}, {ROLE_SUPPORT, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct principal p = {.roles = ROLE_BIT(rows[i].role)};
        assert_true(principal_may(&p, MAY_READ));
        assert_int_equal(principal_may(&p, MAY_WRITE), rows[i].writes);
        assert_int_equal(principal_may(&p, MAY_DEPLOY), rows[i].deploys);
    }
    struct principals *p = good(family);
    const struct principal *ann = principals_by_username(p, STR_LIT("ann"));
    assert_int_equal(ann->roles, ROLE_BIT(ROLE_SUPPORT) | ROLE_BIT(ROLE_ADMIN));
    assert_true(principal_may(ann, MAY_DEPLOY));
    assert_string_equal(ann->credentials_md5, "$6$m");
    principals_unref(p);
}

static void a_set_lives_as_long_as_somebody_holds_it(void **state)
{
    (void)state;
    struct principals_box *box = principals_box_new(good(family));
    struct principals *held = principals_box_get(box);
    principals_box_swap(box, good("{\"users\":[" USER(9, "new", "acme", "") "]}"));
    assert_non_null(principals_by_username(held, STR_LIT("ann")));
    principals_unref(held);
    struct principals *present = principals_box_get(box);
    assert_null(principals_by_username(present, STR_LIT("ann")));
    assert_non_null(principals_by_id(present, 9));
    principals_unref(present);
    principals_box_free(box);
}

// ---- what is refused

static void what_is_no_json_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("", "empty");
    refused("{", "line 1");
    refused("{\n\"users\": [\n}", "line 3: ");
    refused("{\n\"users\": [],\n\"users\": []}", "stands twice");
    refused("{\n\"users\": [\n{\"id\": 1,\n\"id\": 2}]}", "line 4: ");
    refused("{\"users\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", "line 1: nested deeper");
}

static void each_mistake_is_refused_with_the_member_it_is_in(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cause;
    } rows[] = {
        {"[]", "the file takes an object"},
        {"{}", "all empty"},
        {"{\"users\":[]}", "users"},
        {"{\"users\":{}}", "users takes an array"},
        {"{\"user\":[]}", "user is not a member"},
        {"{\"us\\ners\":[]}", "us?ers is not a member"},
        {"{\"users\":[3]}", "users[0] takes an object"},
        {"{\"users\":[" USER(0, "a", "b", "") "]}", "users[0].id"},
        {"{\"users\":[" USER(-1, "a", "b", "") "]}", "users[0].id"},
        {"{\"users\":[" USER(1.5, "a", "b", "") "]}", "users[0].id"},
        {"{\"users\":[" USER(9007199254740992, "a", "b", "") "]}", "users[0].id"},
        {"{\"users\":[" USER(1, "", "b", "") "]}", "users[0].username"},
        {"{\"users\":[" USER(1, "a\\u0000", "b", "") "]}", "users[0].username"},
        {"{\"users\":[" USER(1, "a\\n", "b", "") "]}", "users[0].username"},
        {"{\"users\":[" USER(1, "a", "", "") "]}", "users[0].account"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"account\":\"b\"}]}", "users[0].password"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"account\":\"b\",\"password\":\"plain\"}]}", "crypt(3)"},
        {"{\"users\":[{\"id\":1,\"username\":\"a\",\"account\":\"b\",\"password\":\"$nothing$x\"}]}",
         "users[0].password takes a crypt(3)"},
        {"{\"users\":[" USER(1, "a", "b", ",\"role\":[\"support\"]") "]}", "users[0].role is not a member"},
        {"{\"users\":[" USER(1, "a", "b", ",\"roles\":[]") "]}", "users[0].roles takes"},
        {"{\"users\":[" USER(1, "a", "b", ",\"roles\":null") "]}", "users[0].roles takes"},
        {"{\"users\":[" USER(1, "a", "b", ",\"roles\":\"admin\"") "]}", "users[0].roles takes"},
        {"{\"users\":[" USER(1, "a", "b", ",\"roles\":[\"admin\",\"Owner\"]") "]}",
         "users[0].roles[1] takes"},
        {"{\"users\":[" USER(1, "a", "b", ",\"roles\":[\"admin\",\"admin\"]") "]}",
         "users[0].roles[1] stands"},
        {"{\"users\":[" USER(1, "a", "b", ",\"allowed_ips\":[\"::1\",\"192.0.2.0/33\"]") "]}",
         "users[0].allowed_ips[1]"},
        {"{\"users\":[" USER(1, "a", "b", ",\"allowed_ips\":[\"192.0.2.1\\u0000\"]") "]}", "allowed_ips[0]"},
        {"{\"users\":[" USER(1, "a", "b", ",\"credentials_sha\":\"da39a3ee\"") "]}",
         "users[0].credentials_sha takes a crypt(3)"},
        {"{\"users\":[" USER(1, "a", "b", "") "," USER(1, "c", "b", "") "]}", "users[1].id stands twice"},
        {"{\"users\":[" USER(1, "a", "b", "") "," USER(2, "a", "b", "") "]}",
         "users[1].username stands twice"},
        {"{\"accounts\":[{}]}", "accounts[0].name"},
        {"{\"accounts\":[{\"name\":\"a\",\"relam\":\"x\"}]}", "accounts[0].relam is not"},
        {"{\"accounts\":[{\"name\":\"a\",\"number\":0}]}", "accounts[0].number"},
        {"{\"accounts\":[{\"name\":\"a\",\"system\":1}]}", "accounts[0].system takes true"},
        {"{\"accounts\":[{\"name\":\"a\",\"hex_id\":\"00112233445566778899AABBCCDDEEFF\"}]}", "lower case"},
        {"{\"accounts\":[{\"name\":\"a\",\"kazoo\":[]}]}", "accounts[0].kazoo takes an object"},
        {"{\"accounts\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "accounts[1].name"},
        {"{\"accounts\":[{\"name\":\"a:by:domain\"}]}", "accounts[0].name must not hold :by:"},
        {"{\"users\":[" USER(1, "x", "a:by:username:b", "") "]}", "users[0].account must not hold :by:"},
        {"{\"accounts\":[{\"name\":\"a\",\"number\":1},{\"name\":\"b\",\"number\":1}]}",
         "accounts[1].number"},
        {"{\"accounts\":[{\"name\":\"a\",\"realm\":\"X\"},{\"name\":\"b\",\"realm\":\"x\"}]}",
         "accounts[1].realm"},
        {"{\"accounts\":[{\"name\":\"a\",\"phone_number\":\"1\"},{\"name\":\"b\",\"phone_number\":\"1\"}]}",
         "accounts[1].phone_number"},
        {"{\"accounts\":[{\"name\":\"a\",\"title\":\"T\"},{\"name\":\"b\",\"title\":\"t\"}]}",
         "accounts[1].title"},
        {"{\"accounts\":[{\"name\":\"a\",\"title\":\"B\"},{\"name\":\"b\"}]}", "accounts[1].name is another"},
        {"{\"accounts\":[{\"name\":\"a\",\"title\":\"B\"}],\"users\":[" USER(1, "x", "b", "") "]}",
         "users[0].account is another"},
        {"{\"accounts\":[{\"name\":\"low\"},{\"name\":\"b\",\"hex_id\":\"6c1ff09db3a73dc4a854f695d20d174a\"}]"
         "}",
         "accounts[1].hex_id"},
        {"{\"accounts\":[{\"name\":\"a\",\"parent\":\"b\"}]}", "accounts[0].parent names no account"},
        {"{\"accounts\":[{\"name\":\"a\",\"parent\":\"a\"}]}", "accounts[0].parent leads into a circle"},
        {"{\"accounts\":[{\"name\":\"r\"},{\"name\":\"a\",\"parent\":\"b\"},{\"name\":\"b\",\"parent\":\"c\"}"
         ","
         "{\"name\":\"c\",\"parent\":\"a\"}]}",
         "accounts[1].parent leads into a circle"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\"}]}", "keys[0].public_key or api_key_sha256"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"public_key\":\"x\"}]}", "keys[0].public_key takes"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"api_key_sha256\":\"abc\"}]}",
         "keys[0].api_key_sha256"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"public_key\":\"x\",\"api_key_sha256\":\"" DIGEST
         "\"}]}",
         "and not both"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"api_key_sha256\":\"" DIGEST "\"},"
         "{\"id\":\"l\",\"account\":\"a\",\"api_key_sha256\":\"" DIGEST "\"}]}",
         "keys[1].api_key_sha256 stands twice"},
        {"{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"api_key_sha256\":\"" DIGEST "\"},"
         "{\"id\":\"k\",\"account\":\"a\",\"api_key_sha256\":\"" DIGEST "\"}]}",
         "keys[1].id stands twice"},
        {"{\"users\":[" USER(1, "k", "b",
                             "") "],\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"api_key_sha256\":"
                                 "\"" DIGEST "\"}]}",
         "keys[0].id is a username too"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        refused(rows[i].text, rows[i].cause);
}

static void file_with_key(struct buf *out, EVP_PKEY *take_pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, take_pair), 1);
    long count = BIO_get_mem_data(bio, &pem);
    struct json_writer w = json_writer(out);
    buf_add_cstr(out, "{\"keys\":[{\"id\":\"k\",\"account\":\"a\",\"public_key\":");
    json_put_str(&w, str_of_bytes(pem, (size_t)count));
    buf_add_cstr(out, "}]}");
    BIO_free(bio);
    EVP_PKEY_free(take_pair);
}

static void only_an_rsa_key_of_2048_bits_or_more_is_taken(void **state)
{
    (void)state;
    struct buf text cleanup(buf_done) = BUF_INIT;
    file_with_key(&text, EVP_RSA_gen(1024));
    refused(text.p, "keys[0].public_key takes an RSA key of 2048");
    buf_clear(&text);
    file_with_key(&text, EVP_EC_gen("P-256"));
    refused(text.p, "keys[0].public_key takes an RSA key");
    buf_clear(&text);
    file_with_key(&text, EVP_RSA_gen(2048));
    struct principals *p = good(text.p);
    assert_null(principals_by_api_key(p, STR_NONE));
    principals_unref(p);
}

static void a_file_of_many_thousands_is_read(void **state)
{
    (void)state;
    struct buf text cleanup(buf_done) = BUF_INIT;
    const char *comma = "";
    buf_add_cstr(&text, "{\"accounts\":[{\"name\":\"a0\"}");
    for (unsigned i = 1; i < 5000; i++)
        buf_addf(&text, ",{\"name\":\"a%u\",\"parent\":\"a%u\",\"number\":%u}", i, i - 1, i);
    buf_add_cstr(&text, "],\"users\":[");
    for (unsigned i = 1; i <= 20000; i++, comma = ",")
        buf_addf(&text, "%s{\"id\":%u,\"username\":\"u%u\",\"password\":\"$6$x\",\"account\":\"a%u\"}", comma,
                 i, i, i % 5000);
    buf_add_cstr(&text, "]}");
    struct principals *p = good(text.p);
    assert_ptr_equal(principals_by_id(p, 19999), principals_by_username(p, STR_LIT("u19999")));
    assert_true(account_is_within(principals_account_by_number(p, 4999), principals_account_at(p, 0)));
    principals_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_found_by_all_that_names_it),
        cmocka_unit_test(an_account_without_more_has_the_title_and_the_hex_id_of_its_name),
        cmocka_unit_test(a_dialect_finds_its_own_settings_in_the_account),
        cmocka_unit_test(an_account_is_within_itself_and_all_above_it),
        cmocka_unit_test(a_file_of_users_alone_makes_their_accounts),
        cmocka_unit_test(an_api_key_is_found_by_its_text),
        cmocka_unit_test(roles_say_what_a_principal_may),
        cmocka_unit_test(a_set_lives_as_long_as_somebody_holds_it),
        cmocka_unit_test(what_is_no_json_is_refused_with_its_line),
        cmocka_unit_test(each_mistake_is_refused_with_the_member_it_is_in),
        cmocka_unit_test(only_an_rsa_key_of_2048_bits_or_more_is_taken),
        cmocka_unit_test(a_file_of_many_thousands_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
