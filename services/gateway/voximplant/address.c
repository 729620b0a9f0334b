// See address.h.
#include "services/gateway/voximplant/address.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum registration_transport transport;
} transports[] = {
    {"udp", TRANSPORT_UDP}, {"tcp", TRANSPORT_TCP}, {"tls", TRANSPORT_TLS}, {"ws", TRANSPORT_WS}};

static bool has_scheme(struct str text)
{
    return str_istarts(text, STR_LIT("sip:")) || str_istarts(text, STR_LIT("sips:"));
}

// A whole SIP URI of what may be a URI or only its hostport and parameters.
static void make_uri(struct str text, struct buf *out)
{
    struct sip_uri u;
    bool bare_ipv6 = !str_has_char(text, '[') && !sip_hostport_parse(text, &u, NULL) && u.ipv6;
    if (!has_scheme(text))
        buf_add_cstr(out, "sip:");
    if (bare_ipv6)
        buf_add_char(out, '[');
    buf_add_str(out, text);
    if (bare_ipv6)
        buf_add_char(out, ']');
}

void vox_proxy_done(struct proxy *p)
{
    free(p->domain);
    *p = (struct proxy){0};
}

static char *domain_of(const struct sip_uri *u)
{
    struct buf out = BUF_INIT;
    bool bracketed = u->ipv6 && u->port;
    buf_addf(&out, "%s" STR_FMT "%s", bracketed ? "[" : "", STR_ARG(u->host), bracketed ? "]" : "");
    if (u->port)
        buf_addf(&out, ":" STR_FMT, STR_ARG(u->port_text));
    return buf_steal(&out);
}

// The one parameter that a proxy may have.
static int read_transport(struct str params, struct proxy *p, struct error *err)
{
    static const struct str only = {";transport=", 11};
    if (!params.n)
        return 0;
    struct str name = str_istarts(params, only) ? str_slice(params, only.n, params.n) : STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(transports); i++) {
        if (!str_ieq_cstr(name, transports[i].name))
            continue;
        p->transport = transports[i].transport;
        p->says_transport = true;
        return 0;
    }
    return error_set(err, -EINVAL, "its only parameter may be transport: udp, tcp, tls or ws");
}

// RFC 3261 26.2.2: sips is TLS, whatever stream transport stands beside it.
static int read_scheme(const struct sip_uri *u, struct proxy *p, struct error *err)
{
    if (!u->sips)
        return 0;
    if (u->params.n && p->transport == TRANSPORT_UDP)
        return error_set(err, -EINVAL, "sips does not go over UDP");
    p->scheme = SCHEME_SIPS;
    p->transport = TRANSPORT_TLS;
    p->says_transport = true;
    return 0;
}

int vox_proxy_parse(struct str text, struct proxy *ret, struct error *err)
{
    struct buf uri cleanup(buf_done) = BUF_INIT;
    struct sip_uri u;
    *ret = (struct proxy){.scheme = SCHEME_SIP, .transport = TRANSPORT_UDP};
    text = str_trim(text);
    make_uri(text, &uri);
    int rc = sip_uri_parse(buf_str(&uri), &u, err);
    if (rc)
        return rc;
    if (u.user.p || u.headers.n)
        return error_set(err, -EINVAL, "it is a host, with a port at most, and has neither user nor headers");
    ret->says_transport = has_scheme(text);
    rc = read_transport(u.params, ret, err);
    if (!rc)
        rc = read_scheme(&u, ret, err);
    if (!rc)
        ret->domain = domain_of(&u);
    return rc;
}

static struct str without_brackets(struct str text)
{
    text = str_trim(text);
    if (text.n >= 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        return str_trim(str_slice(text, 1, text.n - 1));
    return text;
}

int vox_route_parse(struct str text, struct buf *out, struct error *err)
{
    struct buf uri cleanup(buf_done) = BUF_INIT;
    struct sip_uri u;
    struct str lr;
    make_uri(without_brackets(text), &uri);
    int rc = sip_uri_parse(buf_str(&uri), &u, err);
    if (rc)
        return rc;
    if (u.headers.n)
        return error_set(err, -EINVAL, "it has headers");
    buf_addf(out, "<" STR_FMT "%s>", STR_ARG(buf_str(&uri)), sip_param_get(u.params, "lr", &lr) ? "" : ";lr");
    return 0;
}

// The parameters but lr.
static void add_params(struct str params, struct buf *out)
{
    struct str piece;
    while (str_split(&params, ';', &piece))
        if (piece.n && !str_ieq_cstr(piece, "lr"))
            buf_addf(out, ";" STR_FMT, STR_ARG(piece));
}

void vox_route_text(struct str route, struct buf *out)
{
    struct sip_addr a;
    if (sip_addr_parse(route, &a, NULL)) {
        buf_add_str(out, route);
        return;
    }
    char *domain cleanup(mem_free_cstr) = domain_of(&a.uri);
    if (a.uri.user.p || a.uri.sips)
        buf_add_cstr(out, a.uri.sips ? "sips:" : "sip:");
    if (a.uri.user.p)
        buf_addf(out, STR_FMT "@", STR_ARG(a.uri.user));
    buf_add_cstr(out, domain);
    add_params(a.uri.params.n ? a.uri.params : a.params, out);
}
