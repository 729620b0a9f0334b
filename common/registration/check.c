// The rules that hold for every dialect, so that nothing reaches a SIP header unparsed. What a dialect
// forbids beyond them, and its words for it, are the dialect's.
#include "common/registration/registration.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/registration/seal.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <string.h>

#define LABELS_MAX_BYTES  8192
#define DELTA_SECONDS_MAX 4294967295 // RFC 3261 20.19

typedef int text_rule(struct str text, struct error *err);

static int check_sip_text(struct str text, struct error *err)
{
    if (!sip_text_is_safe(text))
        return error_set(err, -EINVAL, "holds control characters or is not UTF-8");
    return 0;
}

static int check_domain(struct str text, struct error *err)
{
    struct sip_uri u;
    return sip_hostport_parse(text, &u, err);
}

// With {local} it must hold for an address of either family, so {local} stands in no user part.
static int check_with_local_host(struct str text, text_rule *rule, struct error *err)
{
    static const char *const hosts[] = {"192.0.2.1", "[2001:db8::1]"};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(hosts) && !rc; i++) {
        struct buf expanded cleanup(buf_done) = BUF_INIT;
        registration_replace_local(&expanded, text, str_of(hosts[i]));
        rc = rule(buf_str(&expanded), err);
    }
    return rc;
}

static int check_uri(struct str text, struct error *err)
{
    struct sip_uri u;
    return sip_uri_parse(text, &u, err);
}

static int check_addr(struct str text, struct error *err)
{
    struct sip_addr a;
    return sip_addr_parse(text, &a, err);
}

static int check_aor(struct str text, struct error *err)
{
    return check_with_local_host(text, check_uri, err);
}

static int check_from(struct str text, struct error *err)
{
    return check_with_local_host(text, check_addr, err);
}

// RFC 3261 25.1 qvalue
static int check_q(struct str q, struct error *err)
{
    bool good =
        q.n >= 1 && q.n <= 5 && q.n != 2 && (q.p[0] == '0' || q.p[0] == '1') && (q.n == 1 || q.p[1] == '.');
    for (size_t i = 2; good && i < q.n; i++)
        good = q.p[i] >= '0' && q.p[i] <= (q.p[0] == '1' ? '0' : '9');
    return good ? 0 : error_set(err, -EINVAL, "q is no number from 0 to 1 with three decimals at most");
}

static const struct text_member {
    const char *field;
    size_t offset;
    bool required;
    text_rule *rule; // NULL: never reaches SIP
} text_members[] = {
    {"account", offsetof(struct registration, account), true, NULL},
    {"name", offsetof(struct registration, name), false, NULL},
    {"domain", offsetof(struct registration, domain), true, check_domain},
    {"username", offsetof(struct registration, username), true, check_sip_text},
    {"display_username", offsetof(struct registration, display_username), false, check_sip_text},
    {"aor", offsetof(struct registration, aor), false, check_aor},
    {"from", offsetof(struct registration, from), false, check_from},
    {"registrar", offsetof(struct registration, registrar), false, check_uri},
    {"interface", offsetof(struct registration, interface), false, check_sip_text},
};

// An absent text is fine; one that is there obeys its rule and the bound.
static int check_text(const char *text, text_rule *rule, struct error *err)
{
    if (!text)
        return 0;
    if (strlen(text) > REGISTRATION_MAX_TEXT_BYTES)
        return error_set(err, -EINVAL, "is longer than %d bytes", REGISTRATION_MAX_TEXT_BYTES);
    return rule ? rule(str_of(text), err) : 0;
}

static int check_text_member(const struct registration *r, const struct text_member *t, struct error *err)
{
    const char *text = *(char *const *)(const void *)((const char *)r + t->offset);
    if (t->required && (!text || !text[0]))
        return error_set(err, -EINVAL, "is missing");
    return check_text(text, t->rule, err);
}

