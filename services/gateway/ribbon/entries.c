// See handlers.h: entries. What is stored of one is what was written last, through this dialect or, where a
// registration of it was changed through another, found there.
#include "services/gateway/ribbon/handlers.h"

#include "services/gateway/ribbon/changes.h"
#include "services/gateway/ribbon/envelope.h"

#include <stdio.h>

static void open_view(struct call *c, uint64_t entry)
{
    c->has_view = true;
    view_init(&c->view, &c->ribbon->params, call_account(c), c->id.table, entry);
    c->view.wants_values = !c->runtime && (c->details || !c->is_collection);
    c->view.wants_runtime = c->runtime;
}

static bool table_is_absent(const struct call *c)
{
    return !plan_table(&c->view.plan)->count;
}

static void add_removal(struct changes *ch, const struct call *c)
{
    char kind[KIND_BYTES];
    const struct row_id key = {.row = c->id.row};
    kind_of_resource(kind, c->resource, c->id.table);
    changes_remove(ch, kind, key);
    kind_of_marks(kind, c->id.table);
    changes_remove(ch, kind, key);
}

// ---- reads

static void answer_list(struct call *c)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    envelope_list_begin(c, &body);
    for (size_t i = 0; i < c->view.count; i++) {
        const struct view_entry *e = &c->view.entries[i];
        if (!e->is_gone)
            envelope_list_add(c, &body, e->id, &e->values, e->runtime, e->registrations);
    }
    envelope_list_end(c, &body);
    envelope_document(c, buf_str(&body));
}

static void on_removed(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    (void)rc; // whoever reads it next finds it gone again
    (void)err;
    envelope_absent(c);
}

// All that it had made was deleted through another dialect, and so it is.
static void remove_gone(struct call *c)
{
    struct changes ch cleanup(changes_done) = {.count = 0};
    add_removal(&ch, c);
    const struct store_object_change items[] = {
        {.kind = ch.items[0].kind, .key = str_of(ch.items[0].key), .json = STR_NONE},
        {.kind = ch.items[1].kind, .key = str_of(ch.items[1].key), .json = STR_NONE},
    };
    store_account_change(call_store(c), str_of(call_account(c)), c->view.version, items, ARRAY_LEN(items),
                         NULL, on_removed, c);
}

static void on_view(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    if (c->is_collection) {
        if (table_is_absent(c))
            envelope_table_absent(c);
        else
            answer_list(c);
        return;
    }
    const struct view_entry *e = view_find(&c->view, c->id.row);
    if (e)
        envelope_item(c, &e->values, e->runtime, e->registrations);
    else if (c->view.count)
        remove_gone(c);
    else
        envelope_absent(c);
}

void entries_read(struct call *c)
{
    open_view(c, c->is_collection ? 0 : c->id.row);
    view_run(&c->view, on_view, c);
}

// ---- writes

static void send(struct call *c)
{
    struct changes ch cleanup(changes_done) = {.count = 0};
    char kind[KIND_BYTES];
    const struct row_id key = {.row = c->id.row};
    enum http_method method = http_method(c->call.http);
    kind_of_resource(kind, c->resource, c->id.table);
    if (method != HTTP_POST)
        add_removal(&ch, c); // of the marks of a former entry, too
    if (method != HTTP_DELETE)
        changes_set(&ch, kind, key, &c->values);
    c->scope = (struct scope){.kind = SCOPE_ENTRY, .entry = c->id};
    changes_send(c, &ch, c->view.version);
}

// What is taken must be fit to be registered, since nobody hears of it later.
static unsigned check_fit(const struct call *c)
{
    struct registration r;
    if (fieldset_number(&c->values, ENTRY_AOR_TYPE) == AOR_NONE)
        return 0;
    if (derive_anywhere(c->ribbon->params.shared, &c->values, "SBC0000", &r, NULL))
        return APP_RANGE;
    registration_done(&r);
    return 0;
}

static void take_and_send(struct call *c)
{
    unsigned code = fieldset_take_form(&c->values, http_body(c->call.http));
    if (!code && http_method(c->call.http) == HTTP_PUT)
        code = fieldset_complete(&c->values, &c->ribbon->params.limits);
    if (!code)
        code = fieldset_check(&c->values);
    if (!code)
        code = check_fit(c);
    if (code)
        envelope_refused(c, code);
    else
        send(c);
}

static void on_counted(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    uint64_t limit = resource_max_count(c->resource, &c->ribbon->params.limits);
    char max[24];
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    if (reader_get(&c->reader, 0)->count >= limit) {
        (void)snprintf(max, sizeof(max), "%llu", (unsigned long long)limit);
        envelope_app(c, APP_TABLE_FULL, c->resource->name, max, NULL);
        return;
    }
    fieldset_init(&c->values, c->resource);
    c->has_values = true;
    take_and_send(c);
}

static void create(struct call *c)
{
    char kind[KIND_BYTES], id[ROW_ID_BYTES];
    if (table_is_absent(c)) {
        envelope_table_absent(c);
        return;
    }
    if (view_find(&c->view, c->id.row)) {
        envelope_app(c, APP_PRESENT, envelope_id_text(c->id, id).p, c->resource->name, NULL);
        return;
    }
    c->has_reader = true;
    reader_init(&c->reader, call_store(c), call_account(c));
    kind_of_resource(kind, c->resource, c->id.table);
    (void)reader_add(&c->reader, kind, 0);
    reader_run(&c->reader, on_counted, c);
}

static void on_write(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc) {
        envelope_failure(c, rc, err);
        return;
    }
    const struct view_entry *e = view_find(&c->view, c->id.row);
    if (http_method(c->call.http) == HTTP_PUT) {
        create(c);
    } else if (!e) {
        envelope_absent(c);
    } else if (http_method(c->call.http) == HTTP_DELETE) {
        send(c);
    } else {
        fieldset_copy(&c->values, &e->values);
        c->has_values = true;
        take_and_send(c);
    }
}

static void begin(struct call *c)
{
    open_view(c, c->id.row);
    view_run(&c->view, on_write, c);
}

void entries_write(struct call *c)
{
    ribbon_call_begin_write(c, begin);
}
