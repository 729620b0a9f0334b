// The SIP texts that spec.h makes of a block.
#include "services/registrant/core/spec.h"

#include "common/sip/uri.h"

#include <string.h>

struct str spec_host_of(struct str hostport)
{
    size_t bracket = str_find(hostport, ']', 0);
    return str_slice(hostport, 0, str_find(hostport, ':', bracket == hostport.n ? 0 : bracket));
}

static void add_host(struct str host, struct buf *out)
{
    struct sip_uri uri;
    if (str_has_char(host, ':') && sip_hostport_parse(host, &uri, NULL) == 0 && uri.ipv6 &&
        host.p[0] != '[') {
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
    add_host(interned_str(s->way->key.domain), out);
}

void spec_aor(const struct spec *s, const struct spec_view *v, struct str local, struct buf *out)
{
    if (v->aor.n) {
        registration_replace_local(out, v->aor, spec_host_of(local));
        return;
    }
    buf_add_cstr(out, s->scheme == SCHEME_SIPS ? "sips:" : "sip:");
    if (v->username.n) {
        sip_escape_user(out, v->username);
        buf_add_char(out, '@');
    }
    add_host(interned_str(s->way->key.domain), out);
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
    registration_replace_local(&from, v->from, spec_host_of(local));
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
    if (s->way->key.registrar) {
        buf_add_str(out, interned_str(s->way->key.registrar));
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

// Parameters but those named, which the caller puts itself.
static void add_other_params(struct str params, const char *const *but, size_t count, struct buf *out)
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
        bool named = false;
        for (size_t k = 0; k < count; k++)
            named = named || str_ieq_cstr(name, but[k]);
        if (!named)
            buf_add_str(out, str_slice(params, i, end));
        i = end;
    }
}

void spec_key_text(struct str contact, struct buf *out)
{
    static const char *const names[] = {"+sip.instance", "reg-id"};
    struct sip_addr addr;
    struct str value;
    if (sip_addr_parse(contact, &addr, NULL) != 0)
        return;
    buf_addf(out, "<%.*s>", (int)addr.uri_text.n, addr.uri_text.p);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (sip_param_get(addr.params, names[i], &value))
            buf_addf(out, ";%s=%.*s", names[i], (int)value.n, value.p);
}

void spec_without_flow(struct str contact, struct buf *out)
{
    static const char *const flow = "reg-id";
    struct sip_addr addr;
    if (sip_addr_parse(contact, &addr, NULL) != 0) {
        buf_add_str(out, contact);
        return;
    }
    buf_add_str(out, str_slice(contact, 0, contact.n - addr.params.n));
    add_other_params(addr.params, &flow, 1, out);
}

// Most are a URI without parameters, and nothing of them goes into brackets but the whole.
static bool is_plain_uri(struct str given)
{
    return str_istarts(given, STR_LIT("sip")) && !str_has_char(given, ';') && !str_has_char(given, '{') &&
           !str_has_char(given, '<') && !str_has_char(given, '"') && !str_has_char(given, ' ');
}

void spec_contact_text(struct str given, struct str local, struct buf *out)
{
    static const char *const own[] = {"q", "expires"};
    struct buf whole = BUF_INIT;
    struct sip_addr addr;
    if (is_plain_uri(given)) {
        buf_add_char(out, '<');
        buf_add_str(out, given);
        buf_add_char(out, '>');
        return;
    }
    registration_replace_local(&whole, given, local);
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
        add_other_params(addr.params, own, ARRAY_LEN(own), out);
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

// Texts in a growing buffer, of which the slots are told when it is whole.
struct slots {
    struct buf *text;
    struct {
        char **slot;
        size_t at;
    } items[2 + REGISTRATION_MAX_CONTACTS + REGISTRATION_MAX_ROUTES +
            REGISTRATION_MAX_CREDENTIALS * (1 + HA1_COUNT)];
    size_t count;
};

static void slot_begin(struct slots *s, char **slot)
{
    s->items[s->count].slot = slot;
    s->items[s->count++].at = s->text->n;
}

// As it stands with {local} replaced, ended by NUL.
static void slot_text(struct slots *s, char **slot, struct str given, struct str local)
{
    if (!given.p)
        return;
    slot_begin(s, slot);
    registration_replace_local(s->text, given, local);
    buf_add(s->text, "", 1);
}

static void slot_secret(struct slots *s, char **slot, struct str secret)
{
    if (!secret.p)
        return;
    slot_begin(s, slot);
    if (seal_is_sealed(secret))
        buf_add_str(s->text, secret);
    else
        seal_unpack(secret, s->text);
    buf_add(s->text, "", 1);
}

static void fill_lists(const struct spec_view *v, struct str local, struct registration *ret,
                       struct slots *slots)
{
    for (size_t i = 0; i < v->credential_count; i++) {
        struct credential *c = &ret->credentials[i];
        *c =
            (struct credential){.realm = keep(v->credentials[i].realm), .user = keep(v->credentials[i].user)};
        slot_secret(slots, &c->secret, v->credentials[i].secret);
        for (size_t k = 0; k < HA1_COUNT; k++)
            slot_secret(slots, &c->ha1[k], v->credentials[i].ha1[k]);
    }
    for (size_t i = 0; i < v->contact_count; i++) {
        ret->contacts[i] = (struct contact){.q = keep(v->contacts[i].q), .expires = v->contacts[i].expires};
        slot_text(slots, &ret->contacts[i].uri, v->contacts[i].uri, local);
    }
    for (size_t i = 0; i < v->route_count; i++)
        slot_text(slots, &ret->route_set[i], v->routes[i], REGISTRATION_LOCAL);
    ret->credential_count = v->credential_count;
    ret->contact_count = v->contact_count;
    ret->route_count = v->route_count;
}

void spec_sent(struct spec *s, struct str local, struct registration *ret, struct buf *scratch)
{
    struct spec_view v;
    struct slots slots = {.text = scratch};
    spec_open(s, &v);
    registration_init(ret);
    ret->scheme = s->scheme;
    ret->transport = s->transport;
    ret->force_expire = s->force_expire;
    ret->expires = s->expires_s;
    ret->domain = s->way->key.domain ? s->way->key.domain->text : NULL;
    ret->registrar = s->way->key.registrar ? s->way->key.registrar->text : NULL;
    ret->interface = s->way->key.interface ? s->way->key.interface->text : NULL;
    ret->username = keep(v.username);
    ret->display_username = keep(v.display);
    buf_clear(scratch);
    slot_text(&slots, &ret->aor, v.aor, spec_host_of(local));
    slot_text(&slots, &ret->from, v.from, spec_host_of(local));
    fill_lists(&v, local, ret, &slots);
    for (size_t i = 0; i < slots.count; i++)
        *slots.items[i].slot = scratch->p + slots.items[i].at;
}
