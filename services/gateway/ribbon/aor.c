// See aor.h.
#include "services/gateway/ribbon/aor.h"

#include "common/http/http.h"
#include "common/sip/uri.h"

static size_t scheme_bytes(struct str text, bool *ret_sips)
{
    *ret_sips = str_istarts(text, STR_LIT("sips:"));
    return *ret_sips ? 5 : str_istarts(text, STR_LIT("sip:")) ? 4 : 0;
}

// A user that stands in a URI must be one that can stand there: asked of the URI parser with a host of our
// own.
static bool is_escaped_user(struct str user)
{
    struct buf probe cleanup(buf_done) = BUF_INIT;
    struct sip_uri u;
    buf_add_cstr(&probe, "sip:");
    buf_add_str(&probe, user);
    buf_add_cstr(&probe, "@h");
    return sip_uri_parse(buf_str(&probe), &u, NULL) == 0 && str_eq(u.user, user);
}

static bool is_bare_user(struct str user)
{
    return user.n && sip_text_is_safe(user) && !str_has_char(user, ':') && !str_has_char(user, '<') &&
           !str_has_char(user, '>');
}

bool aor_parse(struct str text, struct aor *ret)
{
    struct sip_uri u;
    size_t scheme = scheme_bytes(text, &ret->sips);
    struct str rest = str_slice(text, scheme, text.n);
    size_t at = str_find(rest, '@', 0);
    ret->user = str_slice(rest, 0, at);
    ret->hostport = str_slice(rest, at + 1, rest.n);
    ret->text = scheme && at < rest.n ? text : STR_NONE;
    ret->escaped = scheme || at < rest.n;
    if (at == rest.n)
        return scheme ? is_escaped_user(ret->user) : is_bare_user(ret->user);
    return is_escaped_user(ret->user) && sip_hostport_parse(ret->hostport, &u, NULL) == 0;
}

bool aor_fits(struct str text, enum aor_type type)
{
    struct aor a;
    struct buf user cleanup(buf_done) = BUF_INIT;
    return aor_parse(text, &a) && (type != AOR_STATIC || a.hostport.n) && aor_user(&a, &user);
}

bool aor_user(const struct aor *a, struct buf *out)
{
    if (a->escaped)
        return http_decode(out, a->user, false) == 0 && sip_text_is_safe(buf_str(out));
    buf_add_str(out, a->user);
    return true;
}

bool contact_user(struct str text, struct buf *out)
{
    bool sips;
    if (text.n > 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        text = str_slice(text, 1, text.n - 1);
    size_t scheme = scheme_bytes(text, &sips);
    size_t at = str_find(text, '@', scheme);
    struct str user = str_slice(text, scheme, at);
    if (scheme || at < text.n) {
        struct buf whole cleanup(buf_done) = BUF_INIT;
        struct sip_uri u;
        buf_add_cstr(&whole, "sip:");
        buf_add_str(&whole, user);
        buf_add_str(&whole, at < text.n ? str_slice(text, at, text.n) : STR_LIT("@h"));
        if (sip_uri_parse(buf_str(&whole), &u, NULL) != 0 || !str_eq(u.user, user))
            return false;
        buf_add_str(out, user);
        return true;
    }
    if (!is_bare_user(user))
        return false;
    sip_escape_user(out, user);
    return true;
}
