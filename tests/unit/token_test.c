// services/gateway/auth: which tokens are taken, and what each other one is refused for. What a library would
// not sign is put together here by hand.
#include "common/base/buf.h"
#include "common/base/encode.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/auth/principals_file.h"
#include "services/gateway/auth/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs those above
#include <cmocka.h>

#define SECRET STR_LIT("0123456789abcdef0123456789abcdef")
#define NOW    1000000

static EVP_PKEY *pair, *other_pair;
static struct buf public_pem;
static struct principals *principals;

static int make_keys(void **state)
{
    (void)state;
    struct buf file cleanup(buf_done) = BUF_INIT;
    char *pem;
    pair = EVP_RSA_gen(2048);
    other_pair = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
    long count = BIO_get_mem_data(bio, &pem);
    buf_add(&public_pem, pem, (size_t)count);
    BIO_free(bio);
    struct json_writer w = json_writer(&file);
    buf_add_cstr(
        &file,
        "{\"accounts\":[{\"name\":\"acme\",\"number\":7}],\"keys\":[{\"id\":\"api\",\"account\":\"acme\","
        "\"api_key_sha256\":\"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"},"
        "{\"id\":\"k1\",\"account\":\"acme\",\"roles\":[\"admin\"],\"public_key\":");
    json_put_str(&w, buf_str(&public_pem));
    buf_add_cstr(&file, "}]}");
    return principals_parse(buf_str(&file), &principals, NULL);
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(pair);
    EVP_PKEY_free(other_pair);
    buf_done(&public_pem);
    principals_unref(principals);
    return 0;
}

// ---- tokens by hand

static void add_base64url(struct buf *out, const void *bytes, size_t count)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    encode_base64(&text, bytes, count);
    for (size_t i = 0; i < text.n && text.p[i] != '='; i++)
        buf_add_char(out, text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i]);
}

static void begin(struct buf *out, const char *header, const char *claims)
{
    add_base64url(out, header, strlen(header));
    buf_add_char(out, '.');
    add_base64url(out, claims, strlen(claims));
}

static void sign_hs256(struct buf *token, struct str secret)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned count;
    assert_non_null(
        HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)token->p, token->n, mac, &count));
    buf_add_char(token, '.');
    add_base64url(token, mac, count);
}

static void sign_rsa(struct buf *token, EVP_PKEY *key, const EVP_MD *digest)
{
    unsigned char signature[512];
    size_t count = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, digest, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &count, (const unsigned char *)token->p, token->n), 1);
    EVP_MD_CTX_free(ctx);
    buf_add_char(token, '.');
    add_base64url(token, signature, count);
}

#define HS256       "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define RS256       "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"
#define YETI_CLAIMS "{\"sub\":1,\"aud\":[\"admin\"]}"

static int yeti_verdict(const char *header, const char *claims)
{
    struct buf token cleanup(buf_done) = BUF_INIT;
    uint64_t subject;
    begin(&token, header, claims);
    sign_hs256(&token, SECRET);
    return token_verify(buf_str(&token), SECRET, NOW, &subject, NULL);
}

static enum token_problem key_verdict(const char *header, const char *claims, struct key_token *ret)
{
    struct buf token cleanup(buf_done) = BUF_INIT;
    begin(&token, header, claims);
    sign_rsa(&token, pair, EVP_sha256());
    return key_token_verify(buf_str(&token), principals, NOW, ret);
}

// ---- form, with Yeti's tokens

static void a_header_that_says_more_than_one_thing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(yeti_verdict(HS256, YETI_CLAIMS), 0);
    assert_int_equal(yeti_verdict("{\"alg\":\"HS256\"}", YETI_CLAIMS), 0);
    assert_int_equal(yeti_verdict("{\"typ\":\"jwt\",\"alg\":\"HS256\"}", YETI_CLAIMS), 0);
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"none\"}",
        "{}",
        "[\"HS256\"]",
        "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
        "{\"alg\":\"HS256\",\"typ\":1}",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS256\"} x",
        "{\"alg\":\"RS256\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if (yeti_verdict(headers[i], YETI_CLAIMS) != -EACCES)
            fail_msg("taken: %s", headers[i]);
}

