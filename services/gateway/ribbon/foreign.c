// See handlers.h: registrations that other dialects made, as entries of a table of their own. Read through
// the store, not through objects: an entry is its registration.
#include "services/gateway/ribbon/handlers.h"

#include "common/base/clock.h"
#include "services/gateway/ribbon/envelope.h"

#include <errno.h>

static bool is_foreign(const void *arg, const struct store_record *record)
{
    struct link link;
    (void)arg;
    return !link_read(record->reg.labels, &link);
}

static void write_record(struct call *c, struct buf *out, const struct store_record *record)
{
    struct fieldset v;
    struct runtime runtime;
    derive_entry(&record->reg, &v);
    runtime_of(&runtime, record, NULL, clock_wall_ms());
    envelope_list_add(c, out, record->reg.id, &v, &runtime, 1);
    runtime_done(&runtime);
    fieldset_done(&v);
}

// ---- the collection, streamed: it may be a million

static void on_ready(void *arg)
{
    struct call *c = arg;
    store_walk_next(c->walk);
}

static void on_gone(void *arg)
{
    ribbon_call_free(arg);
}

static void begin_stream(struct call *c)
{
    static const struct http_stream_fns fns = {.on_ready = on_ready, .on_gone = on_gone};
    envelope_headers(c);
    http_stream_begin(c->call.http, 200, &fns, c);
    c->is_streaming = true;
    envelope_list_begin(c, &c->slice);
}

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct call *c = arg;
    (void)total;
    if (rc && !c->is_streaming) {
        envelope_failure(c, rc, err);
        return;
    }
    if (!c->is_streaming)
        begin_stream(c);
    for (size_t i = 0; i < count; i++)
        write_record(c, &c->slice, &records[i]);
    if (!rc && !count)
        envelope_list_end(c, &c->slice); // else cut short, so that nobody takes it for whole
    bool wants_more = http_stream_write(c->call.http, buf_str(&c->slice));
    buf_clear(&c->slice);
    if (rc || !count) {
        http_stream_end(c->call.http);
        ribbon_call_free(c);
    } else if (wants_more) {
        store_walk_next(c->walk);
    }
}

static void read_collection(struct call *c)
{
    const struct store_query q = {.account = str_of(call_account(c)), .keep = is_foreign};
    c->walk = store_walk_begin(call_store(c), &q, on_slice, c);
}

// ---- one

static void answer_record(struct call *c, const struct store_record *record)
{
    struct fieldset v;
    struct runtime runtime;
    derive_entry(&record->reg, &v);
    runtime_of(&runtime, record, NULL, clock_wall_ms());
    c->has_values = true;
    c->values = v;
    struct call *last = c; // freed by its answer, with the values
    envelope_item(last, &last->values, &runtime, 1);
    runtime_done(&runtime);
}

static void on_record(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc && rc != -ENOENT)
        envelope_failure(c, rc, err);
    else if (rc || !is_foreign(NULL, record))
        envelope_absent(c);
    else
        answer_record(c, record);
}

// The table itself, which is made of nothing.
static void answer_table(struct call *c)
{
    fieldset_init(&c->values, c->resource);
    c->has_values = true;
    fieldset_set(&c->values, TABLE_DESCRIPTION, STR_LIT("Registrations of other interfaces"));
    envelope_item(c, &c->values, NULL, 0);
}

void foreign_read(struct call *c)
{
    if (!c->resource->parent)
        answer_table(c);
    else if (c->is_collection)
        read_collection(c);
    else
        store_get(call_store(c), str_of(call_account(c)), c->id.row, on_record, c);
}

// ---- writes

static void begin(struct call *c);

static void on_written(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc == -ESTALE)
        ribbon_call_write_again(c);
    else if (rc)
        envelope_failure(c, rc, err);
    else if (record)
        on_record(c, 0, record, NULL);
    else
        envelope_done(c);
}

static void update(struct call *c, const struct store_record *record)
{
    struct fieldset before cleanup(fieldset_done), entry cleanup(fieldset_done);
    struct registration after;
    derive_entry(&record->reg, &before);
    fieldset_copy(&entry, &before);
    unsigned code = fieldset_take_form(&entry, http_body(c->call.http));
    code = code ? code : fieldset_check(&entry);
    if (code) {
        envelope_refused(c, code);
        return;
    }
    registration_copy(&after, &record->reg);
    if (derive_foreign(&after, c->ribbon->params.shared, &before, &entry, NULL)) {
        registration_done(&after);
        envelope_refused(c, APP_RANGE);
        return;
    }
    const struct store_write_context context = dialect_write_context(&c->call);
    store_update(call_store(c), &record->reg, &after, &context, on_written, c);
    registration_done(&after);
}

static void on_found(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc && rc != -ENOENT) {
        envelope_failure(c, rc, err);
    } else if (rc || !is_foreign(NULL, record)) {
        envelope_absent(c);
    } else if (http_method(c->call.http) == HTTP_POST) {
        update(c, record);
    } else {
        const struct store_write_context context = dialect_write_context(&c->call);
        store_delete(call_store(c), str_of(call_account(c)), c->id.row, record->reg.revision, &context,
                     on_written, c);
    }
}

static void begin(struct call *c)
{
    store_get(call_store(c), str_of(call_account(c)), c->id.row, on_found, c);
}

void foreign_write(struct call *c)
{
    if (!c->resource->parent || http_method(c->call.http) == HTTP_PUT)
        envelope_app(c, APP_METHOD, NULL);
    else
        ribbon_call_begin_write(c, begin);
}
