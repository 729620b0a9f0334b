// The JSON form of a registration (proto/schemas/spec.json): what Redis and the changes topics hold. Judges
// types and sizes; whether the values make sense is check.c's.
#include "common/registration/registration.h"

#include "common/registration/members.h"

#include <assert.h>
#include <errno.h>

#define FORM_VERSION 1

// A sealed secret is longer than its clear text by nonce, tag, key id and base64.
#define SECRET_MAX_BYTES 2048
#define LABELS_MAX_BYTES 8192

static const char *const scheme_names[] = {[SCHEME_SIP] = "sip", [SCHEME_SIPS] = "sips"};
static const char *const transport_names[] = {
    [TRANSPORT_UDP] = "udp",
    [TRANSPORT_TCP] = "tcp",
    [TRANSPORT_TLS] = "tls",
    [TRANSPORT_WS] = "ws",
};
static const char *const shape_names[] = {[RETRY_FIXED] = "fixed", [RETRY_GROWING] = "growing"};
static const char *const non_stale_names[] = {
    [NON_STALE_REJECT] = "reject", [NON_STALE_RETRY] = "retry", [NON_STALE_STOP] = "stop"};

// The member of "ha1" in JSON, and the field that its text is sealed for.
static const struct {
    const char *name, *field;
} ha1_names[HA1_COUNT] = {
    [HA1_MD5] = {"MD5", "ha1-MD5"},
    [HA1_SHA256] = {"SHA-256", "ha1-SHA-256"},
    [HA1_SHA512_256] = {"SHA-512-256", "ha1-SHA-512-256"},
};

const char *credential_ha1_name(enum credential_ha1 a)
{
    return ha1_names[a].name;
}

const char *credential_ha1_field(enum credential_ha1 a)
{
    return ha1_names[a].field;
}

const char *registration_scheme_name(enum registration_scheme s)
{
    return scheme_names[s];
}

const char *registration_transport_name(enum registration_transport t)
{
    return transport_names[t];
}

// ---- writing

static void put_set(struct json_writer *w, const char *key, int64_t value)
{
    if (value != REGISTRATION_UNSET)
        json_kv_i64(w, key, value);
}

static void put_ha1(struct json_writer *w, const struct credential *c)
{
    bool any = false;
    for (size_t i = 0; i < HA1_COUNT; i++)
        any = any || c->ha1[i];
    if (!any || c->clear)
        return;
    json_key(w, "ha1");
    json_begin_object(w);
    for (size_t i = 0; i < HA1_COUNT; i++)
        members_put_text(w, ha1_names[i].name, c->ha1[i]);
    json_end_object(w);
}

