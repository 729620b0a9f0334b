// See handlers.h: tables, server rows and credentials.
#include "services/gateway/ribbon/handlers.h"

#include "common/log/log.h"
#include "services/gateway/ribbon/changes.h"
#include "services/gateway/ribbon/envelope.h"
#include "services/gateway/ribbon/secrets.h"

#include <stdio.h>
#include <string.h>

// What is read for a call, in this order.
enum { ITEM_OWN, ITEM_OTHER, ITEM_CONTACTS, ITEM_CREDENTIALS };
#define NO_KEY UINT64_MAX // of a table that nobody can make

static bool is(const struct call *c, const char *resource)
{
    return strcmp(c->resource->name, resource) == 0;
}

static void open_reader(struct call *c, uint64_t key)
{
    char kind[KIND_BYTES];
    c->has_reader = true;
    reader_init(&c->reader, call_store(c), call_account(c));
    kind_of_resource(kind, c->resource, c->id.table);
    (void)reader_add(&c->reader, kind, key);
}

static void add_parent(struct call *c)
{
    char kind[KIND_BYTES];
    kind_of_resource(kind, resource_of(str_of(c->resource->parent)), 0);
    (void)reader_add(&c->reader, kind, c->id.table);
}

static const struct object *own(const struct call *c)
{
    return object_find(reader_get(&c->reader, ITEM_OWN), (struct row_id){.row = c->id.row});
}

static bool parent_is_absent(const struct call *c)
{
    return c->resource->parent && !reader_get(&c->reader, ITEM_OTHER)->count;
}

// ---- reads

static void answer_list(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    const struct objects *o = reader_get(&c->reader, ITEM_OWN);
    struct error err;
    envelope_list_begin(c, &body);
    for (size_t i = 0; i < o->count; i++) {
        struct fieldset v;
        if (fieldset_read(str_of(o->items[i].json), c->resource, &v, &err)) {
            log_line(LOG_ERROR, "ribbon", 0, "%s: %s", call_account(c), err.text);
            continue;
        }
        envelope_list_add(c, &body, o->items[i].id.row, &v, NULL, 0);
        fieldset_done(&v);
    }
    envelope_list_end(c, &body);
    envelope_document(c, buf_str(&body));
}

static void on_read(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    struct error why;
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    if (c->is_collection) {
        if (parent_is_absent(c))
            envelope_table_absent(c);
        else
            answer_list(c);
        return;
    }
    if (!own(c)) {
        envelope_absent(c);
        return;
    }
    rc = fieldset_read(str_of(own(c)->json), c->resource, &c->values, &why);
    c->has_values = !rc;
    if (rc)
        envelope_failure(c, rc, &why);
    else
        envelope_item(c, &c->values, NULL, 0);
}

void tables_read(struct call *c)
{
    open_reader(c, c->is_collection ? 0 : c->id.row);
    if (c->resource->parent)
        add_parent(c);
    reader_run(&c->reader, on_read, c);
}

// ---- creates and changes

static bool create(struct call *c)
{
    char max[24];
    const struct limits *l = &c->ribbon->params.limits;
    uint64_t limit = resource_max_count(c->resource, l);
    char id[ROW_ID_BYTES];
    if (own(c)) {
        envelope_app(c, APP_PRESENT, envelope_id_text(c->id, id).p, c->resource->name, NULL);
        return false;
    }
    if (reader_get(&c->reader, ITEM_OWN)->count >= limit) {
        (void)snprintf(max, sizeof(max), "%llu", (unsigned long long)limit);
        envelope_app(c, APP_TABLE_FULL, c->resource->name, max, NULL);
        return false;
    }
    fieldset_init(&c->values, c->resource);
    c->has_values = true;
    return true;
}

static bool load(struct call *c)
{
    struct error err;
    if (!own(c)) {
        envelope_absent(c);
        return false;
    }
    int rc = fieldset_read(str_of(own(c)->json), c->resource, &c->before, &err);
    if (rc) {
        envelope_failure(c, rc, &err);
        return false;
    }
    fieldset_copy(&c->values, &c->before);
    c->has_before = c->has_values = true;
    return true;
}

