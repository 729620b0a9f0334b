// PUT /user_auth and PUT /api_auth (contract 2.1): credentials or a key for a session.
#include "services/gateway/kazoo/access.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/check.h"
#include "services/gateway/kazoo/handlers.h"
#include "services/gateway/kazoo/session.h"

#define LOGIN_COST 35 // requests of the client's address

static struct str member(const struct call *c, const char *name)
{
    return json_str(json_get(json_is(c->data, JSON_OBJECT) ? c->data : NULL, name));
}

// Nobody is known yet: the bucket is the address's.
static bool take_tokens(struct call *c)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT, who cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&who, "login/");
    buf_add_str(&who, dialect_client(c->kazoo->shared, c->call.http, &scratch));
    return kazoo_access_take_tokens(c, buf_str(&who), LOGIN_COST);
}

static void on_user(struct call *c, const struct principal *p)
{
    if (p && dialect_allows_client(c->kazoo->shared, c->call.http, p))
        kazoo_session_begin(c, p);
    else
        kazoo_answer_problem(c, PROBLEM_UNAUTHORIZED, STR_NONE);
}

// What the account may be called, in the order in which they are looked at.
static const struct account_name {
    const char *member;
    const struct account *(*find)(const struct principals *p, struct str text);
} account_names[] = {
    {"phone_number", principals_account_by_phone},
    {"account_realm", principals_account_by_realm},
    {"realm", principals_account_by_realm},
    {"account_name", principals_account_by_title},
};

void kazoo_user_auth_run(struct call *c)
{
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    struct str credentials = member(c, "credentials"), method = member(c, "method"), name = STR_NONE;
    struct check check = {.credentials = credentials, .done = on_user};
    for (size_t i = 0; i < ARRAY_LEN(account_names) && !name.n; i++) {
        name = member(c, account_names[i].member);
        check.account = name.n ? account_names[i].find(all, name) : NULL;
    }
    check.name = name;
    check.is_sha = str_ieq_cstr(method, "sha") || str_ieq_cstr(method, "sha1");
    if (!credentials.n)
        kazoo_answer_problem(c, PROBLEM_REQUIRED, STR_LIT("credentials"));
    else if (method.n && !check.is_sha && !str_ieq_cstr(method, "md5"))
        kazoo_answer_problem(c, PROBLEM_METHOD_ENUM, STR_NONE);
    else if (!name.n)
        kazoo_answer_problem(c, PROBLEM_REQUIRED, STR_LIT("account_name"));
    else if (take_tokens(c))
        kazoo_check_credentials(c, &check);
}

void kazoo_api_auth_run(struct call *c)
{
    struct str key = member(c, "api_key");
    if (!key.n) {
        kazoo_answer_problem(c, PROBLEM_REQUIRED, STR_LIT("api_key"));
        return;
    }
    if (!take_tokens(c))
        return;
    // counted by address alone: a key has no name that somebody could shut out by failing
    struct throttle_answer may = dialect_throttle_login(c->kazoo->shared, c->call.http, STR_NONE);
    if (!may.passes) {
        c->tokens_held.wait_ms = may.wait_ms;
        kazoo_answer_problem(c, PROBLEM_TOO_MANY, STR_NONE);
        return;
    }
    const struct principal *p = principals_by_api_key(dialect_principals(&c->call, c->kazoo->shared), key);
    if (p && dialect_allows_client(c->kazoo->shared, c->call.http, p)) {
        kazoo_session_begin(c, p);
        return;
    }
    dialect_login_failed(c->kazoo->shared, c->call.http, STR_NONE);
    kazoo_answer_problem(c, PROBLEM_NO_API_KEY, key);
}
