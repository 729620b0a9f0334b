// See validate.h. Every attribute that fails is named, each by its first failing rule, as Rails does it.
#include "services/gateway/yeti/validate.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"
#include "services/gateway/yeti/coerce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void draft_of(struct draft *ret, const struct registration *before)
{
    const struct credential *c = &before->credentials[0];
    *ret = (struct draft){
        .has_password = before->credential_count && (c->secret || credential_has_ha1(c)),
        .before = before,
    };
    values_of(&ret->values, before, NULL);
}

void draft_done(struct draft *d)
{
    values_done(&d->values);
    sip_given_done(&d->sip);
}

// ---- applying

static void apply_attributes(struct draft *d, const struct json *attributes)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        const struct attribute *a = attribute_at((enum attribute_index)i);
        const struct json *v = json_get(attributes, a->name);
        void *held = (char *)&d->values + a->offset;
        bool is_text = d->before && a->kind == KIND_TEXT;
        char *before cleanup(mem_free_cstr) = is_text ? mem_dup_cstr(*(char **)held) : NULL;
        d->refused[i] = v ? a->coerce(v, held) : NULL;
        d->stays[i] = before && *(char **)held && !strcmp(before, *(char **)held);
    }
}

static const struct json *given(const struct draft *d, enum attribute_index index)
{
    return json_get(d->attributes, attribute_at(index)->name);
}

// An HA1 has no clear text to show, so that its mask is one wherever it is written back.
static void apply_password(struct draft *d, bool mask)
{
    const char *text = d->values.auth_password;
    if (!given(d, ATTRIBUTE_AUTH_PASSWORD))
        return;
    mask = mask || (d->has_password && !d->before->credentials[0].secret);
    bool is_mask = mask && text && !strcmp(text, VALUES_MASK);
    d->new_password = !is_mask;
    if (is_mask && !d->has_password)
        d->refused[ATTRIBUTE_AUTH_PASSWORD] = MESSAGE_INVALID;
}

void draft_apply(struct draft *d, const struct body *b, bool mask)
{
    const struct type *t = type_of(TYPE_REGISTRATIONS);
    d->attributes = b->attributes;
    apply_attributes(d, b->attributes);
    apply_password(d, mask);
    for (size_t i = 0; i < t->relation_count; i++)
        if (b->linkages[i].given)
            *(int64_t *)(void *)((char *)&d->values + t->relations[i].offset) = b->linkages[i].id;
}

// ---- rules of one attribute; NULL when it passes

static const char *check_length(const char *text)
{
    return text && strlen(text) > REGISTRATION_MAX_TEXT_BYTES ? MESSAGE_TOO_LONG : NULL;
}

static const char *check_name(const struct values *v)
{
    return coerce_is_blank(str_of(v->name)) ? MESSAGE_BLANK : check_length(v->name);
}

static const char *check_domain(const struct values *v)
{
    struct sip_uri uri;
    if (coerce_is_blank(str_of(v->domain)))
        return MESSAGE_BLANK;
    if (check_length(v->domain))
        return MESSAGE_TOO_LONG;
    return sip_hostport_parse(str_of(v->domain), &uri, NULL) ? MESSAGE_INVALID : NULL;
}

static const char *check_username(const struct values *v)
{
    return coerce_is_blank(str_of(v->username)) ? MESSAGE_BLANK : check_length(v->username);
}

// The model's rule knows what {local} stands for; what else is in the probe is sound.
static bool is_contact(const char *text)
{
    char sound[] = "x";
    struct registration probe = {.account = sound, .domain = sound, .username = sound, .contact_count = 1};
    const char *field;
    struct buf copy cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&copy, text);
    probe.contacts[0] = (struct contact){.uri = copy.p, .expires = REGISTRATION_UNSET};
    return registration_check(&probe, &field, NULL) == 0;
}

