// See derive.h: from a registration back to an entry.
#include "common/base/mem.h"
#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/derive.h"
#include "services/gateway/ribbon/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void overlay_aor(struct fieldset *entry, const struct registration *r)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    enum aor_type type = AOR_STATIC;
    registration_aor(&text, r);
    struct str whole = buf_str(&text);
    size_t at = str_find(whole, '@', 0);
    bool stays_static = !r->aor && fieldset_number(entry, ENTRY_AOR_TYPE) == AOR_STATIC;
    if (!stays_static && (!r->aor || str_eq_cstr(str_slice(whole, at, whole.n), "@{local}"))) {
        type = r->aor ? AOR_LOCAL : AOR_REMOTE;
        whole = str_slice(whole, 0, at);
    }
    fieldset_set_number(entry, ENTRY_AOR_TYPE, type);
    fieldset_set(entry, ENTRY_AOR, whole);
}

// "0.75" -> 75, in hundredths; none: 100
static uint64_t q_of(const char *q)
{
    uint64_t hundredths = 0, unit = 100;
    for (const char *p = q ? q : "1"; *p; p++) {
        if (*p < '0' || *p > '9')
            continue;
        hundredths += (uint64_t)(*p - '0') * unit;
        unit /= 10;
    }
    return hundredths > 100 ? 100 : hundredths;
}

// The URI of a name-addr. {local} in it is no host that a parser would take.
static struct str uri_of(struct str contact)
{
    size_t open = str_find(contact, '<', 0);
    return open == contact.n ? contact : str_slice(contact, open + 1, str_find(contact, '>', open));
}

static void overlay_slot(struct fieldset *entry, size_t slot, const struct contact *c)
{
    char *kept = mem_dup_cstr(c->uri);
    free(entry->contact[slot]);
    entry->contact[slot] = kept;
    fieldset_set(entry, ENTRY_URI(slot), uri_of(str_of(kept)));
    fieldset_set_number(entry, ENTRY_Q(slot), q_of(c->q));
    fieldset_set_number(entry, ENTRY_TTL(slot), c->expires > 0 ? (uint64_t)c->expires : 0);
}

static void overlay_contacts(struct fieldset *entry, const struct registration *r)
{
    for (size_t i = 0; i < CONTACT_SLOTS; i++) {
        if (i < r->contact_count) {
            overlay_slot(entry, i, &r->contacts[i]);
            continue;
        }
        mem_free_cstr(&entry->contact[i]);
        fieldset_set(entry, ENTRY_URI(i), STR_NONE);
    }
}

static void overlay_expires(struct fieldset *entry, const struct registration *r)
{
    int64_t expires = registration_expires(r);
    fieldset_set_number(entry, ENTRY_AOR_TTL, expires > INT32_MAX ? INT32_MAX : (uint64_t)expires);
}

static void overlay_retry(struct fieldset *entry, const struct registration *r)
{
    fieldset_set_number(entry, ENTRY_RETRY, r->retry_delay_s > 0 ? (uint64_t)r->retry_delay_s : 0);
}

static const struct {
    enum group group;
    void (*overlay)(struct fieldset *entry, const struct registration *r);
} rows[] = {
    {GROUP_AOR, overlay_aor},
    {GROUP_CONTACTS, overlay_contacts},
    {GROUP_EXPIRES, overlay_expires},
    {GROUP_RETRY, overlay_retry},
};

// A static one is an address of the domain, which is of another part.
static bool shows_other_domain(const struct fieldset *entry, const struct registration *r,
                               const struct registration *derived)
{
    return fieldset_number(entry, ENTRY_AOR_TYPE) == AOR_STATIC && !r->aor && !derived->aor &&
           strcmp(r->domain, derived->domain) != 0;
}

static bool differs(enum group g, const struct fieldset *entry, const struct registration *r,
                    const struct registration *derived)
{
    return !group_equal(g, r, derived) || (g == GROUP_AOR && shows_other_domain(entry, r, derived));
}

void derive_overlay(struct fieldset *entry, const struct registration *r, const struct made *last,
                    const struct registration *derived, const struct made *made)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (last->of[rows[i].group] == made->of[rows[i].group] && differs(rows[i].group, entry, r, derived))
            rows[i].overlay(entry, r);
}

// ---- registrations of other dialects

