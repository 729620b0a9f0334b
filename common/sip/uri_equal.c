// Whether two URIs are the same, RFC 3261 19.1.4: what tells our binding from others in a registrar's answer.
#include "common/sip/uri.h"

#include "common/sip/chars.h"
#include "common/sip/params.h"

#include <arpa/inet.h>
#include <string.h>

// The next character at *at, escapes resolved. One that is escaped and reserved (RFC 2396 2.2) is not the
// same as that character bare: it gets a value of its own.
static int next_char(struct str s, size_t *at, bool fold)
{
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): with a length there are bytes
    int c = (unsigned char)s.p[*at];
    if (char_starts_escape(s, *at)) {
        c = decode_hex_digit(s.p[*at + 1]) << 4 | decode_hex_digit(s.p[*at + 2]);
        *at += 3;
        if (c < 0x80 && char_is_in((char)c, ";/?:@&=+$,"))
            return c + 256;
    } else {
        *at += 1;
    }
    return fold && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool text_equal(struct str a, struct str b, bool fold)
{
    size_t i = 0, k = 0;
    while (i < a.n && k < b.n)
        if (next_char(a, &i, fold) != next_char(b, &k, fold))
            return false;
    return i == a.n && k == b.n;
}

static bool ipv6_equal(struct str a, struct str b)
{
    char text_a[INET6_ADDRSTRLEN] = "", text_b[INET6_ADDRSTRLEN] = "";
    struct in6_addr x, y;
    if (a.n >= sizeof(text_a) || b.n >= sizeof(text_b))
        return false;
    memcpy(text_a, a.p, a.n);
    memcpy(text_b, b.p, b.n);
    return inet_pton(AF_INET6, text_a, &x) == 1 && inet_pton(AF_INET6, text_b, &y) == 1 &&
           memcmp(&x, &y, sizeof(x)) == 0;
}

static bool authority_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->sips != b->sips || a->port != b->port || a->ipv6 != b->ipv6)
        return false;
    if (!a->user.p != !b->user.p || !a->password.p != !b->password.p)
        return false;
    if (!text_equal(a->user, b->user, false) || !text_equal(a->password, b->password, false))
        return false;
    return a->ipv6 ? ipv6_equal(a->host, b->host) : str_ieq(a->host, b->host);
}

bool sip_param_find(struct str params, struct str name, struct sip_param *ret)
{
    while (sip_param_next(&params, ret))
        if (text_equal(ret->name, name, true))
            return true;
    return false;
}

// These change where or how a request is sent, so their absence is not "any".
static bool must_be_in_both(struct str name)
{
    static const char *const names[] = {"user", "ttl", "method", "maddr", "transport"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (text_equal(name, str_of(names[i]), true))
            return true;
    return false;
}

static bool params_agree(struct str params, struct str others)
{
    struct sip_param mine, other;
    while (sip_param_next(&params, &mine)) {
        if (!sip_param_find(others, mine.name, &other)) {
            if (must_be_in_both(mine.name))
                return false;
        } else if (mine.has_value != other.has_value || !text_equal(mine.value, other.value, true)) {
            return false;
        }
    }
    return true;
}

static bool header_is_in(struct str header, struct str headers)
{
    struct str other;
    while (str_split(&headers, '&', &other))
        if (text_equal(header, other, true))
            return true;
    return false;
}

// Order does not matter; a header that is in one only never matches.
static bool headers_agree(struct str headers, struct str others)
{
    struct str header;
    while (str_split(&headers, '&', &header))
        if (!header_is_in(header, others))
            return false;
    return true;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    return authority_equal(a, b) && params_agree(a->params, b->params) &&
           params_agree(b->params, a->params) && headers_agree(a->headers, b->headers) &&
           headers_agree(b->headers, a->headers);
}
