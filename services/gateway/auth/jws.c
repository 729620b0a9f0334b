// See jws.h.
#include "services/gateway/auth/jws.h"

#include "common/base/encode.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define LATEST_S 9007199254740992.0 // 2^53

static void jwt_done(jwt_t **jwt)
{
    if (*jwt)
        jwt_free(*jwt);
}

void jws_issue_hs256(struct buf *out, struct str secret, const char *claims)
{
    jwt_t *jwt cleanup(jwt_done) = NULL;
    int rc = jwt_new(&jwt);
    if (!rc)
        rc = jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret.p, (int)secret.n);
    if (!rc)
        rc = jwt_add_grants_json(jwt, claims);
    char *text = rc ? NULL : jwt_encode_str(jwt);
    if (!text)
        abort(); // memory, or a secret of no length, which the settings refuse
    buf_add_cstr(out, text);
    free(text);
}

// The last character's unused bits are zero, so that no second text means the same bytes.
static bool is_canonical(struct str text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t rest = text.n % 4;
    if (rest == 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!text.p[i] || !strchr(alphabet, text.p[i]))
            return false;
    size_t last = rest ? (size_t)(strchr(alphabet, text.p[text.n - 1]) - alphabet) : 0;
    return (last & (rest == 2 ? 15u : 3u)) == 0;
}

static int decode(struct buf *out, struct str part)
{
    return is_canonical(part) ? decode_base64(out, part) : -EINVAL;
}

static int read_object(struct str part, struct json **ret)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    const struct json_limits limits = {.max_bytes = JWS_BYTES, .max_depth = 8};
    if (decode(&text, part) || json_parse(buf_str(&text), &limits, ret, NULL))
        return -EINVAL;
    return json_is(*ret, JSON_OBJECT) ? 0 : -EINVAL;
}

// A type is optional; one that is not ours, or an extension that must be understood, makes it another thing.
static bool has_plain_header(const struct jws *j)
{
    const struct json *type = json_get(j->header, "typ");
    return (!type || str_ieq_cstr(json_str(type), "JWT")) && !json_get(j->header, "crit");
}

int jws_read(struct jws *ret, struct str token, struct error *err)
{
    *ret = (struct jws){.signature = BUF_INIT};
    size_t first = str_find(token, '.', 0), second = str_find(token, '.', first + 1);
    if (token.n > JWS_BYTES || second >= token.n || str_find(token, '.', second + 1) < token.n)
        return error_set(err, -EACCES, "not a token");
    if (read_object(str_slice(token, 0, first), &ret->header) || !has_plain_header(ret))
        return error_set(err, -EACCES, "the token's header cannot be read");
    if (read_object(str_slice(token, first + 1, second), &ret->claims))
        return error_set(err, -EACCES, "the token's claims cannot be read");
    if (decode(&ret->signature, str_slice(token, second + 1, token.n)))
        return error_set(err, -EACCES, "the token's signature cannot be read");
    ret->signed_part = str_slice(token, 0, second);
    return 0;
}

void jws_done(struct jws *j)
{
    json_free(j->header);
    json_free(j->claims);
    buf_done(&j->signature);
    *j = (struct jws){.signature = BUF_INIT};
}

bool jws_has_algorithm(const struct jws *j, const char *name)
{
    return str_eq_cstr(json_str(json_get(j->header, "alg")), name);
}

bool jws_verify_hs256(const struct jws *j, struct str secret)
{
    unsigned char made[EVP_MAX_MD_SIZE];
    unsigned made_bytes = 0;
    if (!jws_has_algorithm(j, "HS256") || secret.n == 0)
        return false;
    if (!HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)j->signed_part.p,
              j->signed_part.n, made, &made_bytes))
        return false;
    return j->signature.n == made_bytes && CRYPTO_memcmp(made, j->signature.p, made_bytes) == 0;
}

static void context_free(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

bool jws_verify_rs256(const struct jws *j, EVP_PKEY *public_key)
{
    EVP_MD_CTX *ctx cleanup(context_free) = EVP_MD_CTX_new();
    return jws_has_algorithm(j, "RS256") && j->signature.n && ctx &&
           EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, public_key) == 1 &&
           EVP_DigestVerify(ctx, (const unsigned char *)j->signature.p, j->signature.n,
                            (const unsigned char *)j->signed_part.p, j->signed_part.n) == 1;
}

int jws_date(const struct jws *j, const char *claim, int64_t *ret_s)
{
    const struct json *v = json_get(j->claims, claim);
    if (!v)
        return 0;
    double seconds = json_double_or(v, -1);
    if (!json_is(v, JSON_NUMBER) || !(seconds >= 0 && seconds < LATEST_S))
        return -EINVAL;
    *ret_s = (int64_t)seconds;
    return 1;
}
