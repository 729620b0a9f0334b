// See model.h.
#include "services/gateway/voximplant/model.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/sip/uri.h"
#include "services/gateway/voximplant/address.h"
#include "services/gateway/voximplant/answer.h"

#include <stdlib.h>
#include <string.h>

#define NAME_RANDOM_BYTES 8

struct asked vox_asked_read(const struct params *p)
{
    return (struct asked){
        .sip_username = vox_params_get(p, "sip_username"),
        .proxy = vox_params_get(p, "proxy"),
        .auth_user = vox_params_get(p, "auth_user"),
        .outbound_proxy = vox_params_get(p, "outbound_proxy"),
        .password = vox_params_get(p, "password"),
        .clears_auth_user = vox_params_clears(p, "auth_user"),
        .clears_outbound_proxy = vox_params_clears(p, "outbound_proxy"),
    };
}

static void set_text(char **target, struct str text)
{
    char *copy = str_dup(text);
    free(*target);
    *target = copy;
}

static bool is_text(const char *held, struct str text)
{
    return held && str_eq_cstr(text, held);
}

// ---- user name and Contact

static bool check_text(struct str text, const char *name, enum code code, struct fault *fault)
{
    if (text.n > REGISTRATION_MAX_TEXT_BYTES)
        return vox_fault_set(fault, code, "The parameter '%s' is invalid: it is longer than %d bytes.", name,
                             REGISTRATION_MAX_TEXT_BYTES);
    if (!sip_text_is_safe(text))
        return vox_fault_set(
            fault, code, "The parameter '%s' is invalid: it holds control characters or is not UTF-8.", name);
    return true;
}

// A Contact that was made of the user name goes with it.
static void follow_contact(const struct dialect_shared *shared, struct registration *r, struct str username)
{
    struct buf old cleanup(buf_done) = BUF_INIT, new cleanup(buf_done) = BUF_INIT;
    dialect_contact(shared, str_of(r->username), &old);
    dialect_contact(shared, username, &new);
    if (!r->contact_count)
        r->contacts[r->contact_count++] = (struct contact){.expires = REGISTRATION_UNSET};
    else if (!is_text(r->contacts[0].uri, buf_str(&old)))
        return;
    set_text(&r->contacts[0].uri, buf_str(&new));
}

// auth_user is "the digest user if different from sip_username", so one that is the same goes with it too;
// not one whose HA1 is set, which is of that user.
static void follow_credential(struct registration *r, struct str username)
{
    struct credential *c = &r->credentials[0];
    if (r->credential_count && r->username && is_text(c->user, str_of(r->username)) && !credential_has_ha1(c))
        set_text(&c->user, username);
}

static bool apply_username(const struct dialect_shared *shared, const struct asked *a, struct registration *r,
                           struct fault *fault)
{
    if (!a->sip_username.n || is_text(r->username, a->sip_username))
        return true;
    if (!str_trim(a->sip_username).n)
        return vox_fault_set(fault, CODE_INVALID_USERNAME, "The parameter 'sip_username' is blank.");
    if (!check_text(a->sip_username, "sip_username", CODE_INVALID_USERNAME, fault))
        return false;
    follow_contact(shared, r, a->sip_username);
    follow_credential(r, a->sip_username);
    dialect_set_identity(r, r->scheme, a->sip_username, str_of(r->domain));
    return true;
}

// ---- credentials

static struct credential *first_credential(struct registration *r)
{
    if (!r->credential_count)
        r->credentials[r->credential_count++] = (struct credential){.realm = NULL};
    struct credential *c = &r->credentials[0];
    if (!c->user)
        c->user = mem_dup_cstr(r->username);
    return c;
}

// An HA1 is of its user, and no password to make another from is held.
static bool keeps_user(const struct asked *a, const struct registration *r)
{
    const struct credential *c = &r->credentials[0];
    bool has_ha1 = r->credential_count && credential_has_ha1(c);
    struct str user = a->auth_user.n ? a->auth_user : str_of(r->username);
    return !has_ha1 || a->password.n || !(a->auth_user.n || a->clears_auth_user) || is_text(c->user, user);
}