static void put_credentials(struct json_writer *w, const struct registration *r)
{
    if (!r->credential_count)
        return;
    json_key(w, "credentials");
    json_begin_array(w);
    for (size_t i = 0; i < r->credential_count; i++) {
        const struct credential *c = &r->credentials[i];
        assert(
            !c->clear); // a clear secret must not reach Redis or Kafka, not even in a build without asserts
        json_begin_object(w);
        members_put_text(w, "realm", c->realm);
        members_put_text(w, "user", c->user);
        members_put_text(w, "secret", c->clear ? NULL : c->secret);
        put_ha1(w, c);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_contacts(struct json_writer *w, const struct registration *r)
{
    if (!r->contact_count)
        return;
    json_key(w, "contacts");
    json_begin_array(w);
    for (size_t i = 0; i < r->contact_count; i++) {
        const struct contact *c = &r->contacts[i];
        json_begin_object(w);
        members_put_text(w, "uri", c->uri);
        members_put_text(w, "q", c->q);
        put_set(w, "expires", c->expires);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_routes(struct json_writer *w, const struct registration *r)
{
    if (!r->route_count)
        return;
    json_key(w, "route_set");
    json_begin_array(w);
    for (size_t i = 0; i < r->route_count; i++)
        json_put_cstr(w, r->route_set[i]);
    json_end_array(w);
}

static void put_quirks(struct json_writer *w, const struct quirks *q)
{
    if (!q->challenge_first && q->non_stale == NON_STALE_REJECT && !q->stagger && !q->clear_first)
        return;
    json_key(w, "quirks");
    json_begin_object(w);
    members_put_flag(w, "challenge_first", q->challenge_first);
    if (q->non_stale != NON_STALE_REJECT)
        json_kv_cstr(w, "non_stale", non_stale_names[q->non_stale]);
    members_put_flag(w, "stagger", q->stagger);
    members_put_flag(w, "clear_first", q->clear_first);
    json_end_object(w);
}

static void put_sent(struct json_writer *w, const struct registration *r)
{
    json_kv_cstr(w, "scheme", scheme_names[r->scheme]);
    members_put_text(w, "domain", r->domain);
    members_put_text(w, "username", r->username);
    members_put_text(w, "display_username", r->display_username);
    members_put_text(w, "aor", r->aor);
    members_put_text(w, "from", r->from);
    put_credentials(w, r);
    put_contacts(w, r);
    put_set(w, "expires", r->expires);
    put_set(w, "default_expires", r->default_expires);
    members_put_flag(w, "force_expire", r->force_expire);
    put_routes(w, r);
    members_put_text(w, "registrar", r->registrar);
    json_kv_cstr(w, "transport", transport_names[r->transport]);
    members_put_text(w, "interface", r->interface);
}

void registration_write_sent(struct json_writer *w, const struct registration *r)
{
    json_begin_object(w);
    put_sent(w, r);
    json_end_object(w);
}

void registration_write(struct buf *out, const struct registration *r)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    json_kv_u64(&w, "id", r->id);
    members_put_text(&w, "account", r->account);
    members_put_text(&w, "name", r->name);
    json_kv_bool(&w, "enabled", r->enabled);
    put_sent(&w, r);
    json_kv_i64(&w, "retry_delay_s", r->retry_delay_s);
    json_kv_cstr(&w, "retry_shape", shape_names[r->retry_shape]);
    put_set(&w, "max_attempts", r->max_attempts);
    put_quirks(&w, &r->quirks);
    put_set(&w, "pop", r->pop);
    put_set(&w, "node", r->node);
    if (r->labels) {
        json_key(&w, "labels");
        json_put_raw(&w, str_of(r->labels));
    }
    members_put_number(&w, "refresh_seq", r->refresh_seq);
    members_put_number(&w, "flush_seq", r->flush_seq);
    members_put_number(&w, "audit_seq", r->audit_seq);
    json_end_object(&w);
}

// ---- reading

// The array, with its length in *ret_count; a longer one than `max` fails: cutting it would change its
// meaning.
static const struct json *bounded_array(struct members *m, const char *name, size_t max, size_t *ret_count)
{
    const struct json *array = members_array(m, name);
    if (json_count(array) > max) {
        members_fail(m, name, "has more than %zu items", max);
        return NULL;
    }
    *ret_count = json_count(array);
    return array;
}

static int read_ha1(const struct json *object, struct credential *c, struct error *err)
{
    struct members m = members_of(object, err);
    for (size_t i = 0; i < HA1_COUNT; i++)
        members_text(&m, ha1_names[i].name, SECRET_MAX_BYTES, &c->ha1[i]);
    return m.rc;
}

static int read_credential(const struct json *object, struct credential *c, struct error *err)
{
    struct members m = members_of(object, err);
    members_text(&m, "realm", REGISTRATION_MAX_TEXT_BYTES, &c->realm);
    members_text(&m, "user", REGISTRATION_MAX_TEXT_BYTES, &c->user);
    members_text(&m, "secret", SECRET_MAX_BYTES, &c->secret);
    const struct json *ha1 = members_object(&m, "ha1");
    if (ha1)
        members_adopt(&m, "ha1", read_ha1(ha1, c, err));
    return m.rc;
}

static int read_contact(const struct json *object, struct contact *c, struct error *err)
{
    struct members m = members_of(object, err);
    c->expires = REGISTRATION_UNSET;
    members_text(&m, "uri", REGISTRATION_MAX_TEXT_BYTES, &c->uri);
    members_text(&m, "q", REGISTRATION_MAX_TEXT_BYTES, &c->q);
    members_i64(&m, "expires", &c->expires);
    if (!c->uri)
        members_fail(&m, "uri", "is missing");
    return m.rc;
}

static int read_route(const struct json *v, char **ret, struct error *err)
{
    struct str text = json_str(v);
    if (!json_is(v, JSON_STRING))
        return error_set(err, -EINVAL, "is %s where string belongs", json_type_name(json_type(v)));
    if (text.n > REGISTRATION_MAX_TEXT_BYTES || str_has_char(text, '\0'))
        return error_set(err, -EINVAL, "is too long or holds a NUL character");
    *ret = str_dup(text);
    return 0;
}

// The counts rise before an item is read, so that registration_done frees one that failed half-way.
static void read_lists(struct members *m, struct registration *r)
{
    size_t count = 0;
    const struct json *array = bounded_array(m, "credentials", REGISTRATION_MAX_CREDENTIALS, &count);
    while (!m->rc && r->credential_count < count) {
        size_t i = r->credential_count++;
        members_adopt(m, "credentials", read_credential(json_at(array, i), &r->credentials[i], m->err));
    }
    array = bounded_array(m, "contacts", REGISTRATION_MAX_CONTACTS, &count);
    while (!m->rc && r->contact_count < count) {
        size_t i = r->contact_count++;
        members_adopt(m, "contacts", read_contact(json_at(array, i), &r->contacts[i], m->err));
    }
    array = bounded_array(m, "route_set", REGISTRATION_MAX_ROUTES, &count);
    while (!m->rc && r->route_count < count) {
        size_t i = r->route_count++;
        members_adopt(m, "route_set", read_route(json_at(array, i), &r->route_set[i], m->err));
    }
}

static void read_sent(struct members *m, struct registration *r)
{
    const size_t max = REGISTRATION_MAX_TEXT_BYTES;
    r->scheme = members_choice(m, "scheme", scheme_names, ARRAY_LEN(scheme_names), r->scheme);
    members_text(m, "domain", max, &r->domain);
    members_text(m, "username", max, &r->username);
    members_text(m, "display_username", max, &r->display_username);
    members_text(m, "aor", max, &r->aor);
    members_text(m, "from", max, &r->from);
    read_lists(m, r);
    members_i64(m, "expires", &r->expires);
    members_i64(m, "default_expires", &r->default_expires);
    members_bool(m, "force_expire", &r->force_expire);
    members_text(m, "registrar", max, &r->registrar);
    r->transport = members_choice(m, "transport", transport_names, ARRAY_LEN(transport_names), r->transport);
    members_text(m, "interface", max, &r->interface);
    if (!r->domain)
        members_fail(m, "domain", "is missing");
}

static void read_labels(struct members *m, struct registration *r)
{
    const struct json *object = members_object(m, "labels");
    if (!object)
        return;
    struct buf text = BUF_INIT;
    json_write_value(&text, object);
    if (text.n > LABELS_MAX_BYTES)
        members_fail(m, "labels", "are longer than %d bytes", LABELS_MAX_BYTES);
    r->labels = buf_steal(&text);
}

static int read_quirks(const struct json *object, struct quirks *q, struct error *err)
{
    struct members m = members_of(object, err);
    members_bool(&m, "challenge_first", &q->challenge_first);
    q->non_stale = members_choice(&m, "non_stale", non_stale_names, ARRAY_LEN(non_stale_names), q->non_stale);
    members_bool(&m, "stagger", &q->stagger);
    members_bool(&m, "clear_first", &q->clear_first);
    return m.rc;
}

static void read_rest(struct members *m, struct registration *r)
{
    const struct json *quirks = members_object(m, "quirks");
    if (quirks)
        members_adopt(m, "quirks", read_quirks(quirks, &r->quirks, m->err));
    members_u64(m, "id", &r->id);
    members_text(m, "account", REGISTRATION_MAX_TEXT_BYTES, &r->account);
    members_text(m, "name", REGISTRATION_MAX_TEXT_BYTES, &r->name);
    members_bool(m, "enabled", &r->enabled);
    members_i64(m, "retry_delay_s", &r->retry_delay_s);
    r->retry_shape = members_choice(m, "retry_shape", shape_names, ARRAY_LEN(shape_names), r->retry_shape);
    members_i64(m, "max_attempts", &r->max_attempts);
    members_i64(m, "pop", &r->pop);
    members_i64(m, "node", &r->node);
    read_labels(m, r);
    members_u64(m, "refresh_seq", &r->refresh_seq);
    members_u64(m, "flush_seq", &r->flush_seq);
    members_u64(m, "audit_seq", &r->audit_seq);
    if (!r->id)
        members_fail(m, "id", "is missing");
    if (!r->account)
        members_fail(m, "account", "is missing");
}

static int finish(const struct members *m, struct registration *r)
{
    if (m->rc)
        registration_done(r);
    return m->rc;
}

// Written by none so far: absent is the first.
static void read_version(struct members *m)
{
    uint64_t version = FORM_VERSION;
    members_u64(m, "v", &version);
    if (version != FORM_VERSION)
        members_fail(m, "v", "is %llu, and only %d is known", (unsigned long long)version, FORM_VERSION);
}

int registration_read_sent(const struct json *object, struct registration *ret_init, struct error *err)
{
    struct members m = members_of(object, err);
    registration_init(ret_init);
    read_sent(&m, ret_init);
    return finish(&m, ret_init);
}

int registration_read(const struct json *object, struct registration *ret_init, struct error *err)
{
    struct members m = members_of(object, err);
    registration_init(ret_init);
    read_version(&m);
    read_rest(&m, ret_init);
    read_sent(&m, ret_init);
    return finish(&m, ret_init);
}
