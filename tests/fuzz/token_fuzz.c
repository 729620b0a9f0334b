// Tokens: one that nobody signed is never taken, whatever it looks like, and one that we signed holds what it
// was made of. The input is a token, and the claims of one that is signed here.
#include "common/base/buf.h"
#include "common/base/encode.h"
#include "services/gateway/auth/jws.h"
#include "services/gateway/auth/principals_file.h"
#include "services/gateway/auth/token.h"
#include "tests/fuzz/target.h"

#include <openssl/hmac.h>

#define SECRET STR_LIT("0123456789abcdef0123456789abcdef")
#define OTHER  STR_LIT("fedcba9876543210fedcba9876543210")
#define NOW    1000000

// An RSA key whose private half nobody has kept.
static const char file[] =
    "{\"accounts\":[{\"name\":\"a\",\"number\":7}],\"keys\":[{\"id\":\"k1\",\"account\":\"a\",\"public_key\":"
    "\"-----BEGIN PUBLIC KEY-----\\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArurlg4gKmEgtFlEtmeAU\\n"
    "zwc4GbM+6TUpDedxwRoW3D3c9G7k9xjKdzsgh3RQsXZOHgd/ImOpsBaUK2jObyVJ\\n"
    "MKhAk+o4dP3X5NRVu9Uv5IKyOHSF10AyHMlKn689t+5Zq3iJiE7PtPzG0bJco/O/\\n"
    "G969JPeEuYVG/6SBVjG1PeTEjkHD1C7HouDTndBj/rVuShKW4ClXJsiWp5zW5/Bh\\n"
    "bOnpYYm20HYUYQUvLxxCXpr9NfrcPzfy0zpHQ21LTGiFRDfzLb/JJHjcUNxnPyb4\\n"
    "39RkygWU27HYnCs8JoiV4+rN3WWqFvFGHzGYnC70F5knl2KJ6hUl2x1uqzusuFGh\\n"
    "nQIDAQAB\\n"
    "-----END PUBLIC KEY-----\\n\"}]}";

static void add_base64url(struct buf *out, const void *bytes, size_t count)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    encode_base64(&text, bytes, count);
    for (size_t i = 0; i < text.n && text.p[i] != '='; i++)
        buf_add_char(out, text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i]);
}

// By hand, since libjwt signs no claims that jansson cannot hold.
static void sign(struct buf *token, struct str claims)
{
    const struct str header = STR_LIT("{\"alg\":\"HS256\"}"), secret = SECRET;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    add_base64url(token, header.p, header.n);
    buf_add_char(token, '.');
    add_base64url(token, claims.p, claims.n);
    HOLDS(
        HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)token->p, token->n, mac, &count));
    buf_add_char(token, '.');
    add_base64url(token, mac, count);
}

// What is signed with our secret is refused for its form or its claims, not for its signature.
static void sign_and_verify(struct str claims)
{
    struct buf token cleanup(buf_done) = BUF_INIT;
    uint64_t subject = 0;
    struct session_token session;
    struct jws jws;
    sign(&token, claims);
    if (jws_read(&jws, buf_str(&token), NULL) == 0)
        HOLDS(jws_verify_hs256(&jws, SECRET) && !jws_verify_hs256(&jws, OTHER));
    jws_done(&jws);
    if (token_verify(buf_str(&token), SECRET, NOW, &subject, NULL) == 0)
        HOLDS(subject > 0 && token_verify(buf_str(&token), OTHER, NOW, &subject, NULL) != 0);
    enum token_problem problem = session_token_verify(buf_str(&token), SECRET, NOW, &session);
    HOLDS(problem != TOKEN_SIGNATURE && problem != TOKEN_ALGORITHM);
    if (problem == TOKEN_GOOD)
        HOLDS(session.expires_s > NOW && session.method && session.id[0] &&
              !session.user == !!session.key[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct principals *known;
    struct str text = str_of_bytes(data, size);
    uint64_t subject;
    struct session_token session;
    struct key_token key;
    if (!known)
        HOLDS(principals_parse(str_of(file), &known, NULL) == 0);
    HOLDS(token_verify(text, SECRET, NOW, &subject, NULL) != 0);
    HOLDS(session_token_verify(text, SECRET, NOW, &session) != TOKEN_GOOD);
    HOLDS(key_token_verify(text, known, NOW, &key) != TOKEN_GOOD);
    sign_and_verify(text);
    return 0;
}