static bool apply_credential(const struct asked *a, struct registration *r, struct fault *fault)
{
    if (!check_text(a->auth_user, "auth_user", CODE_INVALID_ARGUMENTS, fault))
        return false;
    if (a->password.n > REGISTRATION_MAX_TEXT_BYTES)
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter 'password' is invalid: it is longer than %d bytes.",
                             REGISTRATION_MAX_TEXT_BYTES);
    if (!keeps_user(a, r))
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter 'auth_user' is invalid: another user takes a password.");
    if (a->auth_user.n)
        set_text(&first_credential(r)->user, a->auth_user);
    else if (a->clears_auth_user && r->credential_count)
        set_text(&r->credentials[0].user, str_of(r->username));
    if (a->password.n)
        credential_set_password(first_credential(r), a->password);
    return true;
}

// ---- proxies

struct str vox_model_proxy(const struct registration *r, const struct facts *f)
{
    struct proxy p;
    if (!f->proxy || vox_proxy_parse(str_of(f->proxy), &p, NULL))
        return str_of(r->domain);
    bool holds =
        str_ieq_cstr(str_of(p.domain), r->domain) && p.scheme == r->scheme && p.transport == r->transport;
    vox_proxy_done(&p);
    return str_of(holds ? f->proxy : r->domain);
}

// A proxy that says no transport leaves the one that another dialect chose, and undoes one of an earlier
// proxy.
static void set_address(const struct proxy *p, bool said_before, struct registration *r)
{
    bool says = p->says_transport || said_before;
    dialect_set_identity(r, says ? p->scheme : r->scheme, str_of(r->username), str_of(p->domain));
    if (says)
        dialect_set_transport(r, p->transport);
}

static bool apply_proxy(const struct asked *a, struct registration *r, struct facts *f, struct fault *fault)
{
    struct proxy p;
    struct error err;
    struct str shown = r->domain ? vox_model_proxy(r, f) : STR_NONE;
    if (!a->proxy.n || str_eq(a->proxy, shown))
        return true;
    if (a->proxy.n > REGISTRATION_MAX_TEXT_BYTES)
        return vox_fault_set(fault, CODE_INVALID_PROXY,
                             "The parameter 'proxy' is invalid: it is longer than %d bytes.",
                             REGISTRATION_MAX_TEXT_BYTES);
    if (vox_proxy_parse(a->proxy, &p, &err))
        return vox_fault_set(fault, CODE_INVALID_PROXY, "The parameter 'proxy' is invalid: %s.", err.text);
    set_address(&p, f->proxy && is_text(f->proxy, shown), r);
    free(f->proxy);
    f->proxy = str_eq_cstr(a->proxy, p.domain) ? NULL : str_dup(a->proxy);
    vox_proxy_done(&p);
    return true;
}

struct str vox_model_outbound_proxy(const struct registration *r, const struct facts *f, struct buf *scratch)
{
    struct buf route cleanup(buf_done) = BUF_INIT;
    if (!r->route_count)
        return STR_NONE;
    if (f->outbound_proxy && !vox_route_parse(str_of(f->outbound_proxy), &route, NULL) &&
        is_text(r->route_set[0], buf_str(&route)))
        return str_of(f->outbound_proxy);
    buf_clear(scratch);
    vox_route_text(str_of(r->route_set[0]), scratch);
    return buf_str(scratch);
}

// All of them: what was cleared must not show the next one.
static void drop_routes(struct registration *r)
{
    while (r->route_count)
        mem_free_cstr(&r->route_set[--r->route_count]);
}

