// The SIP texts that spec.h makes of a block.
#include "services/registrant/core/spec.h"

#include "common/sip/uri.h"

#include <string.h>

struct str spec_host_of(struct str hostport)
{
    size_t bracket = str_find(hostport, ']', 0);
    return str_slice(hostport, 0, str_find(hostport, ':', bracket == hostport.n ? 0 : bracket));
}

void spec_replace_local(struct str given, struct str local, struct buf *out)
{
    for (;;) {
        size_t at = str_find_str(given, SPEC_LOCAL);
        buf_add_str(out, str_slice(given, 0, at));
        if (at == given.n)
            return;
        buf_add_str(out, local);
        given = str_slice(given, at + SPEC_LOCAL.n, given.n);
    }
}

static void add_host(struct str host, struct buf *out)
{
    struct sip_uri uri;
    if (sip_hostport_parse(host, &uri, NULL) == 0 && uri.ipv6 && host.p[0] != '[') {
        buf_add_char(out, '[');
        buf_add_str(out, host);
        buf_add_char(out, ']');
        return;
    }
    buf_add_str(out, host);
}

void spec_request_uri(const struct spec *s, struct buf *out)
{
    buf_add_cstr(out, s->scheme == SCHEME_SIPS ? "sips:" : "sip:");
    add_host(interned_str(s->domain), out);
}

void spec_aor(const struct spec *s, const struct spec_view *v, struct str local, struct buf *out)
{
    if (v->aor.n) {
        spec_replace_local(v->aor, spec_host_of(local), out);
        return;
    }
    buf_add_cstr(out, s->scheme == SCHEME_SIPS ? "sips:" : "sip:");
    if (v->username.n) {
        sip_escape_user(out, v->username);
        buf_add_char(out, '@');
    }
    add_host(interned_str(s->domain), out);
}

static void add_display(const struct spec_view *v, struct buf *out)
{
    if (!v->display.n)
        return;
    sip_quote(out, v->display);
    buf_add_char(out, ' ');
}

void spec_to(const struct spec *s, const struct spec_view *v, struct str local, struct buf *out)
{
    add_display(v, out);
    buf_add_char(out, '<');
    spec_aor(s, v, local, out);
    buf_add_char(out, '>');
}

// A third-party From stands as given; without one, From is To (RFC 3261 10.2).
void spec_from(const struct spec *s, const struct spec_view *v, struct str local, struct str tag,
               struct buf *out)
{
    struct sip_addr addr;
    struct buf from = BUF_INIT;
    spec_replace_local(v->from, spec_host_of(local), &from);
    if (!from.n)
        spec_to(s, v, local, out);
    else if (sip_addr_parse(buf_str(&from), &addr, NULL) == 0 && addr.brackets)
        buf_add_str(out, buf_str(&from));
    else {
        buf_add_char(out, '<');
        buf_add_str(out, buf_str(&from));
        buf_add_char(out, '>');
    }
    buf_done(&from);
    buf_add_cstr(out, ";tag=");
    buf_add_str(out, tag);
}

void spec_next_hop(const struct spec *s, const struct spec_view *v, struct buf *out)
{
    struct sip_addr addr;
    if (s->registrar) {
        buf_add_str(out, interned_str(s->registrar));
        return;
    }
    struct str flag;
    if (v->route_count && sip_addr_parse(v->routes[0], &addr, NULL) == 0 &&
        (sip_param_get(addr.uri.params, "lr", &flag) || sip_param_get(addr.params, "lr", &flag))) {
        buf_add_str(out, addr.uri_text);
        return;
    }
    spec_request_uri(s, out);
}

// Parameters but q and expires, which the caller puts itself.
static void add_other_params(struct str params, struct buf *out)
{
    size_t i = 0;
    while (i < params.n) {
        size_t end = i + 1;
        for (bool quoted = false; end < params.n && (quoted || params.p[end] != ';'); end++) {
            if (params.p[end] == '"')
                quoted = !quoted;
            else if (quoted && params.p[end] == '\\')
                end++;
        }
        struct str one = str_slice(params, i + 1, end);
        struct str name = str_trim(str_slice(one, 0, str_find(one, '=', 0)));
        if (!str_ieq_cstr(name, "q") && !str_ieq_cstr(name, "expires"))
            buf_add_str(out, str_slice(params, i, end));
        i = end;
    }
}

void spec_contact_text(struct str given, struct str local, struct buf *out)
{
    struct buf whole = BUF_INIT;
    struct sip_addr addr;
    spec_replace_local(given, local, &whole);
    if (sip_addr_parse(buf_str(&whole), &addr, NULL) != 0) {
        buf_add_str(out, buf_str(&whole)); // registration_check lets none through
    } else {
        size_t before = (size_t)(addr.uri_text.p - whole.p);
        if (addr.brackets)
            buf_add(out, whole.p, before + addr.uri_text.n);
        else {
            buf_add_char(out, '<');
            buf_add_str(out, addr.uri_text);
        }
        buf_add_char(out, '>');
        add_other_params(addr.params, out);
    }
    buf_done(&whole);
}

static char *keep(struct str text)
{
    // The block is ours and not const; the struct has no pointer to const because others own theirs.
    char *p;
    memcpy(&p, &text.p, sizeof(p));
    return p;
}

// Its place in `out`, where it stands with {local} replaced and ended by NUL.
static size_t add_text(struct str given, struct str local, struct buf *out)
{
    size_t at = out->n;
    spec_replace_local(given, local, out);
    buf_add(out, "", 1);
    return at;
}

void spec_sent(struct spec *s, struct str local, struct registration *ret, struct buf *scratch)
{
    struct spec_view v;
    size_t uri_at[REGISTRATION_MAX_CONTACTS], route_at[REGISTRATION_MAX_ROUTES], aor_at, from_at;
    spec_open(s, &v);
    registration_init(ret);
    ret->scheme = s->scheme;
    ret->transport = s->transport;
    ret->force_expire = s->force_expire;
    ret->expires = s->expires_s;
    ret->domain = s->domain ? s->domain->text : NULL;
    ret->registrar = s->registrar ? s->registrar->text : NULL;
    ret->interface = s->interface ? s->interface->text : NULL;
    ret->username = keep(v.username);
    ret->display_username = keep(v.display);
    buf_clear(scratch);
    aor_at = add_text(v.aor, spec_host_of(local), scratch);
    from_at = add_text(v.from, spec_host_of(local), scratch);
    for (size_t i = 0; i < v.contact_count; i++)
        uri_at[i] = add_text(v.contacts[i].uri, local, scratch);
    for (size_t i = 0; i < v.route_count; i++) {
        route_at[i] = scratch->n;
        buf_add_str(scratch, v.routes[i]);
        buf_add(scratch, "", 1);
    }
    ret->aor = v.aor.p ? scratch->p + aor_at : NULL;
    ret->from = v.from.p ? scratch->p + from_at : NULL;
    for (size_t i = 0; i < v.credential_count; i++)
        ret->credentials[i] = (struct credential){.realm = keep(v.credentials[i].realm),
                                                  .user = keep(v.credentials[i].user),
                                                  .secret = keep(v.credentials[i].secret)};
    for (size_t i = 0; i < v.contact_count; i++)
        ret->contacts[i] = (struct contact){
            .uri = scratch->p + uri_at[i], .q = keep(v.contacts[i].q), .expires = v.contacts[i].expires};
    for (size_t i = 0; i < v.route_count; i++)
        ret->route_set[i] = scratch->p + route_at[i];
    ret->credential_count = v.credential_count;
    ret->contact_count = v.contact_count;
    ret->route_count = v.route_count;
}
