// See sip.h: the form of what a write gives. Whether it makes sense together is the model's to judge.
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/sip/uri.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/sip.h"
#include "services/gateway/yeti/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_MAX UINT32_MAX // RFC 3261 20.19

// Where it reads; every part says what is wrong by itself and the rest is read on.
struct reading {
    struct sip_given *to;
    const struct registration *before; // NULL: nothing
    struct errors *errors;
    char at[32]; // the item that is read: "contacts/0"; "": a member
};

static void refuse(const struct reading *in, const char *name, const char *message)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s%s%s", in->at, in->at[0] && name[0] ? "/" : "", name);
    sip_error(in->errors, path, message);
}

static bool is_null(const struct json *v)
{
    return !v || json_is(v, JSON_NULL);
}

// A text, or NULL for null.
static void read_text(const struct reading *in, const char *name, const struct json *v, char **target)
{
    if (is_null(v))
        return;
    if (!json_is(v, JSON_STRING))
        refuse(in, name, "is no text");
    else if (!sip_text_is_safe(json_str(v)))
        refuse(in, name, "holds control characters");
    else
        *target = str_dup(json_str(v));
}

// What is in the object beside the names is a mistake that must not pass unseen.
static void check_names(const struct reading *in, const struct json *object, const char *const *names,
                        size_t count, const char *name)
{
    for (size_t i = 0; i < json_count(object); i++) {
        bool known = false;
        for (size_t n = 0; n < count; n++)
            known = known || str_eq_cstr(json_key_at(object, i), names[n]);
        if (!known)
            refuse(in, name, "has a member that is none of its own");
    }
}

static const struct json *item_at(struct reading *in, const char *list, const struct json *array, size_t i)
{
    const struct json *item = json_at(array, i);
    (void)snprintf(in->at, sizeof(in->at), "%s/%zu", list, i);
    if (json_is(item, JSON_OBJECT))
        return item;
    refuse(in, "", "is no object");
    return NULL;
}

// ---- texts

static void read_aor(struct reading *in, const struct json *v)
{
    read_text(in, "aor", v, &in->to->held.aor);
}

static void read_from(struct reading *in, const struct json *v)
{
    read_text(in, "from", v, &in->to->held.from);
}

static void read_registrar(struct reading *in, const struct json *v)
{
    read_text(in, "registrar", v, &in->to->held.registrar);
}

// null: this dialect's own.
static void read_retry_shape(struct reading *in, const struct json *v)
{
    bool grows = str_eq_cstr(json_str(v), "growing");
    in->to->held.retry_shape = grows ? RETRY_GROWING : RETRY_FIXED;
    if (!is_null(v) && !grows && !str_eq_cstr(json_str(v), "fixed"))
        refuse(in, "retry-shape", MESSAGE_NOT_IN_LIST);
}

// ---- contacts

static void read_q(const struct reading *in, const struct json *v, struct contact *c)
{
    if (json_is(v, JSON_NUMBER))
        c->q = str_dup(json_number_text(v));
    else
        read_text(in, "q", v, &c->q);
}

static void read_expires(const struct reading *in, const struct json *v, struct contact *c)
{
    int64_t value;
    if (is_null(v))
        return;
    if (json_i64(v, &value) || value < 1 || value > EXPIRES_MAX)
        refuse(in, "expires", "is no number from 1 to 4294967295");
    else
        c->expires = value;
}

static void read_contact(const struct reading *in, const struct json *v, struct contact *c)
{
    static const char *const names[] = {"uri", "q", "expires"};
    const struct json *uri = json_get(v, "uri");
    check_names(in, v, names, ARRAY_LEN(names), "");
    if (json_is(uri, JSON_STRING) ? coerce_is_blank(json_str(uri)) : is_null(uri))
        refuse(in, "uri", MESSAGE_BLANK);
    read_text(in, "uri", uri, &c->uri);
    read_q(in, json_get(v, "q"), c);
    read_expires(in, json_get(v, "expires"), c);
}

static void read_contacts(struct reading *in, const struct json *v)
{
    struct registration *held = &in->to->held;
    if (is_null(v))
        return;
    if (!json_is(v, JSON_ARRAY) || !json_count(v) || json_count(v) > REGISTRATION_MAX_CONTACTS) {
        refuse(in, "contacts", "is no list of 1 to 8 contacts");
        return;
    }
    while (held->contact_count < json_count(v)) {
        size_t i = held->contact_count++;
        held->contacts[i] = (struct contact){.expires = REGISTRATION_UNSET};
        const struct json *item = item_at(in, "contacts", v, i);
        if (item)
            read_contact(in, item, &held->contacts[i]);
    }
}

// ---- credentials

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *secret_of(const struct credential *c, int ha1)
{
    return ha1 < 0 ? c->secret : c->ha1[ha1];
}

// The credential whose secret a mask stands for: of the same realm and user; a password may get another user.
static const struct credential *find_kept(const struct reading *in, const struct credential *c, int ha1)
{
    const struct credential *found = NULL;
    for (size_t i = 0; in->before && i < in->before->credential_count; i++) {
        const struct credential *b = &in->before->credentials[i];
        if (!secret_of(b, ha1) || !same_text(b->realm, c->realm))
            continue;
        if (same_text(b->user, c->user))
            return b;
        if (ha1 < 0 && !found)
            found = b;
    }
    return found;
}