// Yeti asks for "sip:" somewhere in it and no more.
static const char *check_contact(const struct values *v)
{
    if (check_length(v->contact))
        return MESSAGE_TOO_LONG;
    bool good = v->contact && strstr(v->contact, "sip:") && !strstr(v->contact, "{username}") &&
                is_contact(v->contact);
    return good ? NULL : MESSAGE_INVALID;
}

static const char *check_retry_delay(const struct values *v)
{
    return v->retry_delay.set ? NULL : MESSAGE_BLANK;
}

static bool is_schema(const struct integer *i)
{
    return i->set && (i->value == 1 || i->value == 2);
}

static const char *check_route_set(const struct values *v)
{
    struct sip_addr address;
    if (v->route_set.count > REGISTRATION_MAX_ROUTES)
        return "is too long (maximum is 8 items)";
    for (size_t i = 0; i < v->route_set.count; i++)
        if (check_length(v->route_set.items[i]) ||
            sip_addr_parse(str_of(v->route_set.items[i]), &address, NULL))
            return MESSAGE_INVALID;
    return NULL;
}

static const char *check_display_username(const struct values *v)
{
    return check_length(v->display_username);
}

static const char *check_auth_user(const struct values *v)
{
    return check_length(v->auth_user);
}

static const char *check_auth_password(const struct values *v)
{
    return check_length(v->auth_password);
}

static const char *check_interface(const struct values *v)
{
    return check_length(v->interface);
}

// ---- relationships

static void add_relation(struct errors *e, const char *name, const char *message)
{
    errors_add_invalid(e, POINTER_RELATIONSHIP, name, message);
}

static void check_transport(const struct draft *d, struct errors *errors)
{
    if (objects_find(objects_transports(), d->values.transport))
        return;
    add_relation(errors, "transport-protocol", MESSAGE_EXIST);
    add_relation(errors, "transport-protocol", MESSAGE_BLANK);
}

static void check_place(const struct draft *d, const struct objects *pops, const struct objects *nodes,
                        struct errors *errors)
{
    const struct values *v = &d->values;
    if (pops && v->pop && !objects_find(pops, v->pop))
        add_relation(errors, "pop", MESSAGE_EXIST);
    const struct object *node = nodes ? objects_find(nodes, v->node) : NULL;
    if (nodes && v->node && !node)
        add_relation(errors, "node", MESSAGE_EXIST);
    if (node && v->pop && node->pop != v->pop)
        add_relation(errors, "node", "must belong to the pop");
}

// ---- the whole

static void add_attribute(struct errors *e, enum attribute_index index, const char *message)
{
    errors_add_invalid(e, POINTER_ATTRIBUTE, attribute_at(index)->name, message);
}

typedef const char *check_fn(const struct values *v);

// Contract 2.1; what only Rollcall checks comes behind.
static const struct step {
    enum attribute_index index;
    check_fn *check;
} steps_before_schema[] =
    {
        {ATTRIBUTE_NAME, check_name},
        {ATTRIBUTE_DOMAIN, check_domain},
        {ATTRIBUTE_USERNAME, check_username},
},
  steps_behind_schema[] = {
      {ATTRIBUTE_DISPLAY_USERNAME, check_display_username},
      {ATTRIBUTE_AUTH_USER, check_auth_user},
      {ATTRIBUTE_AUTH_PASSWORD, check_auth_password},
      {ATTRIBUTE_INTERFACE, check_interface},
      {ATTRIBUTE_ENABLED, NULL},
      {ATTRIBUTE_EXPIRE, NULL},
      {ATTRIBUTE_FORCE_EXPIRE, NULL},
      {ATTRIBUTE_ROUTE_SET, check_route_set},
      {ATTRIBUTE_SIP, NULL},
};

static void run_step(const struct draft *d, enum attribute_index index, check_fn *check, struct errors *e)
{
    const char *message = d->refused[index];
    if (!message && check && !d->stays[index])
        message = check(&d->values);
    if (message)
        add_attribute(e, index, message);
}

