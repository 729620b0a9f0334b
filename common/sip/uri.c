// Parsing of SIP and SIPS URIs and of host[:port]. Refuses what RFC 3261 25.1 has no rule for; the one thing
// it allows beyond it is "_" in host names, which networks use.
#include "common/sip/uri.h"

#include "common/sip/chars.h"
#include "common/sip/params.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

// Longer ones have no use, and the bound keeps comparing two of them cheap.
#define URI_MAX_BYTES 4096

// unreserved, escaped, or one of `also`
static bool consists_of(struct str s, const char *also)
{
    for (size_t i = 0; i < s.n; i++) {
        if (char_starts_escape(s, i))
            i += 2;
        else if (!char_is_unreserved(s.p[i]) && !char_is_in(s.p[i], also))
            return false;
    }
    return true;
}

static int parse_userinfo(struct str text, struct sip_uri *u, struct error *err)
{
    size_t colon = str_find(text, ':', 0);
    u->user = str_slice(text, 0, colon);
    if (u->user.n == 0)
        return error_set(err, -EINVAL, "there is no user before \"@\"");
    if (!consists_of(u->user, "&=+$,;?/"))
        return error_set(err, -EINVAL, "the user holds a character that must be escaped");
    if (colon == text.n)
        return 0;
    u->password = str_slice(text, colon + 1, text.n);
    if (!consists_of(u->password, "&=+$,"))
        return error_set(err, -EINVAL, "the password holds a character that must be escaped");
    return 0;
}

static bool is_ipv6(struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.n == 0 || text.n >= sizeof(copy) || str_has_char(text, '\0'))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_ipv4(struct str text)
{
    char copy[INET_ADDRSTRLEN];
    struct in_addr address;
    if (text.n >= sizeof(copy) || str_has_char(text, '\0'))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(AF_INET, copy, &address) == 1;
}

static bool is_label(struct str label)
{
    if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++)
        if (!char_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
            return false;
    return true;
}

static bool is_all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!char_is_digit(s.p[i]))
            return false;
    return s.n > 0;
}

// A name whose last label is a number can only be an IPv4 address (toplabel starts with a letter).
static bool is_host(struct str host)
{
    struct str rest = host, label = STR_NONE;
    if (host.n == 0 || host.n > 255)
        return false;
    if (rest.p[rest.n - 1] == '.')
        rest.n--;
    if (rest.n == 0 || rest.p[rest.n - 1] == '.')
        return false;
    while (str_split(&rest, '.', &label))
        if (!is_label(label))
            return false;
    return !is_all_digits(label) || is_ipv4(host);
}

static int parse_port(struct str text, struct sip_uri *u, struct error *err)
{
    uint64_t port = 0;
    if (text.n > 5 || str_to_u64(text, &port) || port == 0 || port > UINT16_MAX)
        return error_set(err, -EINVAL, "the port is no number from 1 to 65535");
    u->port = (uint16_t)port;
    u->port_text = text;
    return 0;
}

static int parse_bracketed(struct str text, struct sip_uri *u, struct error *err)
{
    size_t end = str_find(text, ']', 0);
    u->host = str_slice(text, 1, end);
    u->ipv6 = true;
    if (end == text.n || !is_ipv6(u->host))
        return error_set(err, -EINVAL, "the host is no IPv6 address in brackets");
    struct str after = str_slice(text, end + 1, text.n);
    if (after.n == 0)
        return 0;
    if (after.p[0] != ':')
        return error_set(err, -EINVAL, "only a port may follow the address in brackets");
    return parse_port(str_slice(after, 1, after.n), u, err);
}

static int parse_hostport(struct str text, struct sip_uri *u, struct error *err)
{
    if (text.n && text.p[0] == '[')
        return parse_bracketed(text, u, err);
    size_t colon = str_find(text, ':', 0);
    u->host = str_slice(text, 0, colon);
    if (u->host.n == 0)
        return error_set(err, -EINVAL, "there is no host");
    if (!is_host(u->host))
        return error_set(err, -EINVAL, "the host is neither a host name nor an IP address");
    return colon == text.n ? 0 : parse_port(str_slice(text, colon + 1, text.n), u, err);
}

