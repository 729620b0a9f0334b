// POST /auth (contract 6.1): user name and password for a token. The password is checked off the loop.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/auth/token.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/negotiate.h"

#include <stdlib.h>
#include <string.h>

struct credentials {
    char *username, *password; // NULL: not given
};

static void credentials_done(struct credentials *cr)
{
    if (cr->password)
        mem_wipe(cr->password, strlen(cr->password));
    free(cr->username);
    free(cr->password);
}

static char *text_member(const struct json *object, const char *name)
{
    const struct json *v = json_get(object, name);
    bool is_text = json_is(v, JSON_STRING) && !str_has_char(json_str(v), '\0');
    if (json_is(v, JSON_NUMBER))
        return str_dup(json_number_text(v));
    return is_text ? str_dup(json_str(v)) : NULL;
}

// Nested under "auth", or, where the type is application/json, flat.
static bool read_json(const struct call *c, struct credentials *ret)
{
    const struct json *auth = json_is(c->body, JSON_OBJECT) ? json_get(c->body, "auth") : NULL;
    bool may_be_flat = !str_ieq_cstr(negotiate_content_type(c), "application/vnd.api+json");
    if (!auth && may_be_flat && json_is(c->body, JSON_OBJECT))
        auth = c->body;
    if (!json_is(auth, JSON_OBJECT) || !json_count(auth))
        return false;
    ret->username = text_member(auth, "username");
    ret->password = text_member(auth, "password");
    return auth != c->body || ret->username || ret->password;
}

static bool read_form(const struct call *c, struct credentials *ret)
{
    struct http_pairs form cleanup(http_pairs_done) = {.items = NULL};
    if (http_pairs_parse(http_body(c->call.http), &form, NULL))
        return false;
    ret->username = mem_dup_cstr(http_pairs_get(&form, "auth[username]"));
    ret->password = mem_dup_cstr(http_pairs_get(&form, "auth[password]"));
    return ret->username || ret->password;
}

static void issue(struct call *c)
{
    const struct yeti_params *p = &c->yeti->params;
    struct buf token cleanup(buf_done) = BUF_INIT, body cleanup(buf_done) = BUF_INIT;
    token_issue(&token, p->shared->token_secret, c->call.principal->id, clock_wall_ms() / 1000,
                p->token_lifetime_s);
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_kv_str(&w, "jwt", buf_str(&token));
    json_end_object(&w);
    answer_json(c, 201, buf_str(&body));
}

static void on_checked(void *arg, bool matches)
{
    struct call *c = arg;
    if (!matches || !c->call.principal)
        dialect_login_failed(c->yeti->params.shared, c->call.http, str_of(c->work));
    if (!matches || !c->call.principal)
        answer_error(c, PROBLEM_LOGIN, STR_LIT("Incorrect login or password."), STR_NONE);
    else if (!dialect_allows_client(c->yeti->params.shared, c->call.http, c->call.principal))
        answer_error(c, PROBLEM_LOGIN, STR_LIT("Your IP address is not allowed."), STR_NONE);
    else
        issue(c);
}

void login_run(struct call *c)
{
    struct credentials given cleanup(credentials_done) = {.username = NULL};
    bool is_form = str_ieq_cstr(negotiate_content_type(c), "application/x-www-form-urlencoded");
    if (c->body_error.code) {
        answer_error(c, PROBLEM_BAD_REQUEST, str_of(c->body_error.text), STR_NONE);
        return;
    }
    if (!(is_form ? read_form(c, &given) : read_json(c, &given))) {
        answer_error(c, PROBLEM_BAD_REQUEST, STR_LIT("auth with username and password is missing"), STR_NONE);
        return;
    }
    struct str name = str_of(given.username);
    struct throttle_answer rate = dialect_throttle_login(c->yeti->params.shared, c->call.http, name);
    if (!rate.passes) {
        answer_too_many(c, rate, "Too many failed logins.");
        return;
    }
    c->work = str_dup(name);
    c->work_free = free;
    const struct principals *all = dialect_principals(&c->call, c->yeti->params.shared);
    c->call.principal = principals_by_username(all, name);
    const char *hash = c->call.principal ? c->call.principal->password_hash : principals_decoy_hash(all);
    if (!dialect_check_password(c->yeti->params.shared, &c->call, hash, str_of(given.password), on_checked, c,
                                yeti_not_begun))
        answer_unavailable(c, "Too many logins of this address are being checked.");
}