static void run_steps(const struct draft *d, const struct step *steps, size_t count, struct errors *errors)
{
    for (size_t i = 0; i < count; i++)
        run_step(d, steps[i].index, steps[i].check, errors);
}

// A blank one fails twice, and stands where its first failing validator puts it.
static void check_middle(const struct draft *d, struct errors *errors)
{
    const struct values *v = &d->values;
    bool delay_blank = !d->refused[ATTRIBUTE_RETRY_DELAY] && check_retry_delay(v);
    bool schema_refused = d->refused[ATTRIBUTE_SCHEMA] != NULL;
    bool schema_blank = !schema_refused && !v->schema_id.set;
    if (delay_blank) {
        add_attribute(errors, ATTRIBUTE_RETRY_DELAY, MESSAGE_BLANK);
        add_attribute(errors, ATTRIBUTE_RETRY_DELAY, MESSAGE_NO_NUMBER);
    }
    if (schema_blank) {
        add_attribute(errors, ATTRIBUTE_SCHEMA, MESSAGE_BLANK);
        add_attribute(errors, ATTRIBUTE_SCHEMA, MESSAGE_NOT_IN_LIST);
    }
    run_step(d, ATTRIBUTE_CONTACT, check_contact, errors);
    run_step(d, ATTRIBUTE_RETRY_DELAY, NULL, errors);
    run_step(d, ATTRIBUTE_MAX_ATTEMPTS, NULL, errors);
    if (schema_refused || (!schema_blank && !is_schema(&v->schema_id)))
        add_attribute(errors, ATTRIBUTE_SCHEMA, MESSAGE_NOT_IN_LIST);
}

// ---- sip, which says some of it again

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void take_contact(struct draft *d, struct errors *errors)
{
    const struct registration *held = &d->sip.held;
    const char *uri = held->contact_count ? held->contacts[0].uri : NULL;
    if (!uri)
        return;
    if (!given(d, ATTRIBUTE_CONTACT)) {
        free(d->values.contact);
        d->values.contact = mem_dup_cstr(uri);
    }
    d->stays[ATTRIBUTE_CONTACT] = !strcmp(or_empty(d->values.contact), uri); // the model's rule is enough
    if (!d->stays[ATTRIBUTE_CONTACT])
        sip_error(errors, "contacts/0/uri", "is another than the attribute contact");
}

// An empty auth-user is the user name.
static bool is_auth_user(const struct values *v, const struct credential *first)
{
    const char *user = first ? or_empty(first->user) : "", *wanted = or_empty(v->auth_user);
    return !strcmp(user, wanted) || (!wanted[0] && !strcmp(user, or_empty(v->username)));
}

// A password in clear beside the mask in `sip` is the new one.
static void take_password(struct draft *d)
{
    struct credential *first = d->sip.held.credential_count ? &d->sip.held.credentials[0] : NULL;
    bool is_new = given(d, ATTRIBUTE_AUTH_PASSWORD) && d->new_password && d->values.auth_password;
    if (is_new && first && first->secret && !first->clear)
        credential_set_password(first, str_of(d->values.auth_password));
}

// The mask leaves it to `sip`.
static bool is_auth_password(const struct draft *d, const struct credential *first)
{
    const char *password = d->values.auth_password;
    bool has_secret = first && (first->secret || credential_has_ha1(first));
    if (!d->new_password || !password)
        return has_secret == (password != NULL);
    return has_secret && first->secret && first->clear && !strcmp(first->secret, password);
}