static unsigned take_form(struct call *c)
{
    unsigned code = fieldset_take_form(&c->values, http_body(c->call.http));
    if (!code && http_method(c->call.http) == HTTP_PUT)
        code = fieldset_complete(&c->values, &c->ribbon->params.limits);
    return code ? code : fieldset_check(&c->values);
}

static bool refer_to_something(struct call *c)
{
    static const struct {
        size_t field, item;
    } rows[] = {{SERVER_CONTACT_TABLE, ITEM_CONTACTS}, {SERVER_AUTH_TABLE, ITEM_CREDENTIALS}};
    char id[ROW_ID_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t table = fieldset_number(&c->values, rows[i].field);
        bool held = c->has_before && fieldset_number(&c->before, rows[i].field) == table;
        if (!table || held || reader_get(&c->reader, rows[i].item)->count)
            continue;
        envelope_app(c, APP_REFERENCE, c->resource->name, envelope_id_text(c->id, id).p,
                     c->resource->fields[rows[i].field].name, fieldset_text(&c->values, rows[i].field).p,
                     NULL);
        return false;
    }
    return true;
}

// Rows that name a host and rows that name a domain are not mixed in one table.
static bool is_of_one_kind(struct call *c)
{
    const struct objects *o = reader_get(&c->reader, ITEM_OWN);
    char table[ROW_ID_BYTES];
    bool one_kind = true;
    for (size_t i = 0; one_kind && i < o->count; i++) {
        struct fieldset v;
        if (o->items[i].id.row == c->id.row || fieldset_read(str_of(o->items[i].json), c->resource, &v, NULL))
            continue;
        one_kind = fieldset_flag(&v, SERVER_LOOKUP) == fieldset_flag(&c->values, SERVER_LOOKUP);
        fieldset_done(&v);
    }
    if (!one_kind)
        envelope_app(c, APP_SERVER_KINDS, envelope_id_text((struct row_id){.row = c->id.table}, table).p,
                     NULL);
    return one_kind;
}

static void set_scope(struct call *c)
{
    bool of_credentials = is(c, "sipremoteauthtable") || is(c, "sipremoteauthentry");
    if (is(c, "sipserver")) {
        c->scope.kind = SCOPE_TABLES;
        scope_add_table(&c->scope, c->has_before ? fieldset_number(&c->before, SERVER_CONTACT_TABLE) : 0);
        scope_add_table(&c->scope, c->has_values ? fieldset_number(&c->values, SERVER_CONTACT_TABLE) : 0);
    } else if (of_credentials) {
        c->scope.kind = SCOPE_CREDENTIALS;
        scope_add_table(&c->scope, c->resource->parent ? c->id.table : c->id.row);
    }
    if (!c->scope.count)
        c->scope.kind = SCOPE_NONE;
}

static void hide_password(struct call *c)
{
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(c->ribbon->params.keys);
    secrets_hide(ring, call_account(c), c->id, c->has_before ? &c->before : NULL, &c->values);
}

static void change(struct call *c)
{
    struct changes ch cleanup(changes_done) = {.count = 0};
    char kind[KIND_BYTES];
    unsigned code = take_form(c);
    if (code) {
        envelope_refused(c, code);
        return;
    }
    if (is(c, "sipserver") && (!refer_to_something(c) || !is_of_one_kind(c)))
        return;
    if (is(c, "sipremoteauthentry"))
        hide_password(c);
    kind_of_resource(kind, c->resource, c->id.table);
    changes_set(&ch, kind, (struct row_id){.row = c->id.row}, &c->values);
    if (is(c, "sipserver"))
        changes_refer(&ch, c->id, c->has_before ? &c->before : NULL, &c->values);
    set_scope(c);
    changes_send(c, &ch, c->reader.version);
}

// ---- removals

// A table that a server row names stays.
static bool is_in_use(struct call *c)
{
    const struct resource *servers = resource_of(STR_LIT("sipserver"));
    const struct objects *referrers = reader_get(&c->reader, ITEM_OTHER);
    char id[ROW_ID_BYTES], server[ROW_ID_BYTES];
    for (size_t i = 0; i < servers->field_count; i++) {
        const struct field *f = &servers->fields[i];
        if (!f->refers_to || strcmp(f->refers_to, c->resource->name) != 0 || !referrers->count)
            continue;
        envelope_app(c, f->protects, envelope_id_text(c->id, id).p,
                     envelope_id_text(referrers->items[0].id, server).p, NULL);
        return true;
    }
    return false;
}

