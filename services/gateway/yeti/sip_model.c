// See sip.h: between the model and the object, and what the model says against it.
#include "common/base/mem.h"
#include "services/gateway/yeti/sip.h"
#include "services/gateway/yeti/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_expires(struct json_writer *w, int64_t expires)
{
    json_key(w, "expires");
    if (expires == REGISTRATION_UNSET)
        json_put_null(w);
    else
        json_put_i64(w, expires);
}

static void put_contacts(struct json_writer *w, const struct registration *r)
{
    json_key(w, "contacts");
    json_begin_array(w);
    for (size_t i = 0; i < r->contact_count; i++) {
        json_begin_object(w);
        json_kv_cstr(w, "uri", r->contacts[i].uri);
        json_kv_cstr(w, "q", r->contacts[i].q);
        put_expires(w, r->contacts[i].expires);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_ha1(struct json_writer *w, const struct credential *c)
{
    json_key(w, "ha1");
    json_begin_object(w);
    for (int i = 0; i < HA1_COUNT; i++)
        if (c->ha1[i])
            json_kv_cstr(w, credential_ha1_name((enum credential_ha1)i), VALUES_MASK);
    json_end_object(w);
}

static void put_credentials(struct json_writer *w, const struct registration *r)
{
    json_key(w, "credentials");
    json_begin_array(w);
    for (size_t i = 0; i < r->credential_count; i++) {
        const struct credential *c = &r->credentials[i];
        json_begin_object(w);
        json_kv_cstr(w, "realm", c->realm);
        json_kv_cstr(w, "user", c->user);
        if (credential_has_ha1(c))
            put_ha1(w, c);
        else
            json_kv_cstr(w, "password", c->secret ? VALUES_MASK : NULL);
        json_end_object(w);
    }
    json_end_array(w);
}

void sip_show(struct buf *out, const struct registration *r)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_cstr(&w, "aor", r->aor);
    json_kv_cstr(&w, "from", r->from);
    json_kv_cstr(&w, "registrar", r->registrar);
    put_contacts(&w, r);
    put_credentials(&w, r);
    json_kv_cstr(&w, "retry-shape", r->retry_shape == RETRY_FIXED ? "fixed" : "growing");
    json_end_object(&w);
}

// ---- into the model

static void take_text(const struct sip_given *s, enum sip_member member, const char *text, char **target)
{
    if (!sip_gives(s, member))
        return;
    free(*target);
    *target = mem_dup_cstr(text);
}

static void free_contact(struct contact *c)
{
    mem_free_cstr(&c->uri);
    mem_free_cstr(&c->q);
}

// null leaves the attribute `contact` alone, with nothing about it.
static void take_contacts(const struct sip_given *s, struct registration *r)
{
    bool reset = !s->held.contact_count;
    for (size_t i = reset ? 1 : 0; i < r->contact_count; i++)
        free_contact(&r->contacts[i]);
    if (reset) {
        mem_free_cstr(&r->contacts[0].q);
        r->contacts[0].expires = REGISTRATION_UNSET;
        r->contact_count = 1;
        return;
    }
    r->contact_count = s->held.contact_count;
    for (size_t i = 0; i < r->contact_count; i++)
        r->contacts[i] = (struct contact){.uri = mem_dup_cstr(s->held.contacts[i].uri),
                                          .q = mem_dup_cstr(s->held.contacts[i].q),
                                          .expires = s->held.contacts[i].expires};
}

static void take_credentials(const struct sip_given *s, struct registration *r)
{
    while (r->credential_count)
        credential_done(&r->credentials[--r->credential_count]);
    r->credential_count = s->held.credential_count;
    for (size_t i = 0; i < r->credential_count; i++)
        credential_copy(&r->credentials[i], &s->held.credentials[i]);
}

void sip_put(const struct sip_given *s, struct registration *r)
{
    take_text(s, SIP_AOR, s->held.aor, &r->aor);
    take_text(s, SIP_FROM, s->held.from, &r->from);
    take_text(s, SIP_REGISTRAR, s->held.registrar, &r->registrar);
    if (sip_gives(s, SIP_CONTACTS))
        take_contacts(s, r);
    if (sip_gives(s, SIP_CREDENTIALS))
        take_credentials(s, r);
    if (sip_gives(s, SIP_RETRY_SHAPE))
        r->retry_shape = s->held.retry_shape;
}

// ---- what the model says against it

// The one item that is wrong by itself; the count where none is.
static size_t faulty_item(const struct registration *r, bool contacts)
{
    size_t count = contacts ? r->contact_count : r->credential_count;
    for (size_t i = 0; i < count; i++) {
        struct registration alone = *r; // borrows all texts
        const char *field;
        if (contacts) {
            alone.contacts[0] = r->contacts[i];
            alone.contact_count = 1;
        } else {
            alone.credentials[0] = r->credentials[i];
            alone.credential_count = 1;
        }
        if (registration_check(&alone, &field, NULL) && !strcmp(field, contacts ? "contacts" : "credentials"))
            return i;
    }
    return count;
}

static void refuse_item(const struct registration *r, const char *field, const char *sentence,
                        struct errors *errors)
{
    char path[40];
    bool contacts = strcmp(field, "contacts") == 0;
    size_t count = contacts ? r->contact_count : r->credential_count, at = faulty_item(r, contacts);
    (void)snprintf(path, sizeof(path), at < count ? "%s/%zu" : "%s", field, at);
    sip_error(errors, path, sentence);
}

bool sip_refuse(const struct registration *r, const char *field, const char *sentence, struct errors *errors)
{
    static const char *const texts[] = {"aor", "from", "registrar"};
    if (!strcmp(field, "contacts") || !strcmp(field, "credentials")) {
        refuse_item(r, field, sentence, errors);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(field, texts[i]) != 0)
            continue;
        sip_error(errors, field, sentence);
        return true;
    }
    return false;
}

void sip_error(struct errors *errors, const char *path, const char *message)
{
    struct buf name cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&name, "sip");
    if (path[0])
        buf_add_char(&name, '/');
    buf_add_cstr(&name, path);
    errors_add_invalid(errors, POINTER_ATTRIBUTE, name.p, message);
}
