// Voximplant's tokens, signed by a client with the private half of a key that the principals name: see
// token.h.
#include "services/gateway/auth/jws.h"
#include "services/gateway/auth/principals_internal.h"
#include "services/gateway/auth/token.h"

// A number, or its decimal text: the SDKs differ (contract voximplant 2).
static bool read_issuer(const struct json *iss, uint64_t *ret)
{
    struct str text = json_str(iss);
    if (json_is(iss, JSON_NUMBER))
        return json_u64(iss, ret) == 0 && *ret;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return text.n && str_to_u64(text, ret) == 0 && *ret;
}

static enum token_problem check_times(int64_t iat, int64_t exp, int64_t nbf, int64_t now_s)
{
    if (exp < iat)
        return TOKEN_MALFORMED;
    if (exp - iat > TOKEN_MAX_TTL_S)
        return TOKEN_TTL;
    if (iat > now_s + TOKEN_SKEW_S || nbf > now_s + TOKEN_SKEW_S)
        return TOKEN_FUTURE;
    return exp + TOKEN_SKEW_S <= now_s ? TOKEN_EXPIRED : TOKEN_GOOD;
}

enum token_problem key_token_verify(struct str token, const struct principals *p, uint64_t now_s,
                                    struct key_token *ret)
{
    struct jws jws cleanup(jws_done);
    int64_t iat = 0, exp = 0, nbf = 0;
    uint64_t issuer = 0;
    if (jws_read(&jws, token, NULL))
        return TOKEN_MALFORMED;
    if (!jws_has_algorithm(&jws, "RS256"))
        return TOKEN_ALGORITHM;
    const struct key_record *key = principals_public_key(p, json_str(json_get(jws.header, "kid")));
    if (!key)
        return TOKEN_UNKNOWN_KEY;
    if (!jws_verify_rs256(&jws, key->public_key))
        return TOKEN_SIGNATURE;
    if (!read_issuer(json_get(jws.claims, "iss"), &issuer) || jws_date(&jws, "iat", &iat) != 1 ||
        jws_date(&jws, "exp", &exp) != 1 || jws_date(&jws, "nbf", &nbf) < 0)
        return TOKEN_MALFORMED;
    enum token_problem problem = check_times(iat, exp, nbf, (int64_t)now_s);
    if (!problem)
        *ret = (struct key_token){.principal = &key->view, .issuer = issuer};
    return problem;
}
