// See token.h.
#include "services/gateway/auth/token.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>

enum { TOKEN_BYTES = 8192 };

static const char audience[] = "admin";

static void jwt_done(jwt_t **jwt)
{
    if (*jwt)
        jwt_free(*jwt);
}

void token_issue(struct buf *out, struct str secret, uint64_t subject, uint64_t now_s, int64_t lifetime_s)
{
    jwt_t *jwt cleanup(jwt_done) = NULL;
    int rc = jwt_new(&jwt);
    if (!rc)
        rc = jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret.p, (int)secret.n);
    if (!rc)
        rc = jwt_add_grant_int(jwt, "sub", (long)subject);
    if (!rc)
        rc = jwt_add_grants_json(jwt, "{\"aud\":[\"admin\"]}");
    if (!rc && lifetime_s > 0)
        rc = jwt_add_grant_int(jwt, "exp", (long)now_s + (long)lifetime_s);
    char *text = rc ? NULL : jwt_encode_str(jwt);
    if (!text)
        abort(); // memory or a secret of no length: the settings refuse the latter
    buf_add_cstr(out, text);
    free(text);
}

static bool audience_fits(jwt_t *jwt)
{
    char *text = jwt_get_grants_json(jwt, "aud");
    if (!text)
        return false;
    struct json *aud cleanup(json_free_ptr) = NULL;
    bool fits = false;
    if (json_parse(str_of(text), &JSON_LIMITS_DEFAULT, &aud, NULL) == 0) {
        fits = str_eq_cstr(json_str(aud), audience);
        for (size_t i = 0; json_is(aud, JSON_ARRAY) && i < json_count(aud); i++)
            fits = fits || str_eq_cstr(json_str(json_at(aud, i)), audience);
    }
    free(text);
    return fits;
}

// The claim as an integer: 1 present, 0 absent, negative when it is there but no integer.
static int claim(jwt_t *jwt, const char *name, int64_t *ret)
{
    char *text = jwt_get_grants_json(jwt, name);
    if (!text)
        return 0;
    struct json *value cleanup(json_free_ptr) = NULL;
    int rc = json_parse(str_of(text), &JSON_LIMITS_DEFAULT, &value, NULL);
    if (!rc)
        rc = json_i64(value, ret);
    free(text);
    return rc ? -EINVAL : 1;
}

static int check_times(jwt_t *jwt, uint64_t now_s, struct error *err)
{
    int64_t exp = 0, nbf = 0;
    int has_exp = claim(jwt, "exp", &exp), has_nbf = claim(jwt, "nbf", &nbf);
    if (has_exp < 0 || has_nbf < 0)
        return error_set(err, -EACCES, "exp or nbf is not an integer");
    if (has_exp && exp <= (int64_t)now_s)
        return error_set(err, -EACCES, "the token has expired");
    if (has_nbf && nbf > (int64_t)now_s)
        return error_set(err, -EACCES, "the token is not valid yet");
    return 0;
}

int token_verify(struct str token, struct str secret, uint64_t now_s, uint64_t *ret_subject,
                 struct error *err)
{
    if (token.n == 0 || token.n > TOKEN_BYTES || str_has_char(token, '\0'))
        return error_set(err, -EACCES, "not a token");
    char *text cleanup(mem_free_cstr) = str_dup(token);
    jwt_t *jwt cleanup(jwt_done) = NULL;
    if (jwt_decode(&jwt, text, (const unsigned char *)secret.p, (int)secret.n))
        return error_set(err, -EACCES, "not a token, or its signature is wrong");
    if (jwt_get_alg(jwt) != JWT_ALG_HS256)
        return error_set(err, -EACCES, "the token's algorithm is not HS256");
    if (!audience_fits(jwt))
        return error_set(err, -EACCES, "the token is for another audience");
    int rc = check_times(jwt, now_s, err);
    if (rc)
        return rc;
    int64_t subject;
    if (claim(jwt, "sub", &subject) != 1 || subject <= 0)
        return error_set(err, -EACCES, "the token has no subject");
    *ret_subject = (uint64_t)subject;
    return 0;
}
