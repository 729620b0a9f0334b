// name-addr and addr-spec with their header parameters, and comma-separated lists of them. White space is as
// in an unfolded header: spaces and tabs.
#include "common/sip/uri.h"

#include "common/sip/chars.h"
#include "common/sip/params.h"

#include <errno.h>

// Index after the closing quote of the quoted-string at `from`, or s.n + 1 when it is not closed.
static size_t quoted_end(struct str s, size_t from)
{
    for (size_t i = from + 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return s.n + 1;
}

// First `c` outside quotes and, where asked, outside <>; s.n when there is none.
static size_t find_outside(struct str s, char c, bool skip_brackets)
{
    bool inside = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' && !inside) {
            i = quoted_end(s, i) - 1;
            continue;
        }
        if (s.p[i] == c && !inside)
            return i;
        if (skip_brackets && (s.p[i] == '<' || s.p[i] == '>'))
            inside = s.p[i] == '<';
    }
    return s.n;
}

static struct str trim(struct str s)
{
    while (s.n && char_is_lws(s.p[0]))
        s = str_slice(s, 1, s.n);
    while (s.n && char_is_lws(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool sip_list_next(struct str *rest, struct str *ret_element)
{
    while (rest->n) {
        size_t comma = find_outside(*rest, ',', true);
        *ret_element = trim(str_slice(*rest, 0, comma));
        *rest = str_slice(*rest, comma + 1, rest->n);
        if (ret_element->n)
            return true;
    }
    return false;
}

bool sip_param_next(struct str *rest, struct sip_param *ret)
{
    if (rest->n == 0)
        return false;
    struct str after = str_slice(*rest, rest->p[0] == ';' ? 1 : 0, rest->n);
    size_t end = find_outside(after, ';', false);
    struct str param = str_slice(after, 0, end);
    size_t equals = find_outside(param, '=', false);
    *ret = (struct sip_param){
        .name = trim(str_slice(param, 0, equals)),
        .value = trim(str_slice(param, equals + 1, param.n)),
        .has_value = equals < param.n,
    };
    *rest = str_slice(after, end, after.n);
    return true;
}

bool sip_param_get(struct str params, const char *name, struct str *ret_value)
{
    struct sip_param p;
    while (sip_param_next(&params, &p)) {
        if (str_ieq_cstr(p.name, name)) {
            *ret_value = p.value;
            return true;
        }
    }
    return false;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!char_is_token(s.p[i]))
            return false;
    return s.n > 0;
}

// 25.1 quoted-string, quotes included. Bytes above 0x7f are UTF-8, which sip_text_is_safe judges.
static bool is_quoted(struct str s)
{
    return s.n >= 2 && s.p[0] == '"' && quoted_end(s, 0) == s.n;
}

// gen-value, and beyond it any visible character that separates nothing: registrars put bare URIs there.
static bool is_param_value(struct str s)
{
    if (is_quoted(s))
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || char_is_in(s.p[i], "\",;<>\\"))
            return false;
    return s.n > 0;
}

static int check_params(struct str params, struct error *err)
{
    struct sip_param p;
    if (params.n && params.p[0] != ';')
        return error_set(err, -EINVAL, "only parameters may follow the URI");
    if (params.n && params.p[params.n - 1] == ';')
        return error_set(err, -EINVAL, "there is an empty parameter");
    while (sip_param_next(&params, &p)) {
        if (!is_token(p.name))
            return error_set(err, -EINVAL, "a parameter has a bad name");
        if (p.has_value && !is_param_value(p.value))
            return error_set(err, -EINVAL, "a parameter has a bad value");
    }
    return 0;
}

// Unquoted: tokens with spaces between them.
static bool is_plain_display(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!char_is_token(s.p[i]) && !char_is_lws(s.p[i]))
            return false;
    return true;
}

static int parse_display(struct str text, struct sip_addr *a, struct error *err)
{
    if (text.n && text.p[0] == '"') {
        if (!is_quoted(text))
            return error_set(err, -EINVAL, "the display name's quotes are not closed");
        a->display = str_slice(text, 1, text.n - 1);
        return 0;
    }
    if (!is_plain_display(text))
        return error_set(err, -EINVAL, "the display name must be quoted");
    a->display = text;
    return 0;
}

static int parse_name_addr(struct str text, size_t open, struct sip_addr *a, struct error *err)
{
    size_t close = str_find(text, '>', open);
    if (close == text.n)
        return error_set(err, -EINVAL, "\"<\" is not closed");
    int rc = parse_display(trim(str_slice(text, 0, open)), a, err);
    a->brackets = true;
    a->uri_text = str_slice(text, open + 1, close);
    a->params = trim(str_slice(text, close + 1, text.n));
    return rc;
}

// Without brackets "?" and "," may not stand in the URI, and all parameters are the header's (RFC 3261 20).
static int parse_addr_spec(struct str text, struct sip_addr *a, struct error *err)
{
    size_t semicolon = str_find(text, ';', 0);
    a->uri_text = trim(str_slice(text, 0, semicolon));
    a->params = str_slice(text, semicolon, text.n);
    if (str_has_char(a->uri_text, '?') || str_has_char(a->uri_text, ','))
        return error_set(err, -EINVAL, "a URI with \"?\" or \",\" needs angle brackets");
    if (find_outside(a->params, '@', false) < a->params.n)
        return error_set(err, -EINVAL, "a user with \";\" needs angle brackets");
    return 0;
}

int sip_addr_parse(struct str text, struct sip_addr *ret, struct error *err)
{
    struct sip_addr a = {0};
    text = trim(text);
    if (!sip_text_is_safe(text))
        return error_set(err, -EINVAL, "it holds control characters or is not UTF-8");
    size_t open = find_outside(text, '<', false);
    int rc = open < text.n || (text.n && text.p[0] == '"') ? parse_name_addr(text, open, &a, err)
                                                           : parse_addr_spec(text, &a, err);
    if (!rc)
        rc = sip_uri_parse(a.uri_text, &a.uri, err);
    if (!rc)
        rc = check_params(a.params, err);
    if (!rc)
        *ret = a;
    return rc;
}
