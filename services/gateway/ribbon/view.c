// See view.h.
#include "services/gateway/ribbon/view.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"

#include <stdlib.h>

#define HELD_MAX     10000
#define ATTEMPTS_MAX 5

void view_init(struct view *v, const struct ribbon_params *params, const char *account, uint64_t table,
               uint64_t entry)
{
    *v = (struct view){.count = 0};
    plan_init(&v->plan, params, account, table, entry);
}

static void forget(struct view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        fieldset_done(&v->entries[i].values);
        for (size_t k = 0; v->entries[i].runtime && k < v->entries[i].registrations; k++)
            runtime_done(&v->entries[i].runtime[k]);
        free(v->entries[i].runtime);
    }
    free(v->entries);
    v->entries = NULL;
    v->count = 0;
    store_walk_end(v->walk);
    v->walk = NULL;
}

void view_done(struct view *v)
{
    forget(v);
    plan_done(&v->plan);
}

static void read_entries(struct view *v)
{
    const struct objects *objects = plan_entries(&v->plan);
    struct error err;
    v->entries = mem_array(objects->count + 1, sizeof(*v->entries));
    for (size_t i = 0; i < objects->count; i++) {
        struct view_entry *e = &v->entries[v->count];
        e->id = objects->items[i].id.row;
        if (fieldset_read(str_of(objects->items[i].json), resource_of(STR_LIT("sipregistrantentry")),
                          &e->values, &err))
            log_line(LOG_ERROR, "ribbon", 0, "%s: %s", v->plan.account, err.text);
        else
            v->count++;
    }
}

static int compare(const void *key, const void *item)
{
    const uint64_t *id = key;
    const struct view_entry *e = item;
    return *id < e->id ? -1 : *id > e->id;
}

static struct view_entry *find(const struct view *v, uint64_t entry)
{
    return v->count ? bsearch(&entry, v->entries, v->count, sizeof(*v->entries), compare) : NULL;
}

const struct view_entry *view_find(const struct view *v, uint64_t entry)
{
    const struct view_entry *e = find(v, entry);
    return e && !e->is_gone ? e : NULL;
}

// ---- registrations

// What is stored comes first, then one overlay: that of the lowest server row.
static void overlay(struct view *v, struct view_entry *e, const struct link *l, const struct registration *r)
{
    struct registration derived;
    struct made made;
    size_t server = plan_server(&v->plan, l->server);
    const struct object *stored = object_find(plan_entries(&v->plan), (struct row_id){.row = e->id});
    if (server == v->plan.server_count || (e->first.table && row_id_compare(e->first, l->server) < 0))
        return;
    fieldset_done(&e->values);
    if (fieldset_read(str_of(stored->json), resource_of(STR_LIT("sipregistrantentry")), &e->values, NULL))
        fieldset_init(&e->values,
                      resource_of(STR_LIT("sipregistrantentry"))); // not reached: it was read once
    e->first = l->server;
    if (fieldset_number(&e->values, ENTRY_AOR_TYPE) == AOR_NONE ||
        plan_derive(&v->plan, e->id, &e->values, server, l->prefix, &derived, &made, NULL))
        return;
    derive_overlay(&e->values, r, &l->made, &derived, &made);
    registration_done(&derived);
}

static void add_runtime(struct view_entry *e, const struct store_record *record, const struct link *l)
{
    size_t at = e->registrations - 1;
    e->runtime = mem_resize(e->runtime, e->registrations, sizeof(*e->runtime));
    while (at && row_id_compare(e->runtime[at - 1].server, l->server) > 0) {
        e->runtime[at] = e->runtime[at - 1];
        at--;
    }
    runtime_of(&e->runtime[at], record, &l->server, clock_wall_ms());
}

static void take(struct view *v, const struct store_record *record)
{
    struct link l;
    struct view_entry *e = link_read(record->reg.labels, &l) ? find(v, l.entry.row) : NULL;
    if (!e || l.entry.table != v->plan.table)
        return;
    e->registrations++;
    if (v->wants_values)
        overlay(v, e, &l, &record->reg);
    if (v->wants_runtime)
        add_runtime(e, record, &l);
}

static bool find_gone(struct view *v)
{
    bool any = false;
    for (size_t i = 0; i < v->count; i++) {
        struct view_entry *e = &v->entries[i];
        if (e->registrations || fieldset_number(&e->values, ENTRY_AOR_TYPE) == AOR_NONE)
            continue;
        char *marks = plan_marks(&v->plan, e->id);
        struct str rest = str_of(marks), one;
        struct row_id id;
        while (!e->is_gone && str_split(&rest, ',', &one))
            e->is_gone = row_id_parse(one, &id) && plan_server(&v->plan, id) < v->plan.server_count;
        any = any || e->is_gone;
        free(marks);
    }
    return any;
}

static void end(struct view *v, int rc, const struct error *err)
{
    v->attempts = 0;
    v->fn(v->arg, rc, err);
}

static void on_plan(void *arg, int rc, const struct error *err);

// Who brings registrations in step takes marks away before it takes a registration away: where objects are
// what they were, those that are gone were deleted by somebody else.
static void on_verified(void *arg, int rc, const struct error *err)
{
    struct view *v = arg;
    if (rc || plan_version(&v->plan) == v->version || ++v->attempts >= ATTEMPTS_MAX) {
        end(v, rc, err);
        return;
    }
    forget(v);
    plan_run(&v->plan, false, on_plan, v);
}

static void finish(struct view *v, int rc, const struct error *err)
{
    store_walk_end(v->walk);
    v->walk = NULL;
    if (!rc && find_gone(v))
        reader_run(&v->plan.reader, on_verified, v);
    else
        end(v, rc, err);
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct view *v = arg;
    (void)total;
    for (size_t i = 0; i < count; i++)
        take(v, &records[i]);
    finish(v, rc, err);
}

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct view *v = arg;
    (void)total;
    for (size_t i = 0; i < count; i++)
        take(v, &records[i]);
    if (rc || !count)
        finish(v, rc, err);
    else
        store_walk_next(v->walk);
}

static void read_registrations(struct view *v)
{
    char text[ROW_ID_BYTES];
    struct store *store = v->plan.params->shared->store;
    bool one = v->plan.entry != 0;
    struct str id = row_id_text((struct row_id){v->plan.table, v->plan.entry}, text);
    const struct store_term term = {one ? "label." INDEX_ENTRY : "label." INDEX_TABLE,
                                    one ? id : str_slice(id, 0, str_find(id, ':', 0))};
    const struct store_query q = {.account = str_of(v->plan.account),
                                  .limit = HELD_MAX,
                                  .terms = &term,
                                  .term_count = 1,
                                  .without_total = true};
    if (one)
        store_page(store, &q, on_page, v);
    else
        v->walk = store_walk_begin(store, &q, on_slice, v);
}

static void on_plan(void *arg, int rc, const struct error *err)
{
    struct view *v = arg;
    if (rc) {
        end(v, rc, err);
        return;
    }
    v->version = plan_version(&v->plan);
    read_entries(v);
    if (v->count && v->plan.server_count)
        read_registrations(v);
    else
        end(v, 0, NULL);
}

void view_run(struct view *v, reader_fn *fn, void *arg)
{
    forget(v);
    v->fn = fn;
    v->arg = arg;
    plan_run(&v->plan, false, on_plan, v);
}