static void take_credentials(struct draft *d, struct errors *errors)
{
    const struct registration *held = &d->sip.held;
    const struct credential *first = held->credential_count ? &held->credentials[0] : NULL;
    take_password(d);
    if (!given(d, ATTRIBUTE_AUTH_USER)) {
        free(d->values.auth_user);
        d->values.auth_user = mem_dup_cstr(first ? first->user : NULL);
        d->stays[ATTRIBUTE_AUTH_USER] = true;
    } else if (!is_auth_user(&d->values, first)) {
        sip_error(errors, "credentials/0/user", "is another than the attribute auth-user");
    }
    if (given(d, ATTRIBUTE_AUTH_PASSWORD) && !is_auth_password(d, first))
        sip_error(errors, "credentials/0/password", "is another than the attribute auth-password");
}

static void take_sip(struct draft *d, struct errors *errors)
{
    const struct json *object = given(d, ATTRIBUTE_SIP);
    if (!object || d->refused[ATTRIBUTE_SIP])
        return;
    bool good = sip_read(&d->sip, object, d->before, errors);
    if (sip_gives(&d->sip, SIP_CONTACTS)) {
        d->stays[ATTRIBUTE_CONTACT] = !good && !given(d, ATTRIBUTE_CONTACT); // its own error is enough
        take_contact(d, errors);
    }
    if (good && sip_gives(&d->sip, SIP_CREDENTIALS))
        take_credentials(d, errors);
}

bool draft_check(struct draft *d, const struct objects *pops, const struct objects *nodes,
                 struct errors *errors)
{
    take_sip(d, errors);
    check_transport(d, errors);
    run_steps(d, steps_before_schema, ARRAY_LEN(steps_before_schema), errors);
    check_middle(d, errors);
    run_steps(d, steps_behind_schema, ARRAY_LEN(steps_behind_schema), errors);
    check_place(d, pops, nodes, errors);
    return errors->count == 0;
}

// ---- into the model

static const char *digest_user(const struct registration *r, size_t credential)
{
    const char *user = r->credentials[credential].user;
    return user ? user : r->username;
}

// The user is hashed into an HA1.
static void check_ha1_users(const struct draft *d, const struct registration *r, struct errors *errors)
{
    if (!d->before || sip_gives(&d->sip, SIP_CREDENTIALS))
        return;
    for (size_t i = 0; i < r->credential_count && i < d->before->credential_count; i++) {
        bool same = !strcmp(or_empty(digest_user(d->before, i)), or_empty(digest_user(r, i)));
        if (!same && credential_has_ha1(&r->credentials[i])) {
            add_attribute(errors, ATTRIBUTE_AUTH_USER, "cannot change while an HA1 of it is set");
            return;
        }
    }
}

static void check_model(const struct draft *d, const struct registration *r, struct errors *errors)
{
    static const struct {
        const char *field;
        enum attribute_index index;
    } fields[] = {
        {"domain", ATTRIBUTE_DOMAIN},       {"username", ATTRIBUTE_USERNAME},
        {"contacts", ATTRIBUTE_CONTACT},    {"display_username", ATTRIBUTE_DISPLAY_USERNAME},
        {"interface", ATTRIBUTE_INTERFACE}, {"credentials", ATTRIBUTE_AUTH_USER},
        {"route_set", ATTRIBUTE_ROUTE_SET}, {"expires", ATTRIBUTE_EXPIRE},
    };
    const char *field = "";
    struct error err;
    if (!registration_check(r, &field, &err))
        return;
    if (d->sip.members && sip_refuse(r, field, err.text, errors))
        return;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!strcmp(field, fields[i].field))
            add_attribute(errors, fields[i].index, MESSAGE_INVALID);
    if (!errors->count) // of what this dialect does not show
        errors_add_invalid(errors, POINTER_RECORD, "", MESSAGE_INVALID);
}

bool draft_to(const struct draft *d, struct registration *r, struct errors *errors)
{
    values_to(&d->values, d->new_password, r);
    if (d->sip.members) {
        sip_put(&d->sip, r);
        values_label(&d->values, r);
    }
    check_ha1_users(d, r, errors);
    if (!errors->count)
        check_model(d, r, errors);
    return errors->count == 0;
}