static bool apply_outbound_proxy(const struct asked *a, struct registration *r, struct facts *f,
                                 struct fault *fault)
{
    struct buf route cleanup(buf_done) = BUF_INIT, shown cleanup(buf_done) = BUF_INIT;
    struct error err;
    if (a->clears_outbound_proxy) {
        drop_routes(r);
        mem_free_cstr(&f->outbound_proxy);
    }
    if (!a->outbound_proxy.n || str_eq(a->outbound_proxy, vox_model_outbound_proxy(r, f, &shown)))
        return true;
    if (vox_route_parse(a->outbound_proxy, &route, &err))
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The parameter 'outbound_proxy' is invalid: %s.",
                             err.text);
    if (route.n > REGISTRATION_MAX_TEXT_BYTES)
        return vox_fault_set(fault, CODE_INVALID_ARGUMENTS,
                             "The parameter 'outbound_proxy' is invalid: it is longer than %d bytes.",
                             REGISTRATION_MAX_TEXT_BYTES);
    if (!r->route_count)
        r->route_count++;
    set_text(&r->route_set[0], buf_str(&route));
    mem_free_cstr(&r->registrar); // that another dialect named: now this is where it is sent
    buf_clear(&shown);
    vox_route_text(buf_str(&route), &shown);
    free(f->outbound_proxy);
    f->outbound_proxy = str_eq(a->outbound_proxy, buf_str(&shown)) ? NULL : str_dup(a->outbound_proxy);
    return true;
}

// ---- the whole

bool vox_model_apply(const struct dialect_shared *shared, const struct asked *a, struct registration *r,
                     struct facts *f, struct fault *fault)
{
    return apply_username(shared, a, r, fault) && apply_credential(a, r, fault) &&
           apply_proxy(a, r, f, fault) && apply_outbound_proxy(a, r, f, fault);
}

void vox_model_settle(bool wanted, const struct facts *f, struct registration *r)
{
    if (vox_facts_want_enabled(f) != wanted)
        r->enabled = !wanted;
    vox_facts_store(f, r);
}

bool vox_model_is_deactivated(const struct registration *r, const struct facts *f)
{
    return !r->enabled && vox_facts_want_enabled(f);
}

bool vox_model_check(const struct registration *r, struct fault *fault)
{
    static const struct {
        const char *field, *parameter;
        enum code code;
    } fields[] = {
        {"username", "sip_username", CODE_INVALID_USERNAME},
        {"contacts", "sip_username", CODE_INVALID_USERNAME},
        {"domain", "proxy", CODE_INVALID_PROXY},
        {"route_set", "outbound_proxy", CODE_INVALID_ARGUMENTS},
        {"credentials", "auth_user", CODE_INVALID_ARGUMENTS},
        {"labels", "application_name", CODE_INVALID_ARGUMENTS},
    };
    const char *field;
    struct error err;
    if (registration_check(r, &field, &err) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!strcmp(field, fields[i].field))
            return vox_fault_set(fault, fields[i].code, "The parameter '%s' is invalid: %s.",
                                 fields[i].parameter, err.text);
    return vox_fault_set(fault, CODE_INVALID_ARGUMENTS, "The registration's %s is invalid: %s.", field,
                         err.text);
}

// At most so many bytes, and no half of a character.
static struct str head_of(const char *text, size_t bytes)
{
    struct str s = str_of(text);
    if (s.n <= bytes)
        return s;
    while (bytes && ((unsigned char)s.p[bytes] & 0xC0) == 0x80)
        bytes--;
    return str_slice(s, 0, bytes);
}

void vox_model_name(struct registration *r)
{
    struct buf name = BUF_INIT;
    unsigned char random[NAME_RANDOM_BYTES];
    size_t room = REGISTRATION_MAX_TEXT_BYTES / 4; // of each part
    random_bytes(random, sizeof(random));
    buf_addf(&name, STR_FMT "@" STR_FMT "/vox-", STR_ARG(head_of(r->username, room)),
             STR_ARG(head_of(r->domain, room)));
    encode_hex(&name, random, sizeof(random));
    free(r->name);
    r->name = buf_steal(&name);
}
