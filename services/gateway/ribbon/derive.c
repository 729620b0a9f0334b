// See derive.h: from objects to a registration.
#include "services/gateway/ribbon/derive.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/sip/uri.h"
#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/groups.h"
#include "services/gateway/ribbon/match.h"
#include "services/gateway/ribbon/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPRESSIONS_MAX 100 // tried for one entry: each may cost what match.h bounds

static void set_text(char **text, struct buf *take)
{
    free(*text);
    *text = take->n ? buf_steal(take) : NULL;
    buf_done(take);
}

// ---- where to (6.4)

static enum registration_transport transport_of(const struct fieldset *server)
{
    switch (fieldset_number(server, SERVER_PROTOCOL)) {
    case 2:
        return TRANSPORT_TCP;
    case 4:
        return TRANSPORT_TLS;
    default:
        return TRANSPORT_UDP;
    }
}

static void add_host(struct str host, struct buf *out)
{
    bool bare_ipv6 = str_has_char(host, ':') && host.p[0] != '[';
    buf_addf(out, bare_ipv6 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(host));
}

// With DNS SRV the domain alone says where to; else the host does, and the domain only names the registrar. A
// row always says its protocol, and the model's UDP leaves it to DNS: it is kept by a parameter there
// (RFC 3263 4.1), and by the port otherwise.
static void set_target(const struct fieldset *server, struct registration *r)
{
    struct buf domain = BUF_INIT, registrar = BUF_INIT;
    struct str host = fieldset_text(server, SERVER_HOST), name = fieldset_text(server, SERVER_DOMAIN);
    add_host(name.n ? name : host, &domain);
    if (!fieldset_flag(server, SERVER_LOOKUP)) {
        buf_add_cstr(&registrar, "sip:");
        add_host(host, &registrar);
        buf_addf(&registrar, ":%llu", (unsigned long long)fieldset_number(server, SERVER_PORT));
    }
    r->transport = transport_of(server);
    if (!registrar.n && r->transport == TRANSPORT_UDP)
        buf_addf(&registrar, "sip:" STR_FMT ";transport=udp", STR_ARG(buf_str(&domain)));
    set_text(&r->domain, &domain);
    set_text(&r->registrar, &registrar);
}

// ---- who (6.2)

static int set_aor(const struct fieldset *entry, struct registration *r, struct error *err)
{
    struct aor a;
    struct buf user = BUF_INIT, aor = BUF_INIT;
    enum aor_type type = (enum aor_type)fieldset_number(entry, ENTRY_AOR_TYPE);
    bool good = aor_parse(fieldset_text(entry, ENTRY_AOR), &a) && (type != AOR_STATIC || a.hostport.n) &&
                aor_user(&a, &user);
    if (!good) {
        buf_done(&user);
        return error_set(err, -EINVAL, "the entry's AOR is none");
    }
    r->scheme = a.sips ? SCHEME_SIPS : SCHEME_SIP;
    bool is_domain = type == AOR_REMOTE || (type == AOR_STATIC && str_ieq_cstr(a.hostport, r->domain));
    if (!is_domain) {
        buf_add_cstr(&aor, a.sips ? "sips:" : "sip:");
        if (a.escaped)
            buf_add_str(&aor, a.user);
        else
            sip_escape_user(&aor, a.user);
        buf_add_char(&aor, '@');
        buf_add_str(&aor, type == AOR_STATIC ? a.hostport : STR_LIT("{local}"));
    }
    set_text(&r->username, &user);
    set_text(&r->aor, &aor);
    return 0;
}

// ---- contacts (6.3)

static void add_q(struct buf *out, uint64_t q)
{
    buf_addf(out, "%llu.%02llu", (unsigned long long)(q / 100), (unsigned long long)(q % 100));
    if (out->p[out->n - 1] == '0')
        out->p[--out->n] = '\0';
}

