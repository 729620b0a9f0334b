// Packing and comparing of spec.h.
#include "services/registrant/core/spec.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <stdlib.h>
#include <string.h>

// The block's text: groups, each of a byte that says which of its members are there, and these. A text ends
// with NUL, so it needs no length; a secret, which is binary (seal.h), has two bytes of it.
enum { USERNAME = 1, DISPLAY = 2, AOR = 4, FROM = 8 }; // the first group
// A credential; HA1 and the two above it; one whose user is the username has no text of it.
enum { REALM = 1, USER = 2, SECRET = 4, HA1 = 8, USERNAME_AGAIN = 64 };
enum { Q = 1, EXPIRES = 2 }; // a contact; its URI is always there

static void pack(struct buf *out, size_t mask_at, int bit, const char *text)
{
    if (!text)
        return;
    out->p[mask_at] = (char)(out->p[mask_at] | bit);
    buf_add(out, text, strlen(text) + 1);
}

// One that is not in sealed form stays as it is: opening it says so.
static void pack_secret(struct buf *out, size_t mask_at, int bit, const char *sealed)
{
    if (!sealed)
        return;
    out->p[mask_at] = (char)(out->p[mask_at] | bit);
    size_t at = out->n;
    uint16_t bytes = 0;
    buf_add(out, &bytes, sizeof(bytes));
    if (!seal_pack(str_of(sealed), out))
        buf_add_cstr(out, sealed);
    bytes = (uint16_t)(out->n - at - sizeof(bytes));
    memcpy(out->p + at, &bytes, sizeof(bytes));
}

static size_t begin_group(struct buf *out)
{
    buf_add(out, "", 1);
    return out->n - 1;
}

static void pack_credential(struct buf *out, const struct registration *r, const struct credential *c)
{
    size_t mask = begin_group(out);
    bool again = c->user && r->username && strcmp(c->user, r->username) == 0;
    pack(out, mask, REALM, c->realm);
    pack(out, mask, USER, again ? NULL : c->user);
    if (again)
        out->p[mask] = (char)(out->p[mask] | USERNAME_AGAIN);
    pack_secret(out, mask, SECRET, c->secret);
    for (size_t i = 0; i < HA1_COUNT; i++)
        pack_secret(out, mask, HA1 << i, c->ha1[i]);
}

static void pack_contact(struct buf *out, const struct contact *c)
{
    size_t mask = begin_group(out);
    pack(out, mask, 0, c->uri);
    pack(out, mask, Q, c->q);
    if (c->expires == REGISTRATION_UNSET)
        return;
    out->p[mask] = (char)(out->p[mask] | EXPIRES);
    uint32_t expires = c->expires < UINT32_MAX ? (uint32_t)c->expires : UINT32_MAX;
    buf_add(out, &expires, sizeof(expires));
}

static void pack_all(struct buf *out, const struct registration *r)
{
    size_t mask = begin_group(out);
    pack(out, mask, USERNAME, r->username);
    pack(out, mask, DISPLAY, r->display_username);
    pack(out, mask, AOR, r->aor);
    pack(out, mask, FROM, r->from);
    for (size_t i = 0; i < r->credential_count; i++)
        pack_credential(out, r, &r->credentials[i]);
    for (size_t i = 0; i < r->contact_count; i++)
        pack_contact(out, &r->contacts[i]);
}

static struct str unpack(const char **at, bool there)
{
    if (!there)
        return STR_NONE;
    struct str text = str_of(*at);
    *at += text.n + 1;
    return text;
}

static struct str unpack_secret(const char **at, bool there)
{
    uint16_t bytes;
    if (!there)
        return STR_NONE;
    memcpy(&bytes, *at, sizeof(bytes));
    struct str secret = str_of_bytes(*at + sizeof(bytes), bytes);
    *at += sizeof(bytes) + bytes;
    return secret;
}

