// The parsing and choosing of digest.h. A header value is a list of schemes and of their parameters, both
// separated by commas (RFC 7235 2.1), so a token that is not followed by '=' begins the next scheme.
#include "services/registrant/core/digest.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void skip(struct str *rest)
{
    while (rest->n && (is_space(rest->p[0]) || rest->p[0] == ','))
        *rest = str_slice(*rest, 1, rest->n);
}

static void skip_space(struct str *rest)
{
    while (rest->n && is_space(rest->p[0]))
        *rest = str_slice(*rest, 1, rest->n);
}

static struct str take_token(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && !is_space(rest->p[n]) && rest->p[n] != '=' && rest->p[n] != ',' &&
           rest->p[n] != '"')
        n++;
    struct str token = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->n);
    return token;
}

// The value after '=': a token, or a quoted string without its quotes. False when the quote is never closed.
static bool take_value(struct str *rest, struct str *ret)
{
    skip_space(rest);
    if (!rest->n || rest->p[0] != '"') {
        size_t n = 0;
        while (n < rest->n && !is_space(rest->p[n]) && rest->p[n] != ',')
            n++;
        *ret = str_slice(*rest, 0, n);
        *rest = str_slice(*rest, n, rest->n);
        return true;
    }
    size_t end = 1;
    while (end < rest->n && rest->p[end] != '"')
        end += rest->p[end] == '\\' ? 2 : 1;
    if (end >= rest->n)
        return false;
    *ret = str_slice(*rest, 1, end);
    *rest = str_slice(*rest, end + 1, rest->n);
    return true;
}

static enum digest_qop choose_qop(struct str list)
{
    enum digest_qop best = QOP_UNKNOWN;
    struct str option;
    while (str_split(&list, ',', &option)) {
        option = str_trim(option);
        if (str_ieq_cstr(option, "auth"))
            return QOP_AUTH;
        if (str_ieq_cstr(option, "auth-int"))
            best = QOP_AUTH_INT;
    }
    return best;
}

static void set_parameter(struct digest_challenge *c, struct str name, struct str value)
{
    if (str_ieq_cstr(name, "realm"))
        c->realm = value;
    else if (str_ieq_cstr(name, "nonce"))
        c->nonce = value;
    else if (str_ieq_cstr(name, "opaque"))
        c->opaque = value;
    else if (str_ieq_cstr(name, "stale"))
        c->stale = str_ieq_cstr(value, "true");
    else if (str_ieq_cstr(name, "userhash"))
        c->userhash = str_ieq_cstr(value, "true");
    else if (str_ieq_cstr(name, "qop"))
        c->qop = choose_qop(value);
    else if (str_ieq_cstr(name, "algorithm")) {
        c->algorithm = digest_algorithm_of(value);
        c->algorithm_given = true;
    }
}

static bool is_complete(const struct digest_challenge *c)
{
    return c->realm.p && c->nonce.p;
}

size_t digest_parse(struct str value, bool proxy, struct digest_challenge *ret, size_t count, size_t max)
{
    struct str rest = value;
    struct digest_challenge now = {.proxy = proxy};
    bool digest = false;
    for (skip(&rest); rest.n; skip(&rest)) {
        struct str token = take_token(&rest);
        skip_space(&rest);
        if (!token.n)
            break;
        if (rest.n && rest.p[0] == '=') {
            struct str text;
            rest = str_slice(rest, 1, rest.n);
            if (!take_value(&rest, &text))
                break;
            set_parameter(&now, token, text);
            continue;
        }
        if (digest && is_complete(&now) && count < max)
            ret[count++] = now;
        now = (struct digest_challenge){.proxy = proxy};
        digest = str_ieq_cstr(token, "Digest");
    }
    if (digest && is_complete(&now) && count < max)
        ret[count++] = now;
    return count;
}

static bool is_known(const struct digest_challenge *c)
{
    bool bare_session = c->qop == QOP_NONE && digest_is_session(c->algorithm);
    return c->algorithm != DIGEST_UNKNOWN && c->qop != QOP_UNKNOWN && !bare_session;
}

size_t digest_drop_unknown(struct digest_challenge *challenges, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (is_known(&challenges[i]))
            challenges[kept++] = challenges[i];
    return kept;
}

size_t digest_choose(struct digest_challenge *challenges, size_t count, digest_can *can, void *arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct digest_challenge *c = &challenges[i];
        bool first = true;
        for (size_t k = 0; first && k < kept; k++)
            first = challenges[k].proxy != c->proxy || !str_eq(challenges[k].realm, c->realm);
        if (first && can(c, arg))
            challenges[kept++] = *c;
    }
    return kept;
}

bool digest_is_text(struct str quoted, struct str plain)
{
    size_t at = 0;
    for (size_t i = 0; i < quoted.n; i++, at++) {
        if (quoted.p[i] == '\\' && i + 1 < quoted.n)
            i++;
        if (at == plain.n || quoted.p[i] != plain.p[at])
            return false;
    }
    return at == plain.n;
}
