// See request.h. The one gate through which text reaches the wire, so every part is checked here again,
// whoever checked it before.
#include "services/registrant/sip/request.h"

#include "common/sip/uri.h"

#include <errno.h>

static const struct str placeholder = {.p = "{local}", .n = 7};

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

static int add_contact(struct buf *out, struct str contact, struct str local)
{
    if (!sip_text_is_safe(contact) || !sip_text_is_safe(local))
        return -EINVAL;
    buf_add_cstr(out, "Contact: ");
    for (size_t at; (at = str_find_str(contact, placeholder)) < contact.n;) {
        if (!local.n)
            return -EINVAL;
        buf_add(out, contact.p, at);
        buf_add_str(out, local);
        contact = str_slice(contact, at + placeholder.n, contact.n);
    }
    buf_add_str(out, contact);
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
        bad |= add_line(out, STR_LIT("Route: "), r->routes[i]);
    if (strict.n) {
        bad |= !sip_text_is_safe(r->request_uri);
        buf_add_cstr(out, "Route: <");
        buf_add_str(out, r->request_uri);
        buf_add_cstr(out, ">\r\n");
    }
    return bad ? -EINVAL : 0;
}

int request_text(const struct sip_request *r, struct str local, const char *user_agent, struct buf *out)
{
    struct str strict = strict_router(r);
    int bad = add_request_line(out, r, strict);
    bad |= add_routes(out, r, strict);
    buf_add_cstr(out, "Max-Forwards: 70\r\n");
    bad |= add_line(out, STR_LIT("From: "), r->from);
    bad |= add_line(out, STR_LIT("To: "), r->to);
    bad |= add_line(out, STR_LIT("Call-ID: "), r->call_id);
    buf_add_cstr(out, "CSeq: ");
    buf_add_u64(out, r->cseq);
    buf_add_cstr(out, " REGISTER\r\n");
    for (size_t i = 0; i < r->contact_count; i++)
        bad |= add_contact(out, r->contacts[i], local);
    buf_add_cstr(out, "Expires: ");
    buf_add_u64(out, r->expires);
    buf_add_cstr(out, "\r\nSupported: path\r\n");
    if (user_agent && *user_agent)
        bad |= add_line(out, STR_LIT("User-Agent: "), str_of(user_agent));
    for (size_t i = 0; i < r->authorization_count; i++)
        bad |= add_line(out, STR_LIT(""), r->authorizations[i]);
    buf_add_cstr(out, "Content-Length: 0\r\n\r\n");
    return bad ? -EINVAL : 0;
}

// The next hop's own transport parameter is the more specific wish (RFC 3263 4.1).
static int choose_transport(const struct sip_request *r, const struct sip_uri *uri, const char **ret)
{
    struct str given;
    if (uri->sips)
        return -EPROTONOSUPPORT;
    if (sip_param_get(uri->params, "transport", &given)) {
        *ret = str_ieq_cstr(given, "udp") ? "udp" : str_ieq_cstr(given, "tcp") ? "tcp" : NULL;
        return *ret ? 0 : -EPROTONOSUPPORT;
    }
    switch (r->transport) {
    case TRANSPORT_UDP:
        *ret = "udp";
        return 0;
    case TRANSPORT_TCP:
        *ret = "tcp";
        return 0;
    case TRANSPORT_TLS:
    case TRANSPORT_WS:
        break;
    }
    return -EPROTONOSUPPORT;
}

int request_target(const struct sip_request *r, struct request_target *ret)
{
    struct str strict = strict_router(r);
    // With a strict router the Request-URI is the router's, and that is what is resolved.
    struct str hop = strict.n && str_eq(r->next_hop, r->request_uri) ? strict : r->next_hop;
    struct sip_uri uri;
    struct str maddr;
    if (sip_uri_parse(hop, &uri, NULL) != 0)
        return -EINVAL;
    struct request_target target = {.host = uri.host, .ipv6 = uri.ipv6, .port_text = uri.port_text};
    if (sip_param_get(uri.params, "maddr", &maddr) && maddr.n) {
        target.ipv6 = maddr.p[0] == '[';
        target.host = target.ipv6 ? str_slice(maddr, 1, maddr.n - 1) : maddr;
    }
    int rc = choose_transport(r, &uri, &target.transport);
    if (rc == 0)
        *ret = target;
    return rc;
}