static void unpack_credential(const char **at, struct spec_view *v, size_t i)
{
    int mask = (unsigned char)*(*at)++;
    v->credentials[i].realm = unpack(at, mask & REALM);
    v->credentials[i].user = mask & USERNAME_AGAIN ? v->username : unpack(at, mask & USER);
    v->credentials[i].secret = unpack_secret(at, mask & SECRET);
    for (size_t k = 0; k < HA1_COUNT; k++)
        v->credentials[i].ha1[k] = unpack_secret(at, mask & HA1 << k);
}

static void unpack_contact(const char **at, struct spec_view *v, size_t i)
{
    int mask = (unsigned char)*(*at)++;
    uint32_t expires;
    v->contacts[i].uri = unpack(at, true);
    v->contacts[i].q = unpack(at, mask & Q);
    v->contacts[i].expires = REGISTRATION_UNSET;
    if (!(mask & EXPIRES))
        return;
    memcpy(&expires, *at, sizeof(expires));
    *at += sizeof(expires);
    v->contacts[i].expires = expires;
}

void spec_open(const struct spec *s, struct spec_view *ret)
{
    const char *at = s->text;
    int mask = (unsigned char)*at++;
    ret->username = unpack(&at, mask & USERNAME);
    ret->display = unpack(&at, mask & DISPLAY);
    ret->aor = unpack(&at, mask & AOR);
    ret->from = unpack(&at, mask & FROM);
    ret->credential_count = s->credential_count;
    for (size_t i = 0; i < s->credential_count; i++)
        unpack_credential(&at, ret, i);
    ret->contact_count = s->contact_count;
    for (size_t i = 0; i < s->contact_count; i++)
        unpack_contact(&at, ret, i);
    struct str routes = interned_str(s->way->key.routes), route;
    ret->route_count = 0;
    while (ret->route_count < REGISTRATION_MAX_ROUTES && str_split(&routes, '\n', &route))
        ret->routes[ret->route_count++] = route;
}

// A registrar is its host and port, with the transport: two registrations that differ in the user part of the
// route go to the same machine.
static struct pacer_target *find_target(struct spec_home *home, const struct spec *s)
{
    struct spec_view v;
    struct buf hop = BUF_INIT, key = BUF_INIT;
    spec_open(s, &v);
    spec_next_hop(s, &v, &hop);
    struct sip_uri uri;
    buf_add_cstr(&key, registration_transport_name(s->transport));
    buf_add_char(&key, ':');
    if (sip_uri_parse(buf_str(&hop), &uri, NULL) == 0) {
        buf_add_str(&key, uri.host);
        buf_add_char(&key, ':');
        buf_add_u64(&key, uri.port);
    } else {
        buf_add_str(&key, buf_str(&hop));
    }
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] >= 'A' && key.p[i] <= 'Z')
            key.p[i] = (char)(key.p[i] + 'a' - 'A');
    struct pacer_target *t = pacer_target_get(home->pacer, buf_str(&key));
    buf_done(&hop);
    buf_done(&key);
    return t;
}

static bool holds_local(struct str text)
{
    return str_find_str(text, REGISTRATION_LOCAL) < text.n;
}

static uint32_t hash_of_aor(const struct spec *s)
{
    struct spec_view v;
    struct buf aor = BUF_INIT;
    spec_open(s, &v);
    spec_aor(s, &v, REGISTRATION_LOCAL, &aor);
    uint32_t hash = hash_murmur2(buf_str(&aor));
    buf_done(&aor);
    return hash ? hash : 1;
}

// What a contact asks for. registration_check has seen that these stand where they mean something.
static void note_contact(struct spec *s, struct str given)
{
    static const struct str any_host = {"192.0.2.1:5060", 14};
    s->has_local = s->has_local || holds_local(given);
    if (!str_has_char(given, ';'))
        return;
    struct buf text = BUF_INIT;
    struct sip_addr addr;
    struct str value;
    spec_contact_text(given, any_host, &text);
    if (sip_addr_parse(buf_str(&text), &addr, NULL) == 0) {
        bool instance = sip_param_get(addr.params, "+sip.instance", &value);
        s->gruu = s->gruu || instance;
        s->outbound = s->outbound || (instance && sip_param_get(addr.params, "reg-id", &value));
        s->bulk = s->bulk || (!addr.uri.user.p && sip_param_get(addr.uri.params, "bnc", &value));
    }
    buf_done(&text);
}

