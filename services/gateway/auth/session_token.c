// Kazoo's session tokens: see token.h.
#include "services/gateway/auth/jws.h"
#include "services/gateway/auth/token.h"

#include <string.h>

static const char audience[] = "kazoo";

// How a session came to be; the claim's text and the answer's.
static const char *const methods[] = {"cb_user_auth", "cb_api_auth"};

void session_token_issue(struct buf *out, struct str secret, const struct session_token *t)
{
    struct buf claims cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&claims);
    json_begin_object(&w);
    json_kv_cstr(&w, "aud", audience);
    json_kv_cstr(&w, "jti", t->id);
    json_kv_cstr(&w, "account_id", t->account);
    json_kv_cstr(&w, "method", t->method);
    if (t->user)
        json_kv_u64(&w, "user", t->user);
    if (t->key[0])
        json_kv_cstr(&w, "key", t->key);
    json_kv_u64(&w, "exp", t->expires_s);
    json_end_object(&w);
    jws_issue_hs256(out, secret, claims.p);
}

static const char *method_of(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq_cstr(text, methods[i]))
            return methods[i];
    return NULL;
}

// False where the text is absent, empty or too long.
static bool take_text(const struct json *claims, const char *name, char *ret, size_t size)
{
    struct str text = json_str(json_get(claims, name));
    if (text.n == 0 || text.n >= size || str_has_char(text, '\0'))
        return false;
    memcpy(ret, text.p, text.n);
    ret[text.n] = '\0';
    return true;
}

// Who logged in is a user or a key, never both.
static bool take_login(const struct json *claims, struct session_token *t)
{
    bool by_user = json_get(claims, "user"), by_key = json_get(claims, "key");
    if (by_user == by_key)
        return false;
    if (by_key)
        return take_text(claims, "key", t->key, sizeof(t->key));
    return json_u64(json_get(claims, "user"), &t->user) == 0 && t->user;
}

enum token_problem session_token_verify(struct str token, struct str secret, uint64_t now_s,
                                        struct session_token *ret)
{
    struct jws jws cleanup(jws_done);
    struct session_token t = {.user = 0};
    int64_t exp = 0, nbf = 0;
    if (jws_read(&jws, token, NULL))
        return TOKEN_MALFORMED;
    if (!jws_has_algorithm(&jws, "HS256"))
        return TOKEN_ALGORITHM;
    if (!jws_verify_hs256(&jws, secret))
        return TOKEN_SIGNATURE;
    t.method = method_of(json_str(json_get(jws.claims, "method")));
    if (!str_eq_cstr(json_str(json_get(jws.claims, "aud")), audience) || !t.method ||
        !take_text(jws.claims, "jti", t.id, sizeof(t.id)) ||
        !take_text(jws.claims, "account_id", t.account, sizeof(t.account)) || !take_login(jws.claims, &t) ||
        jws_date(&jws, "exp", &exp) != 1 || jws_date(&jws, "nbf", &nbf) < 0)
        return TOKEN_MALFORMED;
    t.expires_s = (uint64_t)exp;
    if (nbf > (int64_t)now_s)
        return TOKEN_FUTURE;
    if (exp <= (int64_t)now_s)
        return TOKEN_EXPIRED;
    *ret = t;
    return TOKEN_GOOD;
}