static int check_params(struct str params, struct error *err)
{
    struct str rest = str_slice(params, 1, params.n), param;
    if (params.n && (rest.n == 0 || rest.p[rest.n - 1] == ';'))
        return error_set(err, -EINVAL, "there is an empty URI parameter");
    while (str_split(&rest, ';', &param)) {
        size_t equals = str_find(param, '=', 0);
        struct str name = str_slice(param, 0, equals);
        struct str value = str_slice(param, equals + 1, param.n);
        if (name.n == 0 || !consists_of(name, "[]/:&+$"))
            return error_set(err, -EINVAL, "a URI parameter has a bad name");
        if ((equals < param.n && value.n == 0) || !consists_of(value, "[]/:&+$"))
            return error_set(err, -EINVAL, "a URI parameter has a bad value");
        struct sip_param twin; // rest is what follows this one
        if (sip_param_find(rest, name, &twin))
            return error_set(err, -EINVAL, "a URI parameter stands twice"); // 19.1.1
    }
    return 0;
}

static int check_headers(struct str headers, struct error *err)
{
    struct str rest = headers, header;
    if (headers.n && headers.p[headers.n - 1] == '&')
        return error_set(err, -EINVAL, "there is an empty URI header");
    while (str_split(&rest, '&', &header)) {
        size_t equals = str_find(header, '=', 0);
        if (equals == 0 || equals == header.n || !consists_of(str_slice(header, 0, equals), "[]/?:+$") ||
            !consists_of(str_slice(header, equals + 1, header.n), "[]/?:+$"))
            return error_set(err, -EINVAL, "a URI header is not name=value of allowed characters");
    }
    return 0;
}

static int parse_after_scheme(struct str rest, struct sip_uri *u, struct error *err)
{
    size_t at = str_find(rest, '@', 0);
    if (at < rest.n) {
        int rc = parse_userinfo(str_slice(rest, 0, at), u, err);
        if (rc)
            return rc;
        rest = str_slice(rest, at + 1, rest.n);
    }
    size_t question = str_find(rest, '?', 0);
    struct str before = str_slice(rest, 0, question);
    size_t semicolon = str_find(before, ';', 0);
    u->params = str_slice(before, semicolon, before.n);
    u->headers = str_slice(rest, question + 1, rest.n);
    if (question < rest.n && u->headers.n == 0)
        return error_set(err, -EINVAL, "nothing follows \"?\"");
    int rc = parse_hostport(str_slice(before, 0, semicolon), u, err);
    if (!rc)
        rc = check_params(u->params, err);
    return rc ? rc : check_headers(u->headers, err);
}

int sip_uri_parse(struct str text, struct sip_uri *ret, struct error *err)
{
    struct sip_uri u = {0};
    if (text.n > URI_MAX_BYTES)
        return error_set(err, -EINVAL, "a URI may have %d bytes at most", URI_MAX_BYTES);
    u.sips = str_istarts(text, STR_LIT("sips:"));
    if (!u.sips && !str_istarts(text, STR_LIT("sip:")))
        return error_set(err, -EINVAL, "a URI starts with \"sip:\" or \"sips:\"");
    int rc = parse_after_scheme(str_slice(text, u.sips ? 5 : 4, text.n), &u, err);
    if (!rc)
        *ret = u;
    return rc;
}

int sip_hostport_parse(struct str text, struct sip_uri *ret, struct error *err)
{
    struct sip_uri u = {0};
    int rc = 0;
    if (is_ipv6(text)) {
        u.host = text;
        u.ipv6 = true;
    } else {
        rc = parse_hostport(text, &u, err);
    }
    if (!rc)
        *ret = u;
    return rc;
}