struct spec *spec_new(struct spec_home *home, const struct registration *r)
{
    struct buf text = BUF_INIT;
    pack_all(&text, r);
    struct spec *s = mem_alloc(offsetof(struct spec, text) + text.n);
    memcpy(s->text, text.p, text.n);
    s->refs = 1;
    s->text_bytes = (uint32_t)text.n;
    buf_done(&text);
    s->scheme = (uint8_t)r->scheme;
    s->transport = (uint8_t)r->transport;
    s->credential_count = (uint8_t)r->credential_count;
    s->contact_count = (uint8_t)r->contact_count;
    s->force_expire = r->force_expire;
    int64_t expires = registration_expires(r);
    s->expires_s = expires <= 0 ? 1 : expires > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)expires;
    s->local_identity = holds_local(str_of(r->aor)) || holds_local(str_of(r->from));
    s->has_local = s->local_identity;
    for (size_t i = 0; i < r->contact_count; i++)
        note_contact(s, str_of(r->contacts[i].uri));
    s->way = way_get(&home->ways, home->texts, r);
    if (!s->way->target)
        s->way->target = find_target(home, s);
    s->aor = hash_of_aor(s);
    home->bytes += offsetof(struct spec, text) + s->text_bytes;
    return s;
}

struct spec *spec_ref(struct spec *s)
{
    if (s)
        s->refs++;
    return s;
}

void spec_put(struct spec_home *home, struct spec **s)
{
    struct spec *it = *s;
    *s = NULL;
    if (!it || --it->refs)
        return;
    way_put(&home->ways, home->texts, home->pacer, &it->way);
    home->bytes -= offsetof(struct spec, text) + it->text_bytes;
    free(it);
}

static bool same_texts(const struct spec *a, const struct spec *b)
{
    return a->credential_count == b->credential_count && a->contact_count == b->contact_count &&
           a->text_bytes == b->text_bytes && memcmp(a->text, b->text, a->text_bytes) == 0;
}

// Could `text` be `given` with some host in the place of {local}?
static bool is_made_of(struct str given, struct str text)
{
    size_t at = str_find_str(given, REGISTRATION_LOCAL);
    if (at == given.n)
        return str_eq(given, text);
    struct str before = str_slice(given, 0, at), after = str_slice(given, at + REGISTRATION_LOCAL.n, given.n);
    struct sip_uri host;
    return text.n > before.n + after.n && str_starts(text, before) && str_ends(text, after) &&
           sip_hostport_parse(str_slice(text, before.n, text.n - after.n), &host, NULL) == 0 && !host.port;
}

// To and From as they are with `local`.
struct identity {
    struct buf aor, from;
};

static void identity_of(const struct spec *s, const struct spec_view *v, struct str local,
                        struct identity *ret)
{
    *ret = (struct identity){.aor = BUF_INIT, .from = BUF_INIT};
    spec_aor(s, v, local, &ret->aor);
    registration_replace_local(&ret->from, v->from, spec_host_of(local));
}

static void identity_done(struct identity *i)
{
    buf_done(&i->aor);
    buf_done(&i->from);
}

