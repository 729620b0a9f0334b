// See values.h.
#include "services/gateway/yeti/values.h"

#include "common/base/mem.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/yeti/coerce.h"

#include <stdlib.h>
#include <string.h>

#define LABEL           "yeti"
#define DEFAULT_EXPIRES 1800 // Yeti's module option default_expires

// Ids of transport-protocols (contract 9).
static const int64_t transport_ids[] = {
    [TRANSPORT_UDP] = 1, [TRANSPORT_TCP] = 2, [TRANSPORT_TLS] = 3, [TRANSPORT_WS] = 5};

// Texts of which the model holds no empty one: NULL there means the same to a registrar.
static const struct {
    enum attribute_index index;
    size_t value, model;
} blank_texts[] = {
    {ATTRIBUTE_DISPLAY_USERNAME, offsetof(struct values, display_username),
     offsetof(struct registration, display_username)},
    {ATTRIBUTE_INTERFACE, offsetof(struct values, interface), offsetof(struct registration, interface)},
};

static char **text_at(const void *base, size_t offset)
{
    return (char **)(uintptr_t)((const char *)base + offset);
}

static const char *wire_name(enum attribute_index index)
{
    return attribute_at(index)->name;
}

static void set_text(char **target, const char *text)
{
    char *copy = mem_dup_cstr(text);
    free(*target);
    *target = copy;
}

static bool is_empty(const char *text)
{
    return !text || !text[0];
}

void values_init(struct values *v)
{
    *v = (struct values){
        .enabled = true,
        .route_set = {.items = mem_array(1, sizeof(char *))},
        .retry_delay = {.set = true, .value = 5},
        .schema_id = {.set = true, .value = 1},
        .transport = transport_ids[TRANSPORT_UDP],
    };
}

void values_done(struct values *v)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        const struct attribute *a = attribute_at((enum attribute_index)i);
        if (a->kind == KIND_TEXT || a->kind == KIND_JSON)
            free(*text_at(v, a->offset));
    }
    texts_done(&v->route_set);
    *v = (struct values){0};
}

// ---- from the model

static struct integer integer_of(int64_t model)
{
    return (struct integer){.set = model != REGISTRATION_UNSET, .value = model};
}

static struct texts texts_of(char *const *items, size_t count)
{
    struct texts t = {.items = mem_array(count + 1, sizeof(char *)), .count = count};
    for (size_t i = 0; i < count; i++)
        t.items[i] = mem_dup_cstr(items[i]);
    return t;
}

static void read_credential(struct values *v, const struct registration *r, const char *shown_password)
{
    if (!r->credential_count)
        return;
    const struct credential *c = &r->credentials[0];
    v->auth_user = mem_dup_cstr(c->user);
    if (c->secret || credential_has_ha1(c))
        v->auth_password = mem_dup_cstr(shown_password ? shown_password : VALUES_MASK);
}

// Whether the model still holds what an exception stood for: another dialect may have changed it since.
static bool exception_holds(const struct registration *r, enum attribute_index index)
{
    if (index == ATTRIBUTE_AUTH_USER)
        return !r->credential_count || !r->credentials[0].user || !r->username ||
               !strcmp(r->credentials[0].user, r->username);
    if (index == ATTRIBUTE_EXPIRE)
        return r->expires == REGISTRATION_UNSET;
    for (size_t i = 0; i < ARRAY_LEN(blank_texts); i++)
        if (blank_texts[i].index == index)
            return !*text_at(r, blank_texts[i].model);
    return true;
}

// Labels were written by label_exceptions below, so their types fit; a foreign one is left out.
static void read_exceptions(struct values *v, const struct registration *r)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    if (!r->labels || !strstr(r->labels, "\"" LABEL "\"") || json_parse(str_of(r->labels), NULL, &root, NULL))
        return;
    const struct json *held = json_get(root, LABEL);
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        const struct attribute *a = attribute_at((enum attribute_index)i);
        const struct json *value = json_get(held, a->name);
        bool fits = value && (a->kind == KIND_TEXT || a->kind == KIND_INTEGER);
        if (fits && exception_holds(r, (enum attribute_index)i))
            (void)a->coerce(value, (char *)v + a->offset);
    }
}

void values_of(struct values *v, const struct registration *r, const char *shown_password)
{
    *v = (struct values){
        .id = (int64_t)r->id,
        .contact = mem_dup_cstr(r->contact_count ? r->contacts[0].uri : NULL),
        .display_username = mem_dup_cstr(r->display_username),
        .domain = mem_dup_cstr(r->domain),
        .enabled = r->enabled,
        .expire = integer_of(r->expires),
        .force_expire = r->force_expire,
        .max_attempts = integer_of(r->max_attempts),
        .name = mem_dup_cstr(r->name),
        .route_set = texts_of(r->route_set, r->route_count),
        .retry_delay = integer_of(r->retry_delay_s),
        .interface = mem_dup_cstr(r->interface),
        .username = mem_dup_cstr(r->username),
        .schema_id = {.set = true, .value = r->scheme == SCHEME_SIPS ? 2 : 1},
        .transport = transport_ids[r->transport],
        .pop = r->pop == REGISTRATION_UNSET ? 0 : r->pop,
        .node = r->node == REGISTRATION_UNSET ? 0 : r->node,
    };
    read_credential(v, r, shown_password);
    read_exceptions(v, r);
}

