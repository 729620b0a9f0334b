// See fieldset.h.
#include "services/gateway/ribbon/fieldset.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/form.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fieldset_init(struct fieldset *v, const struct resource *r)
{
    *v = (struct fieldset){.resource = r};
}

static void drop(struct fieldset *v, size_t field)
{
    if (v->clear[field] && v->text[field])
        mem_wipe(v->text[field], strlen(v->text[field]));
    mem_free_cstr(&v->text[field]);
    v->clear[field] = false;
}

void fieldset_done(struct fieldset *v)
{
    for (size_t i = 0; i < RESOURCE_FIELDS_MAX; i++)
        drop(v, i);
    for (size_t i = 0; i < CONTACT_SLOTS; i++)
        mem_free_cstr(&v->contact[i]);
    mem_free_cstr(&v->mark);
}

void fieldset_copy(struct fieldset *to, const struct fieldset *from)
{
    *to = *from;
    for (size_t i = 0; i < RESOURCE_FIELDS_MAX; i++)
        to->text[i] = mem_dup_cstr(from->text[i]);
    for (size_t i = 0; i < CONTACT_SLOTS; i++)
        to->contact[i] = mem_dup_cstr(from->contact[i]);
    to->mark = mem_dup_cstr(from->mark);
}

void fieldset_set(struct fieldset *v, size_t field, struct str text)
{
    char *copy = text.p ? str_dup(text) : NULL;
    drop(v, field);
    v->text[field] = copy;
}

void fieldset_set_number(struct fieldset *v, size_t field, uint64_t number)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&text, number);
    fieldset_set(v, field, buf_str(&text));
}

struct str fieldset_text(const struct fieldset *v, size_t field)
{
    return str_of(v->text[field] ? v->text[field] : v->resource->fields[field].otherwise);
}

uint64_t fieldset_number(const struct fieldset *v, size_t field)
{
    uint64_t number;
    return str_to_u64(fieldset_text(v, field), &number) ? 0 : number;
}

bool fieldset_flag(const struct fieldset *v, size_t field)
{
    return fieldset_number(v, field) != 0;
}

// ---- as it is stored

static const char *const contact_names[CONTACT_SLOTS] = {"contact1", "contact2", "contact3", "contact4",
                                                         "contact5", "contact6", "contact7", "contact8"};

void fieldset_write(struct buf *out, const struct fieldset *v)
{
    struct json_writer w = json_writer(out);
    json_begin_object(&w);
    for (size_t i = 0; i < v->resource->field_count; i++)
        if (v->text[i])
            json_kv_cstr(&w, v->resource->fields[i].name, v->text[i]);
    for (size_t i = 0; i < CONTACT_SLOTS; i++)
        if (v->contact[i])
            json_kv_cstr(&w, contact_names[i], v->contact[i]);
    if (v->mark)
        json_kv_cstr(&w, "mark", v->mark);
    json_end_object(&w);
}

static void read_member(struct fieldset *v, struct str name, const struct json *value)
{
    size_t field = field_index(v->resource, name);
    if (!json_is(value, JSON_STRING))
        return;
    if (field < v->resource->field_count)
        fieldset_set(v, field, json_str(value));
    for (size_t i = 0; i < CONTACT_SLOTS; i++) {
        if (!str_eq_cstr(name, contact_names[i]))
            continue;
        free(v->contact[i]);
        v->contact[i] = str_dup(json_str(value));
    }
    if (str_eq_cstr(name, "mark")) {
        free(v->mark);
        v->mark = str_dup(json_str(value));
    }
}

int fieldset_read(struct str text, const struct resource *r, struct fieldset *ret, struct error *err)
{
    struct json *root cleanup(json_free_ptr) = NULL;
    int rc = json_parse(text, &JSON_LIMITS_DEFAULT, &root, err);
    if (rc || !json_is(root, JSON_OBJECT))
        return error_set(err, -EINVAL, "what Redis holds of a %s is damaged", r->name);
    fieldset_init(ret, r);
    for (size_t i = 0; i < json_count(root); i++)
        read_member(ret, json_key_at(root, i), json_at(root, i));
    return 0;
}

// ---- as it is written by clients

// Whether the field is the URI of a contact's slot.
static bool is_slot(const struct fieldset *v, size_t field, size_t *ret_slot)
{
    *ret_slot = field >= ENTRY_SLOTS ? (field - ENTRY_SLOTS) / 3 : 0;
    return str_eq_cstr(str_of(v->resource->name), "sipregistrantentry") && field >= ENTRY_SLOTS &&
           field == ENTRY_URI(*ret_slot);
}

static unsigned take(struct fieldset *v, size_t field, struct str value)
{
    const struct field *f = &v->resource->fields[field];
    size_t slot;
    bool is_mask = f->kind == FIELD_SECRET && str_eq_cstr(value, SECRET_MASK);
    if (is_mask)
        return v->text[field] ? 0 : APP_RANGE; // there is none that could stay
    if (f->kind != FIELD_SECRET && v->text[field] && str_eq(value, fieldset_text(v, field)))
        return 0; // what was read may be written back, also what another dialect's rules let through
    unsigned code = field_check(f, value);
    if (code)
        return code;
    if (is_slot(v, field, &slot))
        mem_free_cstr(&v->contact[slot]);
    fieldset_set(v, field, value);
    v->clear[field] = f->kind == FIELD_SECRET;
    return 0;
}

static void wipe(struct buf *b)
{
    mem_wipe(b->p, b->n);
    buf_done(b);
}

unsigned fieldset_take_form(struct fieldset *v, struct str form)
{
    struct buf name cleanup(buf_done) = BUF_INIT, value cleanup(wipe) = BUF_INIT;
    while (form_next(&form, &name, &value)) {
        size_t field = field_index(v->resource, buf_str(&name));
        if (field == v->resource->field_count)
            continue;
        unsigned code = take(v, field, buf_str(&value));
        if (code)
            return code;
    }
    return 0;
}

unsigned fieldset_complete(struct fieldset *v, const struct limits *l)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    for (size_t i = 0; i < v->resource->field_count; i++) {
        const struct field *f = &v->resource->fields[i];
        if (v->text[i])
            continue;
        if (f->required)
            return APP_MISSING;
        if (f->from == DEFAULT_FIXED)
            continue;
        buf_clear(&text);
        field_default(f, l, &text);
        fieldset_set(v, i, buf_str(&text));
    }
    return 0;
}

static unsigned check_entry(const struct fieldset *v)
{
    enum aor_type type = (enum aor_type)fieldset_number(v, ENTRY_AOR_TYPE);
    return aor_fits(fieldset_text(v, ENTRY_AOR), type) ? 0 : APP_RANGE;
}

static unsigned check_server(const struct fieldset *v)
{
    size_t address = fieldset_flag(v, SERVER_LOOKUP) ? SERVER_DOMAIN : SERVER_HOST;
    return fieldset_text(v, address).n ? 0 : APP_MISSING;
}

static unsigned check_auth(const struct fieldset *v)
{
    return fieldset_flag(v, AUTH_MATCH) && !fieldset_text(v, AUTH_REGEX).n ? APP_MISSING : 0;
}

unsigned fieldset_check(const struct fieldset *v)
{
    static const struct {
        const char *resource;
        unsigned (*check)(const struct fieldset *v);
    } rules[] = {
        {"sipregistrantentry", check_entry}, {"sipserver", check_server}, {"sipremoteauthentry", check_auth}};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (strcmp(rules[i].resource, v->resource->name) == 0)
            return rules[i].check(v);
    return 0;
}
