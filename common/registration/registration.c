// The model's life: defaults, copies, place, address of record. Judges nothing (check.c) and knows no JSON
// (spec.c).
#include "common/registration/registration.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Every owned text of the struct itself; what stands in its arrays is walked beside them.
static const size_t text_offsets[] = {
    offsetof(struct registration, account),
    offsetof(struct registration, name),
    offsetof(struct registration, domain),
    offsetof(struct registration, username),
    offsetof(struct registration, display_username),
    offsetof(struct registration, aor),
    offsetof(struct registration, from),
    offsetof(struct registration, registrar),
    offsetof(struct registration, interface),
    offsetof(struct registration, labels),
};

static char **text_at(struct registration *r, size_t index)
{
    return (char **)(void *)((char *)r + text_offsets[index]);
}

void registration_init(struct registration *r)
{
    *r = (struct registration){
        .enabled = true,
        .scheme = SCHEME_SIP,
        .expires = REGISTRATION_UNSET,
        .default_expires = 3600,
        .transport = TRANSPORT_UDP,
        .retry_delay_s = 5,
        .retry_shape = RETRY_GROWING,
        .max_attempts = REGISTRATION_UNSET,
        .pop = REGISTRATION_UNSET,
        .node = REGISTRATION_UNSET,
    };
}

static void free_wiped(char *secret)
{
    if (secret)
        mem_wipe(secret, strlen(secret));
    free(secret);
}

static void drop_secrets(struct credential *c)
{
    free_wiped(c->secret);
    c->secret = NULL;
    for (size_t i = 0; i < HA1_COUNT; i++) {
        free_wiped(c->ha1[i]);
        c->ha1[i] = NULL;
    }
    c->clear = false;
}

void credential_done(struct credential *c)
{
    free(c->realm);
    free(c->user);
    drop_secrets(c);
    *c = (struct credential){.realm = NULL};
}

void credential_copy(struct credential *to_init, const struct credential *from)
{
    *to_init = (struct credential){
        .realm = mem_dup_cstr(from->realm),
        .user = mem_dup_cstr(from->user),
        .secret = mem_dup_cstr(from->secret),
        .clear = from->clear,
    };
    for (size_t i = 0; i < HA1_COUNT; i++)
        to_init->ha1[i] = mem_dup_cstr(from->ha1[i]);
}

void credential_set_password(struct credential *c, struct str password)
{
    char *copy = password.p ? str_dup(password) : NULL;
    drop_secrets(c);
    c->secret = copy;
    c->clear = copy != NULL;
}

bool credential_has_ha1(const struct credential *c)
{
    for (size_t i = 0; i < HA1_COUNT; i++)
        if (c->ha1[i])
            return true;
    return false;
}

void registration_done(struct registration *r)
{
    for (size_t i = 0; i < ARRAY_LEN(text_offsets); i++)
        free(*text_at(r, i));
    for (size_t i = 0; i < r->credential_count; i++)
        credential_done(&r->credentials[i]);
    for (size_t i = 0; i < r->contact_count; i++) {
        free(r->contacts[i].uri);
        free(r->contacts[i].q);
    }
    for (size_t i = 0; i < r->route_count; i++)
        free(r->route_set[i]);
    *r = (struct registration){0};
}

void registration_copy(struct registration *to_init, const struct registration *from)
{
    *to_init = *from;
    for (size_t i = 0; i < ARRAY_LEN(text_offsets); i++)
        *text_at(to_init, i) = mem_dup_cstr(*text_at(to_init, i));
    for (size_t i = 0; i < from->credential_count; i++)
        credential_copy(&to_init->credentials[i], &from->credentials[i]);
    for (size_t i = 0; i < from->contact_count; i++) {
        struct contact *c = &to_init->contacts[i];
        c->uri = mem_dup_cstr(c->uri);
        c->q = mem_dup_cstr(c->q);
    }
    for (size_t i = 0; i < from->route_count; i++)
        to_init->route_set[i] = mem_dup_cstr(from->route_set[i]);
}

void registration_place(const struct registration *r, char ret[REGISTRATION_PLACE_BYTES])
{
    if (r->node != REGISTRATION_UNSET)
        (void)snprintf(ret, REGISTRATION_PLACE_BYTES, "node-%lld", (long long)r->node);
    else if (r->pop != REGISTRATION_UNSET)
        (void)snprintf(ret, REGISTRATION_PLACE_BYTES, "pop-%lld", (long long)r->pop);
    else
        (void)snprintf(ret, REGISTRATION_PLACE_BYTES, "any");
}

// A bare IPv6 literal is allowed as a domain and needs brackets in a URI (RFC 3261 25.1 IPv6reference).
static void add_domain(struct buf *out, const char *domain)
{
    struct sip_uri u;
    struct str text = str_of(domain);
    bool bare_ipv6 = !sip_hostport_parse(text, &u, NULL) && u.ipv6 && !str_has_char(text, '[');
    if (bare_ipv6)
        buf_add_char(out, '[');
    buf_add_str(out, text);
    if (bare_ipv6)
        buf_add_char(out, ']');
}

void registration_aor(struct buf *out, const struct registration *r)
{
    if (r->aor) {
        buf_add_cstr(out, r->aor);
        return;
    }
    buf_add_cstr(out, registration_scheme_name(r->scheme));
    buf_add_char(out, ':');
    if (r->username && r->username[0]) {
        sip_escape_user(out, str_of(r->username));
        buf_add_char(out, '@');
    }
    add_domain(out, r->domain);
}

void registration_replace_local(struct buf *out, struct str given, struct str local)
{
    for (;;) {
        size_t at = str_find_str(given, REGISTRATION_LOCAL);
        buf_add_str(out, str_slice(given, 0, at));
        if (at == given.n)
            return;
        buf_add_str(out, local);
        given = str_slice(given, at + REGISTRATION_LOCAL.n, given.n);
    }
}

int64_t registration_expires(const struct registration *r)
{
    if (r->expires > 0)
        return r->expires;
    return r->default_expires > 0 ? r->default_expires : 3600;
}