static void a_claim_that_stands_twice_is_refused(void **state)
{
    (void)state;
    assert_int_equal(yeti_verdict(HS256, "{\"sub\":1,\"aud\":[\"admin\"],\"sub\":2}"), -EACCES);
    assert_int_equal(yeti_verdict(HS256, "{\"sub\":1,\"aud\":\"x\",\"aud\":\"admin\"}"), -EACCES);
    assert_int_equal(yeti_verdict(HS256, "[]"), -EACCES);
    assert_int_equal(yeti_verdict(HS256, ""), -EACCES);
}

static int yeti_text(const char *text)
{
    uint64_t subject;
    return token_verify(str_of(text), SECRET, NOW, &subject, NULL);
}

static void what_is_not_three_canonical_parts_is_refused(void **state)
{
    (void)state;
    struct buf good cleanup(buf_done) = BUF_INIT, bad cleanup(buf_done) = BUF_INIT;
    begin(&good, HS256, YETI_CLAIMS);
    sign_hs256(&good, SECRET);
    assert_int_equal(yeti_text(good.p), 0);
    static const char *const texts[] = {"", ".", "..", "...", "a.b", "e30.e30.", "e30.e30.e30"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(yeti_text(texts[i]), -EACCES);
    buf_addf(&bad, "%s=", good.p);
    assert_int_equal(yeti_text(bad.p), -EACCES);
    buf_clear(&bad);
    buf_addf(&bad, "%s.", good.p);
    assert_int_equal(yeti_text(bad.p), -EACCES);
    buf_clear(&bad);
    buf_addf(&bad, " %s", good.p);
    assert_int_equal(yeti_text(bad.p), -EACCES);
    // 32 bytes leave two bits of the last character over: four texts for one signature, of which one is taken
    unsigned taken = 0;
    for (const char *c = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; *c; c++) {
        good.p[good.n - 1] = *c;
        taken += yeti_text(good.p) == 0;
    }
    assert_int_equal(taken, 1);
}

static void a_token_beyond_eight_kilobytes_is_refused(void **state)
{
    (void)state;
    struct buf claims cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&claims, "{\"sub\":1,\"aud\":[\"admin\"],\"x\":\"");
    for (int i = 0; i < 5000; i++)
        buf_add_char(&claims, 'x');
    size_t short_bytes = claims.n;
    buf_add_cstr(&claims, "\"}");
    assert_int_equal(yeti_verdict(HS256, claims.p), 0);
    claims.n = short_bytes;
    for (int i = 0; i < 5000; i++)
        buf_add_char(&claims, 'x');
    buf_add_cstr(&claims, "\"}");
    assert_int_equal(yeti_verdict(HS256, claims.p), -EACCES);
}

// ---- Voximplant's

#define CLAIMS(iss, iat, exp) "{\"iss\":" iss ",\"iat\":" #iat ",\"exp\":" #exp "}"

static void a_key_token_gives_its_key_and_its_account(void **state)
{
    (void)state;
    struct key_token t = {.issuer = 0};
    assert_int_equal(key_verdict(RS256, CLAIMS("7", 1000000, 1000064), &t), TOKEN_GOOD);
    assert_int_equal(t.issuer, 7);
    assert_string_equal(t.principal->username, "k1");
    assert_string_equal(t.principal->account->name, "acme");
    assert_int_equal(t.principal->roles, ROLE_BIT(ROLE_ADMIN));
    assert_int_equal(key_verdict("{\"alg\":\"RS256\",\"kid\":\"k1\"}", CLAIMS("\"8\"", 999995, 1000060), &t),
                     TOKEN_GOOD); // as Java's: no typ, a text
    assert_int_equal(t.issuer, 8);
}

