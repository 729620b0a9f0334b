// See login.h. Failures are counted by address alone: every request carries its credentials, and counting by
// account would let a stranger lock the account's own tools out. Nor is the address counted as a name, which
// a stranger could give as his to another dialect.
#include "services/gateway/voximplant/login.h"

#include "common/base/clock.h"
#include "services/gateway/auth/token.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/methods.h"

static const struct {
    enum code code;
    bool counts; // as a failed login; a client's wrong clock does not
    const char *sentence;
} problems[] = {
    [TOKEN_MALFORMED] = {CODE_INVALID_TOKEN_FORMAT, true,
                         "The token is no JWT with kid, iss, iat and exp as they should be."},
    [TOKEN_ALGORITHM] = {CODE_INVALID_TOKEN_FORMAT, true, "The token's algorithm is not RS256."},
    [TOKEN_UNKNOWN_KEY] = {CODE_AUTHORIZATION_FAILED, true, "The token's key (kid) is not known."},
    [TOKEN_SIGNATURE] = {CODE_AUTHORIZATION_FAILED, true, "The token's signature is wrong."},
    [TOKEN_TTL] = {CODE_INVALID_TOKEN_TTL, false,
                   "The token's lifetime (exp - iat) is longer than 3600 seconds."},
    [TOKEN_FUTURE] = {CODE_TOKEN_ISSUED_IN_FUTURE, false, "The token was issued in the future (iat)."},
    [TOKEN_EXPIRED] = {CODE_TOKEN_EXPIRED, false, "The token has expired (exp)."},
};

// The token of an Authorization header of the scheme Bearer. False: there is no such header.
static bool bearer(const struct http_request *r, struct str *ret)
{
    static const struct str scheme = {"Bearer", 6};
    struct str header = str_trim(http_header(r, "authorization"));
    if (!str_istarts(header, scheme) || (header.n > scheme.n && header.p[scheme.n] != ' '))
        return false;
    *ret = str_trim(str_slice(header, scheme.n, header.n));
    return true;
}

static void count_failure(struct call *c)
{
    dialect_login_failed(c->vox->shared, c->base.http, STR_NONE);
}

static bool take_account(struct call *c, const struct principal *p, uint64_t number)
{
    const struct account *account = number ? principals_account_by_number(c->base.principals, number) : NULL;
    if (!account || !account_is_within(account, p->account)) {
        vox_answer_error(c, CODE_AUTHORIZATION_FAILED,
                         "The account %llu is not known, or not one of this key's.",
                         (unsigned long long)number);
        return false;
    }
    c->base.principal = p;
    c->base.account = account;
    return true;
}

static bool with_token(struct call *c, struct str token)
{
    struct key_token key;
    enum token_problem problem = key_token_verify(token, c->base.principals, clock_wall_ms() / 1000, &key);
    if (problem == TOKEN_GOOD)
        return take_account(c, key.principal, key.issuer);
    if (problems[problem].counts)
        count_failure(c);
    vox_answer_error(c, problems[problem].code, "%s", problems[problem].sentence);
    return false;
}

// Deprecated by Voximplant, and still what older tools send: account_id and api_key among the parameters.
static bool with_api_key(struct call *c)
{
    struct str api_key = vox_params_get(&c->params, "api_key");
    uint64_t number = 0;
    struct fault fault;
    if (!api_key.n) {
        vox_answer_error(
            c, CODE_AUTHORIZATION_FAILED,
            "Credentials are missing: a header Authorization: Bearer, or account_id and api_key.");
        return false;
    }
    const struct principal *p = principals_by_api_key(c->base.principals, api_key);
    if (!p || !vox_params_id(&c->params, "account_id", &number, &fault) || !number) {
        count_failure(c);
        vox_answer_error(c, CODE_AUTHORIZATION_FAILED, "The account_id or the api_key is wrong.");
        return false;
    }
    return take_account(c, p, number);
}

static bool identify(struct call *c)
{
    struct str token;
    struct throttle_answer t = dialect_throttle_login(c->vox->shared, c->base.http, STR_NONE);
    if (!t.passes) {
        vox_answer_error(c, CODE_RATE_LIMIT_EXCEED, "Too many failed authentications; try again in %u s.",
                         t.wait_ms / 1000 + 1);
        return false;
    }
    (void)dialect_principals(&c->base, c->vox->shared);
    bool known = bearer(c->base.http, &token) ? with_token(c, token) : with_api_key(c);
    if (known && !dialect_allows_client(c->vox->shared, c->base.http, c->base.principal)) {
        vox_answer_error(c, CODE_AUTHORIZATION_FAILED, "The key may not be used from this address.");
        return false;
    }
    return known;
}

static bool in_rate(struct call *c)
{
    struct throttle_answer t = dialect_throttle(c->vox->shared, &c->base, 1);
    if (!t.passes)
        vox_answer_error(c, CODE_RATE_LIMIT_EXCEED, "Too many requests; try again in %u ms.", t.wait_ms);
    return t.passes;
}

static bool has_role(struct call *c)
{
    struct buf roles cleanup(buf_done) = BUF_INIT;
    if (c->base.principal->roles & c->method->roles)
        return true;
    vox_method_roles(c->method, &roles);
    vox_answer_error(c, CODE_AUTHORIZATION_FAILED, "The method %s needs one of the roles %s.",
                     c->method->name, roles.p);
    return false;
}

bool vox_login_run(struct call *c)
{
    return identify(c) && in_rate(c) && has_role(c);
}