static bool has_contact(const struct registration *r, const char *uri)
{
    for (size_t i = 0; i < r->contact_count; i++)
        if (strcmp(r->contacts[i].uri, uri) == 0)
            return true;
    return false;
}

// A user with one of these reads as something else outside of angle brackets (RFC 3261 20.10).
static char *steal_contact(struct buf *take_uri)
{
    struct str uri = buf_str(take_uri);
    struct str user = str_slice(uri, 0, str_find(uri, '@', 0));
    bool bare = uri.n && uri.p[0] != '<';
    if (!bare || !(str_has_char(user, ',') || str_has_char(user, ';') || str_has_char(user, '?')))
        return buf_steal(take_uri);
    struct buf whole = BUF_INIT;
    buf_addf(&whole, "<" STR_FMT ">", STR_ARG(uri));
    buf_done(take_uri);
    return buf_steal(&whole);
}

// The contact of a slot, NULL: it is not used. Caller frees.
static char *contact_of(const struct derive_input *in, const struct registration *r, size_t slot)
{
    struct buf uri = BUF_INIT;
    struct str given = fieldset_text(in->entry, ENTRY_URI(slot));
    if (in->entry->contact[slot])
        return mem_dup_cstr(in->entry->contact[slot]);
    if (!given.n)
        return NULL;
    buf_add_cstr(&uri, r->scheme == SCHEME_SIPS ? "sips:" : "sip:");
    buf_add_cstr(&uri, in->prefix);
    (void)contact_user(given, &uri); // the field's rule let it through
    buf_add_cstr(&uri, "@{local}");
    return steal_contact(&uri);
}

static void add_slot(const struct derive_input *in, struct registration *r, size_t slot)
{
    struct buf q = BUF_INIT;
    uint64_t ttl = fieldset_number(in->entry, ENTRY_TTL(slot));
    char *uri = contact_of(in, r, slot);
    if (!uri || has_contact(r, uri)) { // one contact has one lifetime: the first slot's
        free(uri);
        return;
    }
    add_q(&q, fieldset_number(in->entry, ENTRY_Q(slot)));
    r->contacts[r->contact_count++] =
        (struct contact){.uri = uri, .q = buf_steal(&q), .expires = ttl ? (int64_t)ttl : REGISTRATION_UNSET};
}

static void set_contacts(const struct derive_input *in, struct registration *r)
{
    for (size_t i = 0; i < CONTACT_SLOTS; i++)
        add_slot(in, r, i);
    if (r->contact_count)
        return;
    struct buf user cleanup(buf_done) = BUF_INIT, uri = BUF_INIT;
    buf_add_cstr(&user, in->prefix);
    buf_add_cstr(&user, r->username);
    dialect_contact(in->shared, buf_str(&user), &uri);
    r->contacts[r->contact_count++] =
        (struct contact){.uri = steal_contact(&uri), .expires = REGISTRATION_UNSET};
}

// ---- credentials (6.5)

// `*expressions`: how many may still be tried.
static bool fits(const struct fieldset *auth, const struct registration *r, unsigned *expressions)
{
    struct str user = str_of(r->username);
    if (!fieldset_flag(auth, AUTH_MATCH))
        return str_eq(fieldset_text(auth, AUTH_USER), user);
    return *expressions && (*expressions)-- && match_text(fieldset_text(auth, AUTH_REGEX), user);
}

static char *dup_or_null(struct str text)
{
    return text.n ? str_dup(text) : NULL;
}