static enum spec_difference compare_identity(const struct spec *a, const struct spec_view *va,
                                             struct str local_a, const struct spec *b,
                                             const struct spec_view *vb, struct str local_b)
{
    if (a->scheme != b->scheme || a->way->key.domain != b->way->key.domain ||
        a->way->key.registrar != b->way->key.registrar)
        return SPEC_IDENTITY;
    struct identity ia, ib;
    identity_of(a, va, local_a, &ia);
    identity_of(b, vb, local_b, &ib);
    bool same = str_eq(buf_str(&ia.aor), buf_str(&ib.aor)) && str_eq(buf_str(&ia.from), buf_str(&ib.from));
    bool moved = a->has_local && is_made_of(va->aor.n ? va->aor : buf_str(&ia.aor), buf_str(&ib.aor)) &&
                 is_made_of(va->from, buf_str(&ib.from));
    identity_done(&ia);
    identity_done(&ib);
    return same ? SPEC_SAME : moved ? SPEC_ADDRESS : SPEC_IDENTITY;
}

static bool same_contacts(const struct spec_view *a, struct str local_a, const struct spec_view *b,
                          struct str local_b)
{
    bool same = a->contact_count == b->contact_count;
    struct buf left = BUF_INIT, right = BUF_INIT;
    for (size_t i = 0; same && i < a->contact_count; i++) {
        buf_clear(&left);
        buf_clear(&right);
        spec_contact_text(a->contacts[i].uri, local_a, &left);
        spec_contact_text(b->contacts[i].uri, local_b, &right);
        same = str_eq(buf_str(&left), buf_str(&right)) && str_eq(a->contacts[i].q, b->contacts[i].q) &&
               a->contacts[i].expires == b->contacts[i].expires;
    }
    buf_done(&left);
    buf_done(&right);
    return same;
}

static bool same_secret(struct str a, struct str b, const struct key_ring *ring,
                        const struct seal_context *context)
{
    if (str_eq(a, b))
        return !a.p == !b.p;
    if (!a.p || !b.p)
        return false;
    struct buf left = BUF_INIT, right = BUF_INIT;
    bool same = seal_open(ring, context, a, &left, NULL) == 0 &&
                seal_open(ring, context, b, &right, NULL) == 0 && str_eq(buf_str(&left), buf_str(&right));
    mem_wipe(left.p, left.n);
    mem_wipe(right.p, right.n);
    buf_done(&left);
    buf_done(&right);
    return same;
}

static bool same_credentials(const struct spec_view *a, const struct spec_view *b,
                             const struct key_ring *ring, const struct seal_context *context)
{
    if (a->credential_count != b->credential_count)
        return false;
    for (size_t i = 0; i < a->credential_count; i++) {
        struct seal_context of = *context;
        of.realm = a->credentials[i].realm;
        if (!str_eq(a->credentials[i].realm, b->credentials[i].realm) ||
            !str_eq(a->credentials[i].user, b->credentials[i].user) ||
            !same_secret(a->credentials[i].secret, b->credentials[i].secret, ring, &of))
            return false;
        for (size_t k = 0; k < HA1_COUNT; k++) {
            of.field = credential_ha1_field((enum credential_ha1)k);
            if (!same_secret(a->credentials[i].ha1[k], b->credentials[i].ha1[k], ring, &of))
                return false;
        }
    }
    return true;
}

enum spec_difference spec_compare(const struct spec *a, struct str local_a, const struct spec *b,
                                  struct str local_b, const struct key_ring *ring,
                                  const struct seal_context *context)
{
    bool same_local = (!a->has_local && !b->has_local) || str_eq(local_a, local_b);
    bool same_head = a->way == b->way && a->expires_s == b->expires_s && a->force_expire == b->force_expire;
    if (same_local && same_head && (a == b || same_texts(a, b)))
        return SPEC_SAME;
    struct spec_view va, vb;
    spec_open(a, &va);
    spec_open(b, &vb);
    enum spec_difference identity = compare_identity(a, &va, local_a, b, &vb, local_b);
    if (identity != SPEC_SAME)
        return identity;
    if (same_head && str_eq(va.username, vb.username) && str_eq(va.display, vb.display) &&
        same_contacts(&va, local_a, &vb, local_b) && same_credentials(&va, &vb, ring, context))
        return SPEC_SAME;
    return SPEC_OTHER;
}
