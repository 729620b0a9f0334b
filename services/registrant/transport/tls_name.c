// See tls.h: whom a certificate is for (RFC 5922 7.1, 7.2).
#include "services/registrant/transport/tls_private.h"

#include "common/sip/uri.h"
#include "services/registrant/transport/address.h"

#include <openssl/x509v3.h>
#include <string.h>

#define MAX_NAMES_SHOWN 3

bool tls_is_number(struct str name)
{
    struct address ignored;
    return address_parse(name, 0, &ignored);
}

static struct str text_of(const ASN1_STRING *s)
{
    return str_of_bytes(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

// ---- identities

// The domain that a subjectAltName stands for, if it is of that type: GEN_URI or GEN_DNS.
static bool identity_of(const GENERAL_NAME *name, int type, struct str *ret)
{
    struct sip_uri uri;
    if (name->type != type)
        return false;
    *ret = text_of(name->d.ia5);
    if (type == GEN_DNS)
        return true;
    // one with a user part is a user's certificate; sips is no scheme of identities
    if (sip_uri_parse(*ret, &uri, NULL) || uri.sips || uri.user.p)
        return false;
    *ret = uri.host;
    return true;
}

// Identities of one type: whether there are any, and whether one is `wanted`.
struct identities {
    bool any, found;
};

static struct identities look_for(const GENERAL_NAMES *names, int type, struct str wanted)
{
    struct identities seen = {0};
    struct str identity;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (identity_of(sk_GENERAL_NAME_value(names, i), type, &identity)) {
            seen.any = true;
            seen.found = seen.found || str_ieq(identity, wanted);
        }
    return seen;
}

static const ASN1_STRING *common_name(X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

static bool number_matches(const GENERAL_NAMES *names, const struct address *wanted)
{
    bool v6 = wanted->any.sa_family == AF_INET6;
    struct str bytes = v6 ? str_of_bytes(&wanted->v6.sin6_addr, sizeof(wanted->v6.sin6_addr))
                          : str_of_bytes(&wanted->v4.sin_addr, sizeof(wanted->v4.sin_addr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_IPADD && str_eq(text_of(name->d.iPAddress), bytes))
            return true;
    }
    return false;
}

// One that is there and cannot be read is not none: it names nobody.
static GENERAL_NAMES *alternative_names(X509 *certificate, bool *ret_none)
{
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    *ret_none = critical == -1;
    return names;
}

static bool common_name_is(X509 *certificate, struct str name)
{
    const ASN1_STRING *cn = common_name(certificate);
    return cn && str_ieq(text_of(cn), name);
}

static bool name_matches(const GENERAL_NAMES *names, struct str name)
{
    struct identities uris = look_for(names, GEN_URI, name);
    return uris.any ? uris.found : look_for(names, GEN_DNS, name).found;
}

bool tls_name_matches(X509 *certificate, struct str name)
{
    struct address number;
    bool none, matches;
    GENERAL_NAMES *names = alternative_names(certificate, &none);
    if (name.n > 1 && name.p[name.n - 1] == '.') // a root's dot is no part of the name
        name.n--;
    if (address_parse(name, 0, &number))
        matches = number_matches(names, &number);
    else
        matches = none ? common_name_is(certificate, name) : name_matches(names, name);
    GENERAL_NAMES_free(names);
    return matches;
}

// ---- in words

static void add_plain(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(out, (char)(s.p[i] > ' ' && s.p[i] < 0x7f ? s.p[i] : '?'));
}

void tls_add_common_name(struct buf *out, X509 *certificate)
{
    const ASN1_STRING *cn = common_name(certificate);
    if (cn)
        add_plain(out, text_of(cn));
}

void tls_add_names(struct buf *out, X509 *certificate)
{
    bool none;
    GENERAL_NAMES *names = alternative_names(certificate, &none);
    int type = look_for(names, GEN_URI, STR_NONE).any ? GEN_URI : GEN_DNS;
    struct str identity;
    int shown = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < MAX_NAMES_SHOWN; i++) {
        if (!identity_of(sk_GENERAL_NAME_value(names, i), type, &identity))
            continue;
        buf_add_cstr(out, shown++ ? ", " : "");
        add_plain(out, identity);
    }
    if (none)
        tls_add_common_name(out, certificate);
    GENERAL_NAMES_free(names);
}