static void the_claims_of_a_key_token_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        enum token_problem problem;
    } rows[] = {
        {CLAIMS("7", 1000000, 1003600), TOKEN_GOOD},
        {CLAIMS("7", 1000000, 1003601), TOKEN_TTL},
        {CLAIMS("7", 1000010, 1000064), TOKEN_GOOD}, // ahead by the skew
        {CLAIMS("7", 1000011, 1000064), TOKEN_FUTURE},
        {CLAIMS("7", 999000, 999991), TOKEN_GOOD}, // over by less than the skew
        {CLAIMS("7", 999000, 999990), TOKEN_EXPIRED},
        {CLAIMS("7", 1000000, 999999), TOKEN_MALFORMED}, // expires before it begins
        {CLAIMS("7", 1000000.7, 1000064.2), TOKEN_GOOD},
        {CLAIMS("7", -1, 1000064), TOKEN_MALFORMED},
        {CLAIMS("7", 1000000, 1e300), TOKEN_MALFORMED},
        {"{\"iss\":7,\"iat\":1000000,\"exp\":\"1000064\"}", TOKEN_MALFORMED},
        {CLAIMS("0", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("-7", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("7.5", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("\"\"", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("\" 7\"", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("\"-7\"", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("\"99999999999999999999\"", 1000000, 1000064), TOKEN_MALFORMED},
        {CLAIMS("null", 1000000, 1000064), TOKEN_MALFORMED},
        {"{\"iat\":1000000,\"exp\":1000064}", TOKEN_MALFORMED},
        {"{\"iss\":7,\"exp\":1000064}", TOKEN_MALFORMED},
        {"{\"iss\":7,\"iat\":1000000}", TOKEN_MALFORMED},
        {"{\"iss\":7,\"iat\":1000000,\"exp\":1003600,\"nbf\":1000000}", TOKEN_GOOD}, // as .NET's
        {"{\"iss\":7,\"iat\":1000000,\"exp\":1003600,\"nbf\":1000011}", TOKEN_FUTURE},
        {"{\"iss\":7,\"iat\":1000000,\"exp\":1003600,\"nbf\":\"x\"}", TOKEN_MALFORMED},
        {"{\"iss\":7,\"iss\":7,\"iat\":1000000,\"exp\":1000064}", TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct key_token t;
        enum token_problem problem = key_verdict(RS256, rows[i].claims, &t);
        if (problem != rows[i].problem)
            fail_msg("%s: %d", rows[i].claims, (int)problem);
    }
}

static void only_a_known_public_key_opens(void **state)
{
    (void)state;
    struct key_token t;
    const char *claims = CLAIMS("7", 1000000, 1000064);
    assert_int_equal(key_verdict("{\"alg\":\"RS256\",\"kid\":\"k2\"}", claims, &t), TOKEN_UNKNOWN_KEY);
    assert_int_equal(key_verdict("{\"alg\":\"RS256\",\"kid\":\"api\"}", claims, &t), TOKEN_UNKNOWN_KEY);
    assert_int_equal(key_verdict("{\"alg\":\"RS256\",\"kid\":7}", claims, &t), TOKEN_UNKNOWN_KEY);
    assert_int_equal(key_verdict("{\"alg\":\"RS256\"}", claims, &t), TOKEN_UNKNOWN_KEY);
    struct buf token cleanup(buf_done) = BUF_INIT;
    begin(&token, RS256, claims);
    sign_rsa(&token, other_pair, EVP_sha256());
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_SIGNATURE);
    buf_clear(&token);
    begin(&token, RS256, claims);
    sign_rsa(&token, pair, EVP_sha512());
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_SIGNATURE);
    buf_clear(&token);
    begin(&token, RS256, claims);
    buf_add_char(&token, '.');
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_SIGNATURE);
}

static void a_token_keyed_with_the_public_key_is_refused(void **state)
{
    (void)state;
    struct key_token t;
    struct buf token cleanup(buf_done) = BUF_INIT;
    begin(&token, "{\"alg\":\"HS256\",\"kid\":\"k1\"}", CLAIMS("7", 1000000, 1000064));
    sign_hs256(&token, buf_str(&public_pem));
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_ALGORITHM);
    buf_clear(&token);
    begin(&token, RS256, CLAIMS("7", 1000000, 1000064));
    sign_hs256(&token, buf_str(&public_pem));
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_SIGNATURE);
    buf_clear(&token);
    begin(&token, "{\"alg\":\"none\",\"kid\":\"k1\"}", CLAIMS("7", 1000000, 1000064));
    buf_add_char(&token, '.');
    assert_int_equal(key_token_verify(buf_str(&token), principals, NOW, &t), TOKEN_ALGORITHM);
}

// ---- Kazoo's

static const struct session_token session = {.id = "0123456789abcdef0123456789abcdef",
                                             .account = "ffffffffffffffffffffffffffffffff",
                                             .user = 3,
                                             .method = "cb_user_auth",
                                             .expires_s = NOW + 1};

static enum token_problem session_verdict(const char *claims, struct session_token *ret)
{
    struct buf token cleanup(buf_done) = BUF_INIT;
    begin(&token, HS256, claims);
    sign_hs256(&token, SECRET);
    return session_token_verify(buf_str(&token), SECRET, NOW, ret);
}

static void a_session_token_gives_back_what_it_was_made_of(void **state)
{
    (void)state;
    struct buf token cleanup(buf_done) = BUF_INIT;
    struct session_token got;
    session_token_issue(&token, SECRET, &session);
    assert_int_equal(session_token_verify(buf_str(&token), SECRET, NOW, &got), TOKEN_GOOD);
    assert_string_equal(got.id, session.id);
    assert_string_equal(got.account, session.account);
    assert_int_equal(got.user, 3);
    assert_string_equal(got.key, "");
    assert_string_equal(got.method, "cb_user_auth");
    assert_int_equal(got.expires_s, NOW + 1);
    assert_int_equal(session_token_verify(buf_str(&token), SECRET, NOW + 1, &got), TOKEN_EXPIRED);
    assert_int_equal(
        session_token_verify(buf_str(&token), STR_LIT("another secret of thirty-two byte"), NOW, &got),
        TOKEN_SIGNATURE);
    struct session_token by_key = session;
    by_key.user = 0;
    (void)snprintf(by_key.key, sizeof(by_key.key), "k1");
    by_key.method = "cb_api_auth";
    buf_clear(&token);
    session_token_issue(&token, SECRET, &by_key);
    assert_int_equal(session_token_verify(buf_str(&token), SECRET, NOW, &got), TOKEN_GOOD);
    assert_int_equal(got.user, 0);
    assert_string_equal(got.key, "k1");
}

#define SESSION(aud, more) "{\"aud\":\"" aud "\",\"jti\":\"j\",\"account_id\":\"a\"," more "}"

static void a_token_of_another_dialect_is_no_session(void **state)
{
    (void)state;
    struct session_token got;
    uint64_t subject;
    struct buf token cleanup(buf_done) = BUF_INIT;
    token_issue(&token, SECRET, 3, NOW, 600);
    assert_int_equal(session_token_verify(buf_str(&token), SECRET, NOW, &got), TOKEN_MALFORMED);
    buf_clear(&token);
    session_token_issue(&token, SECRET, &session);
    assert_int_equal(token_verify(buf_str(&token), SECRET, NOW, &subject, NULL), -EACCES);
    static const struct {
        const char *claims;
        enum token_problem problem;
    } rows[] = {
        {SESSION("kazoo", "\"method\":\"cb_user_auth\",\"user\":3,\"exp\":2000000"), TOKEN_GOOD},
        {SESSION("admin", "\"method\":\"cb_user_auth\",\"user\":3,\"exp\":2000000"), TOKEN_MALFORMED},
        {SESSION("kazoo", "\"method\":\"other\",\"user\":3,\"exp\":2000000"), TOKEN_MALFORMED},
        {SESSION("kazoo", "\"method\":\"cb_user_auth\",\"exp\":2000000"), TOKEN_MALFORMED},
        {SESSION("kazoo", "\"method\":\"cb_user_auth\",\"user\":0,\"exp\":2000000"), TOKEN_MALFORMED},
        {SESSION("kazoo", "\"method\":\"cb_user_auth\",\"user\":3,\"key\":\"k\",\"exp\":2000000"),
         TOKEN_MALFORMED},
        {SESSION("kazoo", "\"method\":\"cb_user_auth\",\"user\":3"), TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum token_problem problem = session_verdict(rows[i].claims, &got);
        if (problem != rows[i].problem)
            fail_msg("%s: %d", rows[i].claims, (int)problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_says_more_than_one_thing_is_refused),
        cmocka_unit_test(a_claim_that_stands_twice_is_refused),
        cmocka_unit_test(what_is_not_three_canonical_parts_is_refused),
        cmocka_unit_test(a_token_beyond_eight_kilobytes_is_refused),
        cmocka_unit_test(a_key_token_gives_its_key_and_its_account),
        cmocka_unit_test(the_claims_of_a_key_token_are_read_strictly),
        cmocka_unit_test(only_a_known_public_key_opens),
        cmocka_unit_test(a_token_keyed_with_the_public_key_is_refused),
        cmocka_unit_test(a_session_token_gives_back_what_it_was_made_of),
        cmocka_unit_test(a_token_of_another_dialect_is_no_session),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
