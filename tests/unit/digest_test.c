// services/registrant/core/digest: the answers of RFC 2617, RFC 7616 and draft-smith-sipping-auth-examples,
// and the challenges that registrars send.
#include "services/registrant/core/digest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static void assert_response(const struct digest_input *in, const char *wanted)
{
    struct digest *d = digest_new();
    struct buf out = BUF_INIT;
    assert_int_equal(digest_response(d, in, &out), 0);
    assert_string_equal(out.p, wanted);
    buf_done(&out);
    digest_free(d);
}

static void answers_the_example_of_rfc_2617(void **state)
{
    (void)state;
    const struct digest_input in = {.algorithm = DIGEST_MD5,
                                    .qop = QOP_AUTH,
                                    .user = STR_LIT("Mufasa"),
                                    .password = STR_LIT("Circle Of Life"),
                                    .realm = STR_LIT("testrealm@host.com"),
                                    .nonce = STR_LIT("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
                                    .method = STR_LIT("GET"),
                                    .uri = STR_LIT("/dir/index.html"),
                                    .cnonce = STR_LIT("0a4f113b"),
                                    .nc = 1};
    assert_response(&in, "6629fae49393a05397450978507c4ef1");
}

static void answers_the_examples_of_rfc_7616(void **state)
{
    (void)state;
    struct digest_input in = {.algorithm = DIGEST_MD5,
                              .qop = QOP_AUTH,
                              .user = STR_LIT("Mufasa"),
                              .password = STR_LIT("Circle of Life"),
                              .realm = STR_LIT("http-auth@example.org"),
                              .nonce = STR_LIT("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
                              .method = STR_LIT("GET"),
                              .uri = STR_LIT("/dir/index.html"),
                              .cnonce = STR_LIT("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
                              .nc = 1};
    assert_response(&in, "8ca523f5e9506fed4657c9700eebdbec");
    in.algorithm = DIGEST_SHA256;
    assert_response(&in, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

// RFC 7616 3.9.2. The user's hash and the response that it prints are of SHA-512 cut to 256 bits, which is
// not SHA-512/256 (its erratum 4897 says so); these were computed with Python's hashlib.
static void answers_sha_512_256_with_the_hash_of_the_user(void **state)
{
    (void)state;
    struct digest *d = digest_new();
    struct buf out = BUF_INIT;
    const struct digest_input in = {.algorithm = DIGEST_SHA512_256,
                                    .algorithm_given = true,
                                    .userhash = true,
                                    .opaque = STR_LIT("HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"),
                                    .qop = QOP_AUTH,
                                    .user = STR_LIT("J\xc3\xa4s\xc3\xb8n Doe"),
                                    .password = STR_LIT("Secret, or not?"),
                                    .realm = STR_LIT("api@example.org"),
                                    .nonce = STR_LIT("5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"),
                                    .method = STR_LIT("GET"),
                                    .uri = STR_LIT("/doe.json"),
                                    .cnonce = STR_LIT("NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm"),
                                    .nc = 1};
    assert_response(&in, "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c");
    assert_int_equal(digest_authorization(d, &in, &out), 0);
    assert_non_null(
        strstr(out.p, "username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\", "));
    assert_non_null(strstr(out.p, ", userhash=true"));
    buf_done(&out);
    digest_free(d);
}

static struct digest_input bob(void)
{
    return (struct digest_input){.user = STR_LIT("bob"),
                                 .password = STR_LIT("zanzibar"),
                                 .realm = STR_LIT("biloxi.com"),
                                 .nonce = STR_LIT("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
                                 .method = STR_LIT("INVITE"),
                                 .uri = STR_LIT("sip:bob@biloxi.com"),
                                 .cnonce = STR_LIT("0a4f113b"),
                                 .nc = 1};
}

static void answers_the_sip_examples(void **state)
{
    (void)state;
    struct digest_input in = bob();
    assert_response(&in, "bf57e4e0d0bffc0fbaedce64d59add5e");
    in.qop = QOP_AUTH;
    assert_response(&in, "89eb0059246c02b2f6ee02c7961d5ea3");
    in.algorithm = DIGEST_MD5_SESS;
    assert_response(&in, "e4e4ea61d186d07a92c9e1f6919902e9");
}

// Values computed with Python's hashlib.
static void answers_auth_int_and_sess_with_every_algorithm(void **state)
{
    (void)state;
    static const struct {
        enum digest_algorithm algorithm;
        const char *response;
    } cases[] = {
        {DIGEST_MD5, "21b30cb3720f1d6f22eba30b35c52265"},
        {DIGEST_MD5_SESS, "2863f689062ee92db938c9d9b9c32a1f"},
        {DIGEST_SHA256, "85dcdc3f7d95d01fca2dd129a2d5ac0e11e3a850e1aac725c427ebaab24b6ce7"},
        {DIGEST_SHA256_SESS, "2f9437af700084eac906dcde3015ee2d5c0ba6a13a8dc77c4189433ae5741c5c"},
        {DIGEST_SHA512_256, "ff861f34a8ab6c9b19e111ffd66f5b331b734a7f6a336ce8e5a16e376c684350"},
        {DIGEST_SHA512_256_SESS, "765f8f7a30cc49766908da7dae9e7672d4817821466c5ad86e21d6381d0592cd"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest_input in = bob();
        in.method = STR_LIT("REGISTER");
        in.uri = STR_LIT("sip:biloxi.com");
        in.qop = QOP_AUTH_INT;
        in.algorithm = cases[i].algorithm;
        assert_response(&in, cases[i].response);
    }
}

static void an_unknown_algorithm_is_an_error_and_writes_nothing(void **state)
{
    (void)state;
    struct digest *d = digest_new();
    struct digest_input in = bob();
    struct buf out = BUF_INIT;
    in.algorithm = DIGEST_UNKNOWN;
    assert_int_equal(digest_authorization(d, &in, &out), -ENOTSUP);
    assert_int_equal(out.n, 0);
    digest_free(d);
}

static void the_header_holds_what_the_challenge_asked_for_and_no_more(void **state)
{
    (void)state;
    struct digest *d = digest_new();
    struct buf out = BUF_INIT;
    struct digest_input in = bob();
    assert_int_equal(digest_authorization(d, &in, &out), 0);
    assert_string_equal(out.p, "Authorization: Digest username=\"bob\", realm=\"biloxi.com\", "
                               "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"sip:bob@biloxi.com\", "
                               "response=\"bf57e4e0d0bffc0fbaedce64d59add5e\"");
    buf_clear(&out);
    in.user = STR_LIT("b\"o\\b");
    in.proxy = true;
    in.qop = QOP_AUTH;
    in.nc = 0x1af;
    in.algorithm_given = true;
    in.opaque = STR_LIT("");
    assert_int_equal(digest_authorization(d, &in, &out), 0);
    assert_non_null(strstr(out.p, "Proxy-Authorization: Digest username=\"b\\\"o\\\\b\", "));
    assert_non_null(
        strstr(out.p, ", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=000001af, opaque=\"\""));
    buf_done(&out);
    digest_free(d);
}

static void parses_a_challenge_with_all_its_parameters(void **state)
{
    (void)state;
    struct digest_challenge c[4];
    size_t n =
        digest_parse(STR_LIT("Digest realm=\"a \\\"b\\\", c\",nonce=\"n==\" , opaque=\"\", stale=TRUE, "
                             "algorithm=sha-256, qop=\"auth-int , auth\", charset=UTF-8"),
                     true, c, 0, 4);
    assert_int_equal(n, 1);
    assert_true(str_eq_cstr(c[0].realm, "a \\\"b\\\", c"));
    assert_true(str_eq_cstr(c[0].nonce, "n=="));
    assert_true(c[0].opaque.p && c[0].opaque.n == 0);
    assert_true(c[0].stale && c[0].proxy && c[0].algorithm_given);
    assert_int_equal(c[0].algorithm, DIGEST_SHA256);
    assert_int_equal(c[0].qop, QOP_AUTH);
}

// RFC 7616 3.3, RFC 8760 2.6: unknown ones are ignored; where nothing else is offered it cannot be met.
static void the_qop_is_one_that_was_offered(void **state)
{
    static const struct {
        const char *text;
        enum digest_qop wanted;
    } cases[] = {
        {"", QOP_NONE},
        {", qop=auth", QOP_AUTH},
        {", qop=\"auth,auth-int\"", QOP_AUTH},
        {", qop=\"auth-int,auth\"", QOP_AUTH},
        {", qop=\"Auth-Int\"", QOP_AUTH_INT},
        {", qop=\"unheard-of , auth-int\"", QOP_AUTH_INT},
        {", qop=\"unheard-of\"", QOP_UNKNOWN},
        {", qop=\"authx\"", QOP_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest_challenge c;
        struct buf text cleanup(buf_done) = BUF_INIT;
        buf_addf(&text, "Digest realm=\"a\", nonce=\"1\"%s", cases[i].text);
        assert_int_equal(digest_parse(buf_str(&text), false, &c, 0, 1), 1);
        assert_int_equal(c.qop, cases[i].wanted);
        assert_int_equal(digest_drop_unknown(&c, 1), cases[i].wanted != QOP_UNKNOWN);
    }
}

static void takes_several_schemes_of_one_header_apart(void **state)
{
    (void)state;
    struct digest_challenge c[4];
    size_t n = digest_parse(STR_LIT("Newauth realm=\"apps\", type=1, title=\"Login, please\", "
                                    "Digest realm=\"x\", nonce=\"1\", algorithm=SHA-512-256, "
                                    "digest realm=x, nonce=\"2\", Basic realm=\"simple\""),
                            false, c, 0, 4);
    assert_int_equal(n, 2);
    assert_int_equal(c[0].algorithm, DIGEST_SHA512_256);
    assert_true(str_eq_cstr(c[1].nonce, "2"));
    assert_int_equal(c[1].algorithm, DIGEST_MD5);
    assert_false(c[1].algorithm_given);
}

static void what_is_no_challenge_is_left_out(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "Digest",
                                        "Digest realm=\"x\"",
                                        "Digest nonce=\"x\"",
                                        "Digest realm=\"x",
                                        "Digest realm=\"x\\",
                                        "=,=\"",
                                        "Digest ,,,=",
                                        "Basic realm=\"x\", nonce=\"y\"",
                                        "\"Digest realm"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct digest_challenge c[2];
        assert_int_equal(digest_parse(str_of(texts[i]), false, c, 0, 2), 0);
    }
}

static void no_more_challenges_than_there_is_room_for(void **state)
{
    (void)state;
    struct digest_challenge c[2];
    size_t n = digest_parse(STR_LIT("Digest realm=\"x\", nonce=\"1\", Digest realm=\"x\", nonce=\"2\", "
                                    "Digest realm=\"x\", nonce=\"3\""),
                            false, c, 1, 2);
    assert_int_equal(n, 2);
}

static bool any(const struct digest_challenge *c, void *arg)
{
    (void)c;
    (void)arg;
    return true;
}

static bool only_md5(const struct digest_challenge *c, void *arg)
{
    (void)arg;
    return c->algorithm == DIGEST_MD5;
}

static void chooses_the_topmost_supported_of_each_realm(void **state)
{
    (void)state;
    struct digest_challenge c[8];
    size_t n = digest_parse(STR_LIT("Digest realm=\"a\", nonce=\"1\", algorithm=SHA3-256, "
                                    "Digest realm=\"a\", nonce=\"2\", qop=\"unheard-of\", "
                                    "Digest realm=\"a\", nonce=\"3\", algorithm=SHA-256, "
                                    "Digest realm=\"a\", nonce=\"4\", "
                                    "Digest realm=\"b\", nonce=\"5\""),
                            false, c, 0, 8);
    n = digest_parse(STR_LIT("Digest realm=\"a\", nonce=\"6\""), true, c, n, 8);
    n = digest_drop_unknown(c, n);
    assert_int_equal(n, 4);
    n = digest_choose(c, n, any, NULL);
    assert_int_equal(n, 3);
    assert_true(str_eq_cstr(c[0].nonce, "3"));
    assert_true(str_eq_cstr(c[1].nonce, "5"));
    assert_true(str_eq_cstr(c[2].nonce, "6"));
}

static void chooses_the_topmost_that_what_is_given_can_answer(void **state)
{
    (void)state;
    struct digest_challenge c[4];
    size_t n = digest_parse(STR_LIT("Digest realm=\"a\", nonce=\"1\", algorithm=SHA-256, "
                                    "Digest realm=\"a\", nonce=\"2\", "
                                    "Digest realm=\"b\", nonce=\"3\", algorithm=SHA-256"),
                            false, c, 0, 4);
    n = digest_choose(c, n, only_md5, NULL);
    assert_int_equal(n, 1);
    assert_true(str_eq_cstr(c[0].nonce, "2"));
}

// RFC 3261 22.4: a cnonce must not be sent without qop, and -sess hashes one.
static void a_session_without_qop_cannot_be_answered(void **state)
{
    (void)state;
    struct digest_challenge c[2];
    size_t n = digest_parse(STR_LIT("Digest realm=\"a\", nonce=\"1\", algorithm=MD5-sess, "
                                    "Digest realm=\"a\", nonce=\"2\", algorithm=MD5-sess, qop=auth"),
                            false, c, 0, 2);
    assert_int_equal(digest_drop_unknown(c, n), 1);
    assert_true(str_eq_cstr(c[0].nonce, "2"));
}

static void only_true_asks_for_the_hash_of_the_user(void **state)
{
    (void)state;
    struct digest_challenge c[3];
    size_t n = digest_parse(STR_LIT("Digest realm=\"a\", nonce=\"1\", userhash=TRUE, "
                                    "Digest realm=\"b\", nonce=\"1\", userhash=\"true\", "
                                    "Digest realm=\"c\", nonce=\"1\", userhash=false"),
                            false, c, 0, 3);
    assert_int_equal(n, 3);
    assert_true(c[0].userhash && c[1].userhash && !c[2].userhash);
}

// HA1 as a client computes it (Python's hashlib), in place of the password.
static void an_ha1_answers_like_its_password(void **state)
{
    (void)state;
    static const struct {
        enum digest_algorithm algorithm;
        const char *ha1;
    } cases[] = {
        {DIGEST_MD5, "12af60467a33e8518da5c68bbff12b11"},
        {DIGEST_MD5_SESS, "12af60467a33e8518da5c68bbff12b11"},
        {DIGEST_SHA256, "e65db393e748c5228939a6b4b2879e9ea5625cd79fd5267868cb568d69f6b97e"},
        {DIGEST_SHA256_SESS, "e65db393e748c5228939a6b4b2879e9ea5625cd79fd5267868cb568d69f6b97e"},
        {DIGEST_SHA512_256, "a969680ab364e333ec5c93ff823d570a79841c8d40270655dd42f37b755dfc38"},
        {DIGEST_SHA512_256_SESS, "a969680ab364e333ec5c93ff823d570a79841c8d40270655dd42f37b755dfc38"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest *d = digest_new();
        struct buf out = BUF_INIT;
        struct digest_input in = bob();
        in.qop = QOP_AUTH;
        in.algorithm = cases[i].algorithm;
        assert_int_equal(digest_response(d, &in, &out), 0);
        in.password = STR_NONE;
        in.ha1 = str_of(cases[i].ha1);
        assert_response(&in, out.p);
        buf_done(&out);
        digest_free(d);
    }
}

// RFC 7616 3.4, unq(): the backslashes that quote go back to the registrar and into no hash.
static void quoting_backslashes_are_not_hashed(void **state)
{
    (void)state;
    struct digest_input in = bob();
    in.qop = QOP_AUTH;
    in.realm = STR_LIT("a \\\"b\\\\ c"); // a "b\ c
    in.nonce = STR_LIT("n\\\"");
    assert_response(&in, "9018171552e857b64e3c982eb0dc6e11");
    assert_true(digest_is_text(STR_LIT("a \\\"b\\\\"), STR_LIT("a \"b\\")));
    assert_false(digest_is_text(STR_LIT("a\\"), STR_LIT("a")));
    assert_false(digest_is_text(STR_LIT("ab"), STR_LIT("a")));
    assert_false(digest_is_text(STR_LIT("a"), STR_LIT("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_the_example_of_rfc_2617),
        cmocka_unit_test(answers_the_examples_of_rfc_7616),
        cmocka_unit_test(answers_sha_512_256_with_the_hash_of_the_user),
        cmocka_unit_test(answers_the_sip_examples),
        cmocka_unit_test(answers_auth_int_and_sess_with_every_algorithm),
        cmocka_unit_test(an_unknown_algorithm_is_an_error_and_writes_nothing),
        cmocka_unit_test(the_header_holds_what_the_challenge_asked_for_and_no_more),
        cmocka_unit_test(parses_a_challenge_with_all_its_parameters),
        cmocka_unit_test(the_qop_is_one_that_was_offered),
        cmocka_unit_test(takes_several_schemes_of_one_header_apart),
        cmocka_unit_test(what_is_no_challenge_is_left_out),
        cmocka_unit_test(no_more_challenges_than_there_is_room_for),
        cmocka_unit_test(chooses_the_topmost_supported_of_each_realm),
        cmocka_unit_test(chooses_the_topmost_that_what_is_given_can_answer),
        cmocka_unit_test(a_session_without_qop_cannot_be_answered),
        cmocka_unit_test(only_true_asks_for_the_hash_of_the_user),
        cmocka_unit_test(an_ha1_answers_like_its_password),
        cmocka_unit_test(quoting_backslashes_are_not_hashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
