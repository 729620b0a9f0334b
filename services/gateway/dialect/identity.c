// Who a registration is and where it goes, as a dialect says it that knows user name and domain alone: see
// dialect.h.
#include "common/base/mem.h"
#include "common/http/http.h"
#include "common/sip/uri.h"
#include "services/gateway/dialect/dialect.h"

#include <stdlib.h>

static void set_text(char **target, struct str text)
{
    char *copy = text.p ? str_dup(text) : NULL;
    free(*target);
    *target = copy;
}

// Whether the user part of a URI, as it is written there, is that user name.
static bool is_user(struct str written, const char *username)
{
    struct buf user cleanup(buf_done) = BUF_INIT;
    return username && http_decode(&user, written, false) == 0 && str_eq_cstr(buf_str(&user), username);
}

// Its host stays: {local}, or the one that stands apart from the domain.
static void follow_aor(struct registration *r, enum registration_scheme scheme, struct str username)
{
    struct str whole = str_of(r->aor);
    size_t colon = str_find(whole, ':', 0), at = str_find(whole, '@', 0);
    size_t rest = colon + 1;
    struct buf text = BUF_INIT;
    buf_addf(&text, "%s:", registration_scheme_name(scheme));
    bool names_user = at < whole.n && is_user(str_slice(whole, rest, at), r->username);
    if (names_user && !str_eq_cstr(username, r->username)) {
        sip_escape_user(&text, username);
        rest = at;
    }
    buf_add_str(&text, str_slice(whole, rest, whole.n));
    free(r->aor);
    r->aor = buf_steal(&text);
}

void dialect_set_identity(struct registration *r, enum registration_scheme scheme, struct str username,
                          struct str domain)
{
    if (r->aor && (scheme != r->scheme || !str_eq_cstr(username, r->username)))
        follow_aor(r, scheme, username);
    if (!str_ieq_cstr(domain, r->domain))
        mem_free_cstr(&r->registrar);
    r->scheme = scheme;
    set_text(&r->username, username);
    set_text(&r->domain, domain);
}

// "sip:domain;transport=udp" says no more than which transport goes there.
static bool names_transport_alone(const struct registration *r)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_addf(&text, "sip:%s;transport=udp", r->domain ? r->domain : "");
    return r->registrar && str_ieq_cstr(buf_str(&text), r->registrar);
}

void dialect_set_transport(struct registration *r, enum registration_transport transport)
{
    if (transport != r->transport && names_transport_alone(r))
        mem_free_cstr(&r->registrar);
    r->transport = transport;
}