// Digest over marks of what is sealed, not over the passwords: labels are no place for anything that a
// password follows from.
static uint32_t set_credentials(const struct derive_input *in, struct registration *r)
{
    struct buf digested cleanup(buf_done) = BUF_INIT;
    bool unknown = false;
    unsigned expressions = EXPRESSIONS_MAX;
    for (size_t i = 0; i < in->auth_count && r->credential_count < REGISTRATION_MAX_CREDENTIALS; i++) {
        const struct fieldset *v = in->auth[i].values;
        if (!fits(v, r, &expressions))
            continue;
        unknown = unknown || !in->auth[i].password;
        buf_addf(&digested, STR_FMT "\n" STR_FMT "\n", STR_ARG(fieldset_text(v, AUTH_REALM)),
                 STR_ARG(fieldset_text(v, AUTH_USER)));
        secrets_mark(v, &digested);
        buf_add_char(&digested, '\n');
        r->credentials[r->credential_count++] = (struct credential){
            .realm = dup_or_null(fieldset_text(v, AUTH_REALM)),
            .user = str_dup(fieldset_text(v, AUTH_USER)),
            .secret = mem_dup_cstr(in->auth[i].password),
            .clear = true,
        };
        if (!r->credentials[r->credential_count - 1].realm)
            break; // it answers any realm, and later rows none: registrants prefer the one that names it
    }
    return unknown ? 0 : group_digest(buf_str(&digested));
}

// ---- the rest

static void set_quirks(const struct fieldset *server, struct registration *r)
{
    r->quirks = (struct quirks){
        .challenge_first = !fieldset_flag(server, SERVER_AUTH_ON_REFRESH),
        .non_stale = fieldset_flag(server, SERVER_RETRY_NON_STALE) ? NON_STALE_RETRY : NON_STALE_STOP,
        .stagger = fieldset_flag(server, SERVER_STAGGER),
        .clear_first = fieldset_flag(server, SERVER_CLEAR),
    };
}

static void set_name(const struct derive_input *in, struct registration *r)
{
    char entry[ROW_ID_BYTES], server[ROW_ID_BYTES];
    struct buf name = BUF_INIT;
    buf_addf(&name, "ribbon:" STR_FMT "@" STR_FMT, STR_ARG(row_id_text(in->entry_id, entry)),
             STR_ARG(row_id_text(in->server_id, server)));
    set_text(&r->name, &name);
}

int derive_registration(const struct derive_input *in, struct registration *ret, struct made *ret_made,
                        struct error *err)
{
    const char *field;
    registration_init(ret);
    ret->account = str_dup(in->account);
    set_name(in, ret);
    set_target(in->server, ret);
    int rc = set_aor(in->entry, ret, err);
    if (!rc) {
        set_contacts(in, ret);
        ret->expires = (int64_t)fieldset_number(in->entry, ENTRY_AOR_TTL);
        ret->retry_delay_s = (int64_t)fieldset_number(in->entry, ENTRY_RETRY);
        ret->retry_shape = RETRY_FIXED;
        set_quirks(in->server, ret);
        uint32_t credentials = set_credentials(in, ret);
        groups_digest(ret, ret_made);
        ret_made->of[GROUP_CREDENTIALS] = credentials;
        rc = registration_check(ret, &field, err);
        if (rc)
            (void)error_prefix(err, "%s", field);
    }
    if (rc)
        registration_done(ret);
    return rc;
}

int derive_anywhere(const struct dialect_shared *shared, const struct fieldset *entry, const char *prefix,
                    struct registration *ret, struct error *err)
{
    struct fieldset server cleanup(fieldset_done);
    struct made made;
    fieldset_init(&server, resource_of(STR_LIT("sipserver")));
    fieldset_set(&server, SERVER_HOST, STR_LIT("192.0.2.1"));
    const struct derive_input in = {
        .shared = shared, .account = STR_LIT("-"), .entry = entry, .server = &server, .prefix = prefix};
    return derive_registration(&in, ret, &made, err);
}

bool derive_apply(struct registration *r, const struct registration *derived, const struct made *last,
                  const struct made *made)
{
    bool changed = false;
    for (enum group g = 0; g < GROUP_COUNT; g++) {
        if (!made->of[g] || last->of[g] == made->of[g])
            continue;
        group_copy(g, r, derived);
        changed = true;
    }
    return changed;
}
