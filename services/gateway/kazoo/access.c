// See access.h. Without any token, 405 and 404 win over 401: so the token's own checks come in two steps.
#include "services/gateway/kazoo/access.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/check.h"
#include "services/gateway/kazoo/handlers.h"
#include "services/gateway/kazoo/routes.h"
#include "services/gateway/kazoo/session.h"

#include <errno.h>

#define ACCOUNT_ID_BYTES 32

// ---- step 7 and what follows

static bool sees_account(const struct call *c)
{
    const struct account *own = c->call.principal->account;
    return own->is_system || account_is_within(c->call.account, own);
}

// The problem that stands in the way, or -1.
static int problem_of(const struct call *c, const struct verb *verb)
{
    const struct resource *r = c->resource;
    if (c->names_account && !sees_account(c))
        return PROBLEM_FORBIDDEN;
    if (!r)
        return PROBLEM_NO_RESOURCE;
    if (r->access == ACCESS_SYSTEM && !c->call.principal->account->is_system)
        return PROBLEM_FORBIDDEN;
    if (r->access == ACCESS_SESSION && !c->has_session)
        return PROBLEM_UNAUTHORIZED;
    return verb->writes && !principal_may(c->call.principal, MAY_WRITE) ? PROBLEM_FORBIDDEN : -1;
}

static void run(struct dialect_call *base)
{
    struct call *c = container_of(base, struct call, call);
    kazoo_routes_verb(c->resource, c->verb)->run(c);
}

// Lists go on for as long as their client reads.
static void take_turn(struct call *c, const struct verb *verb)
{
    enum fair_lane lane = verb->run == kazoo_list_run ? FAIR_BULK : FAIR_REQUESTS;
    if (!dialect_admit(c->kazoo->shared, &c->call, lane, verb->writes ? FAIR_WRITE : FAIR_READ, run,
                       kazoo_answer_stopping))
        kazoo_answer_problem(c, PROBLEM_UNREACHABLE, STR_LIT("too many requests of this account wait"));
}

static void authorize(struct call *c)
{
    const struct verb *verb = c->resource ? kazoo_routes_verb(c->resource, c->verb) : NULL;
    int problem = problem_of(c, verb);
    if (problem >= 0) {
        kazoo_answer_problem(c, (enum problem)problem, STR_NONE);
        return;
    }
    if (c->resource->access == ACCESS_ACCOUNT && !c->call.account)
        c->call.account = c->call.principal->account;
    take_turn(c, verb);
}

// ---- step 6

bool kazoo_access_take_tokens(struct call *c, struct str who, uint32_t cost)
{
    c->cost = cost;
    c->tokens_held = dialect_throttle_as(c->kazoo->shared, &c->call, who, cost);
    c->tokens = &c->tokens_held;
    bool passes = c->tokens->passes;
    if (!passes)
        kazoo_answer_problem(c, PROBLEM_TOO_MANY, STR_NONE);
    return passes;
}

static bool is_acceptable(const struct call *c, const struct principal *p)
{
    struct str wanted = http_header(c->call.http, "x-auth-account-id");
    return p && (!wanted.n || str_ieq_cstr(wanted, p->account->hex_id)) &&
           dialect_allows_client(c->kazoo->shared, c->call.http, p);
}

static void identified(struct call *c, const struct principal *p)
{
    if (!is_acceptable(c, p)) {
        kazoo_answer_problem(c, PROBLEM_UNAUTHORIZED, STR_NONE);
        return;
    }
    struct buf who cleanup(buf_done) = BUF_INIT;
    c->call.principal = p;
    buf_addf(&who, "%s/%s", p->account->name, p->username);
    if (!kazoo_access_take_tokens(c, buf_str(&who), 1))
        return;
    c->is_authenticated = true;
    authorize(c);
}

// base64 of ACCOUNT_ID:md5hex(user:password)
static void check_basic(struct call *c)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    bool is_read = decode_base64(&text, buf_str(&c->token)) == 0;
    struct str id = buf_str(&text);
    size_t colon = str_find(id, ':', 0);
    if (!is_read || colon == id.n) {
        kazoo_answer_problem(c, PROBLEM_UNAUTHORIZED, STR_NONE);
        return;
    }
    struct str credentials = str_slice(id, colon + 1, id.n);
    id = str_slice(id, 0, colon);
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    const struct check check = {.name = id,
                                .account = principals_account_by_hex_id(all, id),
                                .credentials = credentials,
                                .done = identified};
    kazoo_check_credentials(c, &check);
}

static void authenticate(struct call *c)
{
    if (c->resource && c->resource->access == ACCESS_OPEN)
        kazoo_routes_verb(c->resource, c->verb)->run(c);
    else if (c->has_session)
        identified(c, kazoo_session_principal(c));
    else if (c->presented == PRESENTED_BASIC)
        check_basic(c);
    else
        kazoo_answer_problem(c, PROBLEM_UNAUTHORIZED, STR_NONE);
}

// ---- steps 4 and 5

static void find_account(struct call *c)
{
    struct str id = buf_str(&c->account_id);
    if (!id.n || id.n != ACCOUNT_ID_BYTES) {
        kazoo_answer_problem(c, id.n ? PROBLEM_ACCOUNT_SHAPE : PROBLEM_ACCOUNT_EMPTY, id);
        return;
    }
    c->call.account = principals_account_by_hex_id(dialect_principals(&c->call, c->kazoo->shared), id);
    if (c->call.account)
        authenticate(c);
    else
        kazoo_answer_problem(c, PROBLEM_ACCOUNT_UNKNOWN, id);
}

static void after_token(struct call *c)
{
    if (c->resource && !kazoo_routes_verb(c->resource, c->verb))
        kazoo_answer_problem(c, PROBLEM_METHOD, STR_NONE);
    else if (c->names_account)
        find_account(c);
    else
        authenticate(c);
}

// ---- step 3

static void on_revocation(void *arg, int rc, struct str value, const struct error *err)
{
    struct call *c = arg;
    (void)value;
    c->has_session = rc == -ENOENT;
    if (c->has_session)
        after_token(c);
    else if (!rc)
        kazoo_answer_problem(c, PROBLEM_BAD_TOKEN, STR_NONE);
    else
        kazoo_answer_failure(c, rc, err);
}

void kazoo_access_run(struct call *c)
{
    bool is_open = c->resource && c->resource->access == ACCESS_OPEN; // a stale token is no hindrance there
    if (is_open || c->presented != PRESENTED_TOKEN) {
        after_token(c);
        return;
    }
    switch (session_token_verify(buf_str(&c->token), c->kazoo->shared->token_secret, clock_wall_ms() / 1000,
                                 &c->session)) {
    case TOKEN_GOOD:
        kazoo_session_ask_revoked(c, on_revocation);
        return;
    case TOKEN_ALGORITHM:
    case TOKEN_SIGNATURE:
    case TOKEN_UNKNOWN_KEY:
        after_token(c);
        return;
    case TOKEN_MALFORMED:
    case TOKEN_EXPIRED:
    case TOKEN_TTL:
    case TOKEN_FUTURE:
        kazoo_answer_problem(c, PROBLEM_BAD_TOKEN, STR_NONE);
    }
}