void derive_entry(const struct registration *r, struct fieldset *ret)
{
    struct buf aor cleanup(buf_done) = BUF_INIT;
    fieldset_init(ret, resource_of(STR_LIT("sipregistrantentry")));
    registration_aor(&aor, r);
    fieldset_set_number(ret, ENTRY_AOR_TYPE, AOR_STATIC);
    fieldset_set(ret, ENTRY_AOR, buf_str(&aor));
    overlay_expires(ret, r);
    overlay_retry(ret, r);
    for (size_t i = 0; i < CONTACT_SLOTS; i++)
        fieldset_set_number(ret, ENTRY_TTL(i), 0);
    overlay_contacts(ret, r);
}

static bool differ(const struct fieldset *a, const struct fieldset *b, size_t from, size_t to)
{
    for (size_t i = from; i <= to; i++)
        if (!str_eq(fieldset_text(a, i), fieldset_text(b, i)))
            return true;
    return false;
}

static char *aor_text(const struct aor *a)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "sip:" STR_FMT "@" STR_FMT, STR_ARG(a->user), STR_ARG(a->hostport));
    return buf_steal(&text);
}

// A digest user that is the user name goes with it: there is no row that says otherwise. Not one whose HA1 is
// set, which is of that user.
static void follow_credentials(struct registration *r, const char *username)
{
    for (size_t i = 0; i < r->credential_count; i++) {
        struct credential *c = &r->credentials[i];
        if (!c->user || strcmp(c->user, r->username) != 0 || credential_has_ha1(c))
            continue;
        free(c->user);
        c->user = mem_dup_cstr(username);
    }
}

// The domain stays: it is where the other dialect sends.
static int set_foreign_aor(struct registration *r, const struct fieldset *entry, struct error *err)
{
    struct aor a;
    struct buf user cleanup(buf_done) = BUF_INIT, of_domain cleanup(buf_done) = BUF_INIT;
    if (!aor_parse(fieldset_text(entry, ENTRY_AOR), &a) || !a.hostport.n || !aor_user(&a, &user))
        return error_set(err, -EINVAL, "the AOR is none");
    char *username = str_dup(buf_str(&user));
    follow_credentials(r, username);
    free(r->username);
    r->username = username;
    r->scheme = a.sips ? SCHEME_SIPS : SCHEME_SIP;
    mem_free_cstr(&r->aor);
    registration_aor(&of_domain, r);
    struct str host = buf_str(&of_domain);
    host = str_slice(host, str_find(host, '@', 0) + 1, host.n);
    if (!str_ieq(a.hostport, host))
        r->aor = a.text.n ? str_dup(a.text) : aor_text(&a);
    return 0;
}

// What Qn shows of it and was not changed stays as it was written: more decimals, or none at all.
static void keep_q(struct contact *made, const struct registration *r)
{
    for (size_t i = 0; i < r->contact_count; i++) {
        const struct contact *held = &r->contacts[i];
        if (strcmp(held->uri, made->uri) != 0 || q_of(held->q) != q_of(made->q))
            continue;
        free(made->q);
        made->q = mem_dup_cstr(held->q);
        return;
    }
}

static int set_foreign_contacts(struct registration *r, const struct dialect_shared *shared,
                                const struct fieldset *entry, struct error *err)
{
    struct registration made;
    int rc = derive_anywhere(shared, entry, "", &made, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < made.contact_count; i++)
        keep_q(&made.contacts[i], r);
    group_copy(GROUP_CONTACTS, r, &made);
    registration_done(&made);
    return 0;
}

int derive_foreign(struct registration *r, const struct dialect_shared *shared, const struct fieldset *before,
                   const struct fieldset *entry, struct error *err)
{
    const char *field;
    int rc = 0;
    if (differ(before, entry, ENTRY_AOR, ENTRY_AOR))
        rc = set_foreign_aor(r, entry, err);
    if (!rc && differ(before, entry, ENTRY_SLOTS, ENTRY_URI(CONTACT_SLOTS - 1)))
        rc = set_foreign_contacts(r, shared, entry, err);
    if (rc)
        return rc;
    if (differ(before, entry, ENTRY_AOR_TTL, ENTRY_AOR_TTL))
        r->expires = (int64_t)fieldset_number(entry, ENTRY_AOR_TTL);
    if (differ(before, entry, ENTRY_RETRY, ENTRY_RETRY)) {
        r->retry_delay_s = (int64_t)fieldset_number(entry, ENTRY_RETRY);
        r->retry_shape = RETRY_FIXED;
    }
    return registration_check(r, &field, err);
}
