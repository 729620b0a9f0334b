// Yeti's tokens: see token.h.
#include "services/gateway/auth/token.h"

#include "services/gateway/auth/jws.h"

#include <errno.h>

static const char audience[] = "admin";

void token_issue(struct buf *out, struct str secret, uint64_t subject, uint64_t now_s, int64_t lifetime_s)
{
    struct buf claims cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&claims);
    json_begin_object(&w);
    json_kv_u64(&w, "sub", subject);
    json_key(&w, "aud");
    json_begin_array(&w);
    json_put_cstr(&w, audience);
    json_end_array(&w);
    if (lifetime_s > 0)
        json_kv_i64(&w, "exp", (int64_t)now_s + lifetime_s);
    json_end_object(&w);
    jws_issue_hs256(out, secret, claims.p);
}

static bool audience_fits(const struct json *aud)
{
    bool fits = str_eq_cstr(json_str(aud), audience);
    for (size_t i = 0; json_is(aud, JSON_ARRAY) && i < json_count(aud); i++)
        fits = fits || str_eq_cstr(json_str(json_at(aud, i)), audience);
    return fits;
}

static int check_times(const struct jws *j, uint64_t now_s, struct error *err)
{
    int64_t exp = 0, nbf = 0;
    int has_exp = jws_date(j, "exp", &exp), has_nbf = jws_date(j, "nbf", &nbf);
    if (has_exp < 0 || has_nbf < 0)
        return error_set(err, -EACCES, "exp or nbf is no date");
    if (has_exp && exp <= (int64_t)now_s)
        return error_set(err, -EACCES, "the token has expired");
    if (has_nbf && nbf > (int64_t)now_s)
        return error_set(err, -EACCES, "the token is not valid yet");
    return 0;
}

int token_verify(struct str token, struct str secret, uint64_t now_s, uint64_t *ret_subject,
                 struct error *err)
{
    struct jws jws cleanup(jws_done);
    int64_t subject;
    int rc = jws_read(&jws, token, err);
    if (rc)
        return rc;
    if (!jws_has_algorithm(&jws, "HS256"))
        return error_set(err, -EACCES, "the token's algorithm is not HS256");
    if (!jws_verify_hs256(&jws, secret))
        return error_set(err, -EACCES, "the token's signature is wrong");
    if (!audience_fits(json_get(jws.claims, "aud")))
        return error_set(err, -EACCES, "the token is for another audience");
    rc = check_times(&jws, now_s, err);
    if (rc)
        return rc;
    if (json_i64(json_get(jws.claims, "sub"), &subject) || subject <= 0)
        return error_set(err, -EACCES, "the token has no subject");
    *ret_subject = (uint64_t)subject;
    return 0;
}
