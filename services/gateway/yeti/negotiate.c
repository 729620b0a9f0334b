// See negotiate.h.
#include "services/gateway/yeti/negotiate.h"

#include "common/base/clock.h"
#include "services/gateway/auth/token.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/media.h"
#include "services/gateway/yeti/routes.h"

#include <errno.h>

static const char media_type[] = "application/vnd.api+json";

static bool is_write(const struct call *c)
{
    enum http_method m = http_method(c->call.http);
    return m == HTTP_POST || m == HTTP_PUT || m == HTTP_PATCH;
}

struct str negotiate_content_type(const struct call *c)
{
    return http_media_type(http_header(c->call.http, "content-type"));
}

// A command without a body has no type to name.
static bool says_nothing(const struct call *c)
{
    return c->route->flags & ROUTE_COMMAND && !http_body(c->call.http).n;
}

static bool has_json_type(const struct call *c)
{
    struct str type = negotiate_content_type(c);
    return str_ieq_cstr(type, media_type) || str_ieq_cstr(type, "application/json") ||
           (c->route->flags & ROUTE_OPEN && !type.n);
}

void negotiate_read(struct call *c)
{
    if (http_pairs_parse(http_query(c->call.http), &c->params, &c->query_error))
        c->params = (struct http_pairs){.items = NULL};
    if (is_write(c) && has_json_type(c))
        call_parse_body(c, http_body(c->call.http));
}

// ---- token

static struct str last_word(struct str text)
{
    size_t from;
    text = str_trim(text);
    for (from = text.n; from > 0 && text.p[from - 1] != ' ' && text.p[from - 1] != '\t';)
        from--;
    return str_slice(text, from, text.n);
}

// A parameter of the query or of the body wins over the header.
static struct str find_token(const struct call *c, struct http_pairs *form)
{
    const char *given = http_pairs_get(&c->params, "token");
    if (given && given[0])
        return str_of(given);
    struct str member = json_str(json_get(json_is(c->body, JSON_OBJECT) ? c->body : NULL, "token"));
    if (member.n)
        return member;
    if (is_write(c) && str_ieq_cstr(negotiate_content_type(c), "application/x-www-form-urlencoded") &&
        http_pairs_parse(http_body(c->call.http), form, NULL) == 0) {
        given = http_pairs_get(form, "token");
        if (given && given[0])
            return str_of(given);
    }
    return last_word(http_header(c->call.http, "authorization"));
}

static const struct principal *authorize(struct call *c)
{
    struct http_pairs form cleanup(http_pairs_done) = {.items = NULL};
    uint64_t subject;
    if (token_verify(find_token(c, &form), c->yeti->params.shared->token_secret, clock_wall_ms() / 1000,
                     &subject, NULL))
        return NULL;
    const struct principal *p =
        principals_by_id(dialect_principals(&c->call, c->yeti->params.shared), subject);
    return p && dialect_allows_client(c->yeti->params.shared, c->call.http, p) ? p : NULL;
}

bool negotiate_token(struct call *c)
{
    c->call.principal = authorize(c);
    if (c->call.principal) {
        c->call.account = c->call.principal->account;
        return true;
    }
    answer_unauthorized(c);
    return false;
}

// ---- roles and rate

static bool is_permitted(const struct call *c)
{
    enum http_method m = http_method(c->call.http);
    if (m == HTTP_GET || m == HTTP_HEAD)
        return principal_may(c->call.principal, MAY_READ);
    bool deploys = c->type == type_of(TYPE_POPS) || c->type == type_of(TYPE_NODES);
    return principal_may(c->call.principal, deploys ? MAY_DEPLOY : MAY_WRITE);
}

bool negotiate_limits(struct call *c)
{
    struct throttle_answer rate = dialect_throttle(c->yeti->params.shared, &c->call, 1);
    if (!rate.passes)
        answer_too_many(c, rate, "Too many requests of this user.");
    else if (!is_permitted(c))
        answer_error(c, PROBLEM_FORBIDDEN, STR_LIT("The user's roles do not allow this."), STR_NONE);
    else
        return true;
    return false;
}

// ---- media types

static bool accepts(struct str accept)
{
    struct str rest = accept, entry;
    if (!str_trim(accept).n)
        return true;
    while (str_split(&rest, ',', &entry)) {
        entry = str_trim(entry);
        if (str_eq_cstr(entry, media_type) || str_starts(entry, STR_LIT("*/*")))
            return true;
    }
    return false;
}

bool negotiate_media(struct call *c)
{
    if (c->route->flags & (ROUTE_LINES | ROUTE_ATOMIC))
        return media_passes(c);
    struct str type = negotiate_content_type(c);
    struct buf accept cleanup(buf_done) = BUF_INIT;
    http_header_list(c->call.http, "accept", &accept);
    if (is_write(c) && !says_nothing(c) && !str_eq_cstr(type, media_type)) {
        answer_error(c, PROBLEM_MEDIA_TYPE, type, STR_NONE);
        return false;
    }
    if (!accepts(buf_str(&accept))) {
        answer_error(c, PROBLEM_NOT_ACCEPTABLE, buf_str(&accept), STR_NONE);
        return false;
    }
    return true;
}

bool negotiate_query(struct call *c)
{
    if (!c->query_error.code)
        return true;
    answer_error(c, PROBLEM_BAD_REQUEST, str_of(c->query_error.text), STR_NONE);
    return false;
}