// ---- to the model

// Those of all realms: what was written as none must not read back as that of another realm.
static void drop_credentials(struct registration *r)
{
    while (r->credential_count)
        credential_done(&r->credentials[--r->credential_count]);
}

static bool has_secret(const struct registration *r)
{
    return r->credential_count && (r->credentials[0].secret || credential_has_ha1(&r->credentials[0]));
}

// One credential, for any realm unless it was given one. SEMS sends an empty digest user name where auth-user
// is null; no registrar takes that, so here it is the user name then, and a credential without one means it.
static void write_credential(const struct values *v, bool new_password, struct registration *r)
{
    bool keeps_none = r->credential_count && !r->credentials[0].user && is_empty(v->auth_user);
    if (is_empty(v->auth_user) && !(new_password ? v->auth_password != NULL : has_secret(r))) {
        drop_credentials(r);
        return;
    }
    if (!r->credential_count)
        r->credentials[r->credential_count++] = (struct credential){.realm = NULL};
    struct credential *c = &r->credentials[0];
    if (!keeps_none)
        set_text(&c->user, is_empty(v->auth_user) ? v->username : v->auth_user);
    if (new_password)
        credential_set_password(c, v->auth_password ? str_of(v->auth_password) : STR_NONE);
}

static bool has_routes(const struct values *v, const struct registration *r)
{
    bool same = v->route_set.count == r->route_count;
    for (size_t i = 0; same && i < r->route_count; i++)
        same = strcmp(v->route_set.items[i], r->route_set[i]) == 0;
    return same;
}

// Another route set says where to send: a registrar that another dialect named is given up.
static void write_routes(const struct values *v, struct registration *r)
{
    if (has_routes(v, r))
        return;
    mem_free_cstr(&r->registrar);
    for (size_t i = 0; i < r->route_count; i++)
        free(r->route_set[i]);
    r->route_count = 0;
    for (size_t i = 0; i < v->route_set.count && i < REGISTRATION_MAX_ROUTES; i++)
        r->route_set[r->route_count++] = mem_dup_cstr(v->route_set.items[i]);
}

static void write_contact(const struct values *v, struct registration *r)
{
    if (!r->contact_count)
        r->contacts[r->contact_count++] = (struct contact){.expires = REGISTRATION_UNSET};
    set_text(&r->contacts[0].uri, v->contact);
}

static void add_exception(struct json_writer *w, enum attribute_index index, const char *text)
{
    json_kv_cstr(w, wire_name(index), text);
}

// What reads give back and the model holds in another way, as members of one object.
static void label_exceptions(struct buf *out, const struct values *v, const struct registration *r)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    if (is_empty(v->auth_user) && (v->auth_user || r->credential_count))
        add_exception(&w, ATTRIBUTE_AUTH_USER, v->auth_user);
    for (size_t i = 0; i < ARRAY_LEN(blank_texts); i++) {
        const char *text = *text_at(v, blank_texts[i].value);
        if (text && !text[0])
            add_exception(&w, blank_texts[i].index, text);
    }
    if (v->expire.set && v->expire.value <= 0)
        json_kv_i64(&w, wire_name(ATTRIBUTE_EXPIRE), v->expire.value);
    json_end_object(&w);
}

void values_label(const struct values *v, struct registration *r)
{
    struct buf own cleanup(buf_done) = BUF_INIT;
    label_exceptions(&own, v, r);
    dialect_set_label(r, LABEL, &own);
}

static enum registration_transport transport_of(int64_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(transport_ids); i++)
        if (transport_ids[i] == id)
            return (enum registration_transport)i;
    return TRANSPORT_UDP;
}

// Both are this dialect's own where it makes a registration or sets them anew; what another dialect made
// keeps its default lifetime and the shape of its delays.
static void write_times(const struct values *v, bool is_new, struct registration *r)
{
    int64_t expires = v->expire.set && v->expire.value > 0 ? v->expire.value : REGISTRATION_UNSET;
    if (is_new || expires != r->expires)
        r->default_expires = DEFAULT_EXPIRES;
    if (is_new || v->retry_delay.value != r->retry_delay_s)
        r->retry_shape = RETRY_FIXED;
    r->expires = expires;
    r->retry_delay_s = v->retry_delay.value;
}

void values_to(const struct values *v, bool new_password, struct registration *r)
{
    write_times(v, !r->name, r);
    set_text(&r->name, v->name);
    r->enabled = v->enabled;
    dialect_set_identity(r, v->schema_id.value == 2 ? SCHEME_SIPS : SCHEME_SIP, str_of(v->username),
                         str_of(v->domain));
    for (size_t i = 0; i < ARRAY_LEN(blank_texts); i++) {
        const char *text = *text_at(v, blank_texts[i].value);
        set_text(text_at(r, blank_texts[i].model), is_empty(text) ? NULL : text);
    }
    write_contact(v, r);
    r->force_expire = v->force_expire;
    write_routes(v, r);
    dialect_set_transport(r, transport_of(v->transport));
    r->max_attempts = v->max_attempts.set ? v->max_attempts.value : REGISTRATION_UNSET;
    r->pop = v->pop ? v->pop : REGISTRATION_UNSET;
    r->node = v->node ? v->node : REGISTRATION_UNSET;
    write_credential(v, new_password, r);
    values_label(v, r);
}