// The rows go with their table, and with server rows what is known of whom they name.
static void remove_rows(struct call *c, struct changes *ch)
{
    char kind[KIND_BYTES];
    const struct resource *rows = resource_of(str_of(c->resource->child));
    kind_of_resource(kind, rows, c->id.row);
    changes_remove(ch, kind, (struct row_id){.row = 0});
    if (is(c, "sipcontactregistrant")) {
        kind_of_marks(kind, c->id.row);
        changes_remove(ch, kind, (struct row_id){.row = 0});
        c->scope.kind = SCOPE_GONE;
        scope_add_table(&c->scope, c->id.row);
    }
    if (!is(c, "sipservertable"))
        return;
    const struct objects *o = reader_get(&c->reader, ITEM_OTHER);
    c->scope.kind = SCOPE_TABLES;
    for (size_t i = 0; i < o->count; i++) {
        struct fieldset v;
        if (fieldset_read(str_of(o->items[i].json), rows, &v, NULL))
            continue;
        changes_refer(ch, (struct row_id){c->id.row, o->items[i].id.row}, &v, NULL);
        scope_add_table(&c->scope, fieldset_number(&v, SERVER_CONTACT_TABLE));
        fieldset_done(&v);
    }
    if (!c->scope.count)
        c->scope.kind = SCOPE_NONE;
}

static void remove_object(struct call *c)
{
    struct changes ch cleanup(changes_done) = {.count = 0};
    char kind[KIND_BYTES];
    if (!load(c) || (!c->resource->parent && !is(c, "sipservertable") && is_in_use(c)))
        return;
    fieldset_done(&c->values);
    c->has_values = false;
    kind_of_resource(kind, c->resource, c->id.table);
    changes_remove(&ch, kind, (struct row_id){.row = c->id.row});
    if (c->resource->child)
        remove_rows(c, &ch);
    else
        set_scope(c);
    if (is(c, "sipserver"))
        changes_refer(&ch, c->id, &c->before, NULL);
    changes_send(c, &ch, c->reader.version);
}

// ---- what a write reads first

static void on_write(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    enum http_method method = http_method(c->call.http);
    if (rc)
        envelope_failure(c, rc, err);
    else if (method == HTTP_DELETE)
        remove_object(c);
    else if (method == HTTP_PUT && parent_is_absent(c))
        envelope_table_absent(c);
    else if (method == HTTP_PUT ? create(c) : load(c))
        change(c);
}

// The table that the form names in a field, NO_KEY where it names none.
static uint64_t named_table(const struct call *c, const char *field)
{
    struct buf name cleanup(buf_done) = BUF_INIT, value cleanup(buf_done) = BUF_INIT;
    struct str form = http_body(c->call.http);
    uint64_t table = NO_KEY, number;
    while (form_next(&form, &name, &value))
        if (str_eq_cstr(buf_str(&name), field))
            table = str_to_u64(buf_str(&value), &number) || !number ? NO_KEY : number;
    return table;
}

static void add_referred(struct call *c)
{
    static const size_t references[] = {SERVER_CONTACT_TABLE, SERVER_AUTH_TABLE};
    char kind[KIND_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        const struct field *f = &c->resource->fields[references[i]];
        kind_of_resource(kind, resource_of(str_of(f->refers_to)), 0);
        (void)reader_add(&c->reader, kind, named_table(c, f->name));
    }
}

static void add_of_table(struct call *c)
{
    char kind[KIND_BYTES];
    const struct resource *servers = resource_of(STR_LIT("sipserver"));
    size_t field = is(c, "sipcontactregistrant") ? SERVER_CONTACT_TABLE : SERVER_AUTH_TABLE;
    if (is(c, "sipservertable"))
        kind_of_resource(kind, servers, c->id.row);
    else
        kind_of_referrers(kind, &servers->fields[field], c->id.row);
    (void)reader_add(&c->reader, kind, 0);
}

static void begin(struct call *c)
{
    open_reader(c, 0);
    if (c->resource->parent)
        add_parent(c);
    else
        add_of_table(c);
    if (is(c, "sipserver"))
        add_referred(c);
    reader_run(&c->reader, on_write, c);
}

void tables_write(struct call *c)
{
    ribbon_call_begin_write(c, begin);
}
