// See request.h. The one gate through which text reaches the wire, so every part is checked here again,
// whoever checked it before.
#include "services/registrant/sip/request.h"

#include "common/sip/uri.h"

#include <errno.h>

// The first Route's URI when it is a strict router, else the empty string.
static struct str strict_router(const struct sip_request *r)
{
    struct sip_addr first;
    struct str ignored;
    if (!r->route_count || sip_addr_parse(r->routes[0], &first, NULL) != 0)
        return STR_NONE;
    if (sip_param_get(first.uri.params, "lr", &ignored))
        return STR_NONE;
    // Headers may not stand in a Request-URI (12.2.1.1).
    return str_slice(first.uri_text, 0, str_find(first.uri_text, '?', 0));
}

static int add_line(struct buf *out, struct str name, struct str value)
{
    if (!sip_text_is_safe(value))
        return -EINVAL;
    buf_add_str(out, name);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
    return 0;
}

// Quotes and angle brackets in pairs: an open one would swallow what a registrar adds to it.
static bool is_closed(struct str address)
{
    bool quoted = false, open = false;
    for (size_t i = 0; i < address.n; i++) {
        char c = address.p[i];
        if (c == '\\' && quoted)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '<' || c == '>')) {
            if (open == (c == '<'))
                return false;
            open = c == '<';
        }
    }
    return !quoted && !open && address.n;
}

static int add_address(struct buf *out, struct str name, struct str value)
{
    return is_closed(value) ? add_line(out, name, value) : -EINVAL;
}

static int add_contact(struct buf *out, struct str contact, struct str local)
{
    if (!sip_text_is_safe(contact) || !sip_text_is_safe(local) || !is_closed(contact))
        return -EINVAL;
    if (!local.n && str_find_str(contact, REGISTRATION_LOCAL) < contact.n)
        return -EINVAL;
    buf_add_cstr(out, "Contact: ");
    registration_replace_local(out, contact, local);
    buf_add(out, "\r\n", 2);
    return 0;
}

static int add_request_line(struct buf *out, const struct sip_request *r, struct str strict)
{
    struct str uri = strict.n ? strict : r->request_uri;
    // A blank would end the Request-URI early and shift what follows.
    if (!uri.n || str_has_char(uri, ' ') || str_has_char(uri, '\t') || !sip_text_is_safe(uri))
        return -EINVAL;
    buf_add_cstr(out, "REGISTER ");
    buf_add_str(out, uri);
    buf_add_cstr(out, " SIP/2.0\r\n");
    return 0;
}

static int add_routes(struct buf *out, const struct sip_request *r, struct str strict)
{
    int bad = 0;
    for (size_t i = strict.n ? 1 : 0; i < r->route_count; i++)
        bad |= add_address(out, STR_LIT("Route: "), r->routes[i]);
    if (strict.n) {
        bad |= !sip_text_is_safe(r->request_uri);
        buf_add_cstr(out, "Route: <");
        buf_add_str(out, r->request_uri);
        buf_add_cstr(out, ">\r\n");
    }
    return bad ? -EINVAL : 0;
}

static int add_bindings(struct buf *out, const struct sip_request *r, struct str local)
{
    int bad = 0;
    for (size_t i = 0; i < r->contact_count; i++)
        bad |= add_contact(out, r->contacts[i], local);
    if (r->contact_count) { // without, it would mean nothing: a fetch binds nothing (10.2.3)
        buf_add_cstr(out, "Expires: ");
        buf_add_u64(out, r->expires);
        buf_add(out, "\r\n", 2);
    }
    return bad;
}

static int add_options(struct buf *out, const struct sip_request *r)
{
    int bad = 0;
    if (r->supported.n)
        bad |= add_line(out, STR_LIT("Supported: "), r->supported);
    if (r->require.n) {
        bad |= add_line(out, STR_LIT("Require: "), r->require);
        bad |= add_line(out, STR_LIT("Proxy-Require: "), r->require);
    }
    return bad;
}

int request_text(const struct sip_request *r, struct str local, const char *user_agent, struct buf *out,
                 size_t *ret_via_at)
{
    struct str strict = strict_router(r);
    int bad = add_request_line(out, r, strict);
    *ret_via_at = out->n;
    bad |= add_routes(out, r, strict);
    buf_add_cstr(out, "Max-Forwards: 70\r\n");
    bad |= add_address(out, STR_LIT("From: "), r->from);
    bad |= add_address(out, STR_LIT("To: "), r->to);
    bad |= add_line(out, STR_LIT("Call-ID: "), r->call_id);
    buf_add_cstr(out, "CSeq: ");
    buf_add_u64(out, r->cseq);
    buf_add_cstr(out, " REGISTER\r\n");
    bad |= add_bindings(out, r, local);
    bad |= add_options(out, r);
    if (user_agent && *user_agent)
        bad |= add_line(out, STR_LIT("User-Agent: "), str_of(user_agent));
    for (size_t i = 0; i < r->authorization_count; i++)
        bad |= add_line(out, STR_LIT(""), r->authorizations[i]);
    buf_add_cstr(out, "Content-Length: 0\r\n\r\n");
    return bad ? -EINVAL : 0;
}

// ---- where it goes to

static const struct {
    const char *name;
    enum registration_transport transport;
} transports[] = {{"udp", TRANSPORT_UDP}, {"tcp", TRANSPORT_TCP}, {"tls", TRANSPORT_TLS}};

static int given_transport(struct str name, struct resolve_query *q)
{
    for (size_t i = 0; i < ARRAY_LEN(transports); i++)
        if (str_ieq_cstr(name, transports[i].name)) {
            q->transport = transports[i].transport;
            q->transport_given = true;
            return 0;
        }
    return -EPROTONOSUPPORT;
}

static int choose_transport(const struct sip_request *r, const struct sip_uri *uri, struct resolve_query *q)
{
    struct str given;
    int rc = 0;
    q->transport = r->transport;
    q->transport_given = r->transport != TRANSPORT_UDP;
    q->sips = uri->sips;
    if (sip_param_get(uri->params, "transport", &given))
        rc = given_transport(given, q);
    if (rc || q->transport == TRANSPORT_WS)
        return -EPROTONOSUPPORT;
    if (!uri->sips)
        return 0;
    if (q->transport_given && q->transport == TRANSPORT_UDP) // sips never goes by datagram (26.2.2)
        return -EPROTONOSUPPORT;
    q->transport = TRANSPORT_TLS;
    return 0;
}

int request_hop(const struct sip_request *r, struct resolve_query *ret, struct str *ret_name)
{
    struct str strict = strict_router(r);
    // With a strict router the Request-URI is the router's, and that is what is resolved.
    struct str hop = strict.n && str_eq(r->next_hop, r->request_uri) ? strict : r->next_hop;
    struct sip_uri uri;
    struct str maddr;
    if (sip_uri_parse(hop, &uri, NULL) != 0)
        return -EINVAL;
    struct resolve_query q = {
        .host = uri.host, .port = uri.port, .registrar = r->registrar, .affinity = r->affinity};
    if (sip_param_get(uri.params, "maddr", &maddr) && maddr.n)
        q.host = maddr.p[0] == '[' ? str_slice(maddr, 1, maddr.n - 1) : maddr;
    int rc = choose_transport(r, &uri, &q);
    if (rc)
        return rc;
    *ret = q;
    *ret_name = uri.host;
    return 0;
}