// The digest of an algorithm in hexadecimal, as it goes into the next hash (RFC 7616 3.4.2).
static int check_clear_ha1(enum credential_ha1 a, const char *text, struct error *err)
{
    size_t wanted = a == HA1_MD5 ? 32 : 64, n = strlen(text);
    bool good = n == wanted;
    for (size_t i = 0; good && i < n; i++)
        good = decode_hex_digit(text[i]) >= 0 && !(text[i] >= 'A' && text[i] <= 'F');
    if (good)
        return 0;
    return error_set(err, -EINVAL, "the HA1 of %s is not %zu hexadecimal digits in lower case",
                     credential_ha1_name(a), wanted);
}

// The realm is hashed into an HA1, so it is of one realm; beside a password it would say the same twice.
static int check_ha1(const struct credential *c, struct error *err)
{
    for (size_t i = 0; i < HA1_COUNT; i++) {
        if (!c->ha1[i])
            continue;
        if (!c->realm)
            return error_set(err, -EINVAL, "an HA1 needs the realm that it was made for");
        if (c->secret)
            return error_set(err, -EINVAL, "either a password or its HA1 is given");
        bool clear = c->clear && !seal_is_sealed(str_of(c->ha1[i])); // others may have been sealed before
        int rc = clear ? check_clear_ha1((enum credential_ha1)i, c->ha1[i], err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

// A clear secret goes into a digest and never into a header: any bytes will do.
static int check_credentials(const struct registration *r, struct error *err)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        const struct credential *c = &r->credentials[i];
        int rc = check_text(c->realm, check_sip_text, err);
        if (!rc)
            rc = check_text(c->user, check_sip_text, err);
        if (!rc && c->clear)
            rc = check_text(c->secret, NULL, err);
        if (!rc)
            rc = check_ha1(c, err);
        if (rc)
            return rc;
    }
    return 0;
}

static void add_expanded(struct buf *out, const char *contact, const char *username)
{
    static const struct str user = {"{username}", 10};
    struct str rest = str_of(contact);
    while (rest.n) {
        if (str_starts(rest, REGISTRATION_LOCAL)) {
            buf_add_cstr(out, "192.0.2.1:5060");
            rest = str_slice(rest, REGISTRATION_LOCAL.n, rest.n);
        } else if (str_starts(rest, user)) {
            sip_escape_user(out, str_of(username));
            rest = str_slice(rest, user.n, rest.n);
        } else {
            buf_add_char(out, rest.p[0]);
            rest = str_slice(rest, 1, rest.n);
        }
    }
}

static bool is_third_party(const struct registration *r)
{
    struct buf aor cleanup(buf_done) = BUF_INIT, to cleanup(buf_done) = BUF_INIT,
                   from cleanup(buf_done) = BUF_INIT;
    struct sip_uri uri;
    struct sip_addr addr;
    if (!r->from)
        return false;
    registration_aor(&aor, r);
    registration_replace_local(&to, buf_str(&aor), STR_LIT("192.0.2.1"));
    registration_replace_local(&from, str_of(r->from), STR_LIT("192.0.2.1"));
    return sip_uri_parse(buf_str(&to), &uri, NULL) || sip_addr_parse(buf_str(&from), &addr, NULL) ||
           !sip_uri_equal(&uri, &addr.uri);
}

// RFC 5626 4.2: a number from 1 to 2^31-1. A registrar refuses a flow beside other contacts (6), and one that
// a third party registers (4.2.3).
static int check_flow(const struct registration *r, struct str reg_id, struct error *err)
{
    uint64_t number;
    if (str_to_u64(reg_id, &number) || !number || number > INT32_MAX)
        return error_set(err, -EINVAL, "reg-id is no number from 1 to 2^31-1");
    if (r->contact_count > 1)
        return error_set(err, -EINVAL, "one with reg-id is the only one");
    if (is_third_party(r))
        return error_set(err, -EINVAL, "reg-id is not for a registration by a third party");
    return 0;
}

// RFC 6140 5.1 and 5.3: the host alone stands for all numbers.
static int check_bulk(const struct sip_addr *addr, struct str bnc, struct error *err)
{
    struct str user;
    if (bnc.p && bnc.n)
        return error_set(err, -EINVAL, "bnc has no value");
    if (addr->uri.user.p || sip_param_get(addr->uri.params, "user", &user))
        return error_set(err, -EINVAL, "one with bnc has no user part and no parameter user");
    return 0;
}

// RFC 5627 4.1: calls to the address of record would be sent to itself.
static int check_instance(const struct registration *r, const struct sip_addr *addr, struct error *err)
{
    struct buf aor cleanup(buf_done) = BUF_INIT, to cleanup(buf_done) = BUF_INIT;
    struct sip_uri uri;
    registration_aor(&aor, r);
    registration_replace_local(&to, buf_str(&aor), STR_LIT("192.0.2.1"));
    if (sip_uri_parse(buf_str(&to), &uri, NULL) == 0 && sip_uri_equal(&uri, &addr->uri))
        return error_set(err, -EINVAL, "one with +sip.instance is not the address of record");
    return 0;
}

static int check_extensions(const struct registration *r, struct str contact, struct error *err)
{
    struct sip_addr addr;
    struct str value;
    int rc = sip_addr_parse(contact, &addr, err);
    if (!rc && sip_param_get(addr.params, "+sip.instance", &value))
        rc = check_instance(r, &addr, err);
    if (!rc && sip_param_get(addr.params, "reg-id", &value))
        rc = check_flow(r, value, err);
    if (!rc && sip_param_get(addr.uri.params, "bnc", &value))
        rc = check_bulk(&addr, value, err);
    return rc;
}

static int check_contact(const struct registration *r, const struct contact *c, struct error *err)
{
    struct buf expanded cleanup(buf_done) = BUF_INIT;
    if (!c->uri || !c->uri[0])
        return error_set(err, -EINVAL, "is empty");
    int rc = check_text(c->uri, NULL, err);
    if (rc)
        return rc;
    add_expanded(&expanded, c->uri, r->username);
    rc = check_extensions(r, buf_str(&expanded), err);
    if (!rc)
        rc = check_text(c->q, check_q, err);
    if (!rc && c->expires != REGISTRATION_UNSET && (c->expires < 1 || c->expires > DELTA_SECONDS_MAX))
        rc = error_set(err, -EINVAL, "expires is no number from 1 to 2^32-1");
    return rc;
}

static int check_contacts(const struct registration *r, struct error *err)
{
    if (!r->contact_count)
        return error_set(err, -EINVAL, "at least one is needed");
    for (size_t i = 0; i < r->contact_count; i++) {
        int rc = check_contact(r, &r->contacts[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_route_set(const struct registration *r, struct error *err)
{
    for (size_t i = 0; i < r->route_count; i++) {
        int rc = check_text(r->route_set[i], check_addr, err);
        if (rc)
            return rc;
    }
    return 0;
}

// 0 and less mean the default, as they do in Yeti.
static int check_expires(const struct registration *r, struct error *err)
{
    if (r->expires > DELTA_SECONDS_MAX || r->default_expires > DELTA_SECONDS_MAX)
        return error_set(err, -EINVAL, "is above 2^32-1 seconds");
    return 0;
}

static int check_labels(const struct registration *r, struct error *err)
{
    struct json *tree cleanup(json_free_ptr) = NULL;
    if (!r->labels)
        return 0;
    int rc = json_parse(str_of(r->labels),
                        &(struct json_limits){.max_bytes = LABELS_MAX_BYTES, .max_depth = 16}, &tree, err);
    if (!rc && !json_is(tree, JSON_OBJECT))
        rc = error_set(err, -EINVAL, "is no object");
    return rc ? -EINVAL : 0;
}

static const struct {
    const char *field;
    int (*rule)(const struct registration *r, struct error *err);
} whole_members[] = {
    {"credentials", check_credentials}, {"contacts", check_contacts}, {"expires", check_expires},
    {"route_set", check_route_set},     {"labels", check_labels},
};

int registration_check(const struct registration *r, const char **ret_field, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(text_members); i++) {
        int rc = check_text_member(r, &text_members[i], err);
        if (rc) {
            *ret_field = text_members[i].field;
            return rc;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(whole_members); i++) {
        int rc = whole_members[i].rule(r, err);
        if (rc) {
            *ret_field = whole_members[i].field;
            return rc;
        }
    }
    return 0;
}