// Takes what the mask stands for; false: there is none.
static bool keep_secret(const struct reading *in, struct credential *c, int ha1, char **target)
{
    const struct credential *kept = find_kept(in, c, ha1);
    if (!kept)
        return false;
    *target = mem_dup_cstr(secret_of(kept, ha1));
    c->clear = c->clear || kept->clear;
    return true;
}

static void read_password(const struct reading *in, const struct json *v, struct credential *c)
{
    if (json_is(v, JSON_STRING) && str_eq_cstr(json_str(v), VALUES_MASK)) {
        if (!keep_secret(in, c, -1, &c->secret))
            refuse(in, "password", "stands for a password of this realm, and none is set");
        return;
    }
    read_text(in, "password", v, &c->secret);
    c->clear = c->secret != NULL;
}

// RFC 7616 3.4.2 hashes it on in lower case.
static bool is_ha1(struct str text, size_t digits)
{
    bool good = text.n == digits;
    for (size_t i = 0; good && i < text.n; i++)
        good = decode_hex_digit(text.p[i]) >= 0;
    return good;
}

static void read_ha1_of(const struct reading *in, const struct json *v, struct credential *c, int ha1)
{
    char name[24];
    (void)snprintf(name, sizeof(name), "ha1/%s", credential_ha1_name((enum credential_ha1)ha1));
    bool is_md5 = ha1 == HA1_MD5;
    if (is_null(v))
        return;
    if (str_eq_cstr(json_str(v), VALUES_MASK)) {
        if (!keep_secret(in, c, ha1, &c->ha1[ha1]))
            refuse(in, name, "stands for an HA1 of this realm and user, and none is set");
    } else if (!is_ha1(json_str(v), is_md5 ? 32 : 64)) {
        refuse(in, name, is_md5 ? "is not 32 hexadecimal digits" : "is not 64 hexadecimal digits");
    } else {
        c->ha1[ha1] = str_dup(json_str(v));
        for (char *p = c->ha1[ha1]; *p; p++)
            *p = *p >= 'A' && *p <= 'F' ? (char)(*p - 'A' + 'a') : *p;
        c->clear = true;
    }
}

static void read_ha1(const struct reading *in, const struct json *v, struct credential *c)
{
    const char *names[HA1_COUNT];
    if (is_null(v))
        return;
    if (!json_is(v, JSON_OBJECT)) {
        refuse(in, "ha1", "is no object");
        return;
    }
    for (int i = 0; i < HA1_COUNT; i++)
        names[i] = credential_ha1_name((enum credential_ha1)i);
    check_names(in, v, names, HA1_COUNT, "ha1");
    for (int i = 0; i < HA1_COUNT; i++)
        read_ha1_of(in, json_get(v, names[i]), c, i);
}

static void read_credential(const struct reading *in, const struct json *v, struct credential *c)
{
    static const char *const names[] = {"realm", "user", "password", "ha1"};
    size_t errors = in->errors->count;
    check_names(in, v, names, ARRAY_LEN(names), "");
    read_text(in, "realm", json_get(v, "realm"), &c->realm);
    read_text(in, "user", json_get(v, "user"), &c->user);
    read_password(in, json_get(v, "password"), c);
    read_ha1(in, json_get(v, "ha1"), c);
    bool says_nothing = !c->user && !c->secret && !credential_has_ha1(c);
    if (says_nothing && in->errors->count == errors)
        refuse(in, "", "has neither user nor password nor HA1");
}

static void read_credentials(struct reading *in, const struct json *v)
{
    struct registration *held = &in->to->held;
    if (is_null(v))
        return;
    if (!json_is(v, JSON_ARRAY) || json_count(v) > REGISTRATION_MAX_CREDENTIALS) {
        refuse(in, "credentials", "is no list of up to 8 credentials");
        return;
    }
    while (held->credential_count < json_count(v)) {
        size_t i = held->credential_count++;
        const struct json *item = item_at(in, "credentials", v, i);
        if (item)
            read_credential(in, item, &held->credentials[i]);
    }
}

// ---- the whole

static const struct {
    const char *name;
    void (*read)(struct reading *in, const struct json *v);
} members[SIP_COUNT] = {
    [SIP_AOR] = {"aor", read_aor},
    [SIP_FROM] = {"from", read_from},
    [SIP_REGISTRAR] = {"registrar", read_registrar},
    [SIP_CONTACTS] = {"contacts", read_contacts},
    [SIP_CREDENTIALS] = {"credentials", read_credentials},
    [SIP_RETRY_SHAPE] = {"retry-shape", read_retry_shape},
};

bool sip_read(struct sip_given *ret, const struct json *object, const struct registration *before,
              struct errors *errors)
{
    size_t count = errors->count;
    struct reading in = {.to = ret, .before = before, .errors = errors};
    const char *names[SIP_COUNT];
    *ret = (struct sip_given){.members = 0};
    for (size_t i = 0; i < SIP_COUNT; i++)
        names[i] = members[i].name;
    check_names(&in, object, names, SIP_COUNT, "");
    for (size_t i = 0; i < SIP_COUNT; i++) {
        const struct json *v = json_get(object, members[i].name);
        if (!v)
            continue;
        ret->members |= 1u << i;
        in.at[0] = '\0';
        members[i].read(&in, v);
    }
    return errors->count == count;
}

void sip_given_done(struct sip_given *s)
{
    registration_done(&s->held);
}

bool sip_gives(const struct sip_given *s, enum sip_member member)
{
    return s->members >> member & 1;
}
