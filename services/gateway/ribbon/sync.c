// See sync.h. A table is planned once; its entries follow one after the other, and what they were newly
// registered at is marked together at the end. What is missing is made, and marks are written, under the
// version of the plan: if objects changed meanwhile, the slice begins again, which finds what is done already
// and does it not twice.
#include "services/gateway/ribbon/sync.h"

#include "common/base/mem.h"
#include "services/gateway/ribbon/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX     10000 // registrations of one entry: one for each server row
#define RESTARTS_MAX 20
#define JOB_ENTRIES  100
#define GONE_MARK    "gone:"

struct mark {
    char key[24];
    char *json;
};

struct sync {
    const struct ribbon_params *params;
    char *account, *actor, *traceparent;
    struct scope scope;
    unsigned budget, budget_left, restarts;
    sync_fn *fn;
    void *arg;

    struct row_id cursor; // table and entry after which the slice begins
    uint64_t skipped;     // SCOPE_GONE: registrations that have an entry again
    struct reader reader; // SCOPE_CREDENTIALS: which tables
    uint64_t *tables;     // of contacts, ascending
    size_t table_count, at;
    bool has_plan;
    struct plan plan;
    uint64_t entry; // the last one that was begun
    bool has_unit;
    struct unit unit;
    size_t items_done, sent;
    struct mark *marks; // to be written at the end of the table
    size_t mark_count;
};

static struct store *store_of(const struct sync *s)
{
    return s->params->shared->store;
}

static void unit_end(struct sync *s)
{
    if (s->has_unit)
        unit_done(&s->unit);
    s->has_unit = false;
}

static void forget_marks(struct sync *s)
{
    for (size_t i = 0; i < s->mark_count; i++)
        free(s->marks[i].json);
    free(s->marks);
    s->marks = NULL;
    s->mark_count = 0;
}

// Empty: none is left.
static void add_mark(struct sync *s, uint64_t entry, struct str servers)
{
    struct buf key cleanup(buf_done) = BUF_INIT, json = BUF_INIT;
    struct json_writer w = json_writer(&json);
    s->marks = mem_resize(s->marks, s->mark_count + 1, sizeof(*s->marks));
    struct mark *m = &s->marks[s->mark_count++];
    *m = (struct mark){.json = NULL};
    buf_add_u64(&key, entry);
    memcpy(m->key, key.p, key.n + 1);
    if (!servers.n)
        return;
    json_put_str(&w, servers);
    m->json = buf_steal(&json);
}

static void plan_end(struct sync *s)
{
    unit_end(s);
    forget_marks(s);
    if (s->has_plan)
        plan_done(&s->plan);
    s->has_plan = false;
}

static void finish(struct sync *s, int rc, bool more, const struct error *err)
{
    struct buf cursor cleanup(buf_done) = BUF_INIT;
    char id[ROW_ID_BYTES];
    if (more && s->scope.kind == SCOPE_GONE)
        buf_addf(&cursor, GONE_MARK "%llu", (unsigned long long)s->skipped);
    else if (more)
        buf_add_str(&cursor, row_id_text(s->cursor, id));
    plan_end(s);
    reader_done(&s->reader);
    free(s->tables);
    s->fn(s->arg, rc, buf_str(&cursor), err);
    free(s->account);
    free(s->actor);
    free(s->traceparent);
    free(s);
}

static void fail(struct sync *s, int rc, const struct error *err)
{
    struct error copy = *err; // may be of what is freed now
    finish(s, rc, false, &copy);
}

// ---- one table

static void drop_marks(struct sync *s);
static void next_entry(struct sync *s);
static void next_table(struct sync *s);
static void next_gone(struct sync *s);
static void begin_unit(struct sync *s);

static void on_plan(void *arg, int rc, const struct error *err)
{
    struct sync *s = arg;
    if (rc)
        fail(s, rc, err);
    else if (s->scope.kind == SCOPE_GONE)
        next_gone(s);
    else
        drop_marks(s);
}

static void begin_table(struct sync *s)
{
    plan_end(s);
    uint64_t table = s->tables[s->at];
    bool resumes = s->cursor.table == table;
    s->cursor = (struct row_id){table, resumes ? s->cursor.row : 0};
    s->entry = s->cursor.row;
    s->has_plan = true;
    plan_init(&s->plan, s->params, s->account, table, s->scope.kind == SCOPE_ENTRY ? s->scope.entry.row : 0);
    plan_run(&s->plan, true, on_plan, s);
}

// Objects or registrations changed under it.
static void begin_again(struct sync *s, int rc, const struct error *err)
{
    s->budget_left = s->budget;
    if (++s->restarts > RESTARTS_MAX)
        fail(s, rc, err);
    else
        begin_table(s);
}

static bool is_contention(int rc)
{
    return rc == -ESTALE || rc == -EEXIST || rc == -ENOENT;
}

static void on_marks(void *arg, int rc, const struct error *err)
{
    struct sync *s = arg;
    if (rc == -ESTALE) {
        begin_again(s, rc, err);
        return;
    }
    if (rc) {
        fail(s, rc, err);
        return;
    }
    forget_marks(s);
    s->cursor.row = s->entry;
    if (!s->budget_left) {
        finish(s, 0, true, NULL);
        return;
    }
    s->at++;
    next_table(s);
}

static void change_marks(struct sync *s, store_done_fn *fn)
{
    char kind[KIND_BYTES];
    kind_of_marks(kind, s->plan.table);
    struct store_object_change *changes = mem_array(s->mark_count, sizeof(*changes));
    for (size_t i = 0; i < s->mark_count; i++)
        changes[i] = (struct store_object_change){
            .kind = kind,
            .key = str_of(s->marks[i].key),
            .json = s->marks[i].json ? str_of(s->marks[i].json) : STR_NONE,
        };
    store_account_change(store_of(s), str_of(s->account), plan_version(&s->plan), changes, s->mark_count,
                         NULL, fn, s);
    free(changes);
}

// The table, or as much of it as the slice may do, is done.
static void write_marks(struct sync *s)
{
    if (s->mark_count)
        change_marks(s, on_marks);
    else
        on_marks(s, 0, NULL);
}

// The entry that follows, 0: none.
static uint64_t entry_after(const struct sync *s, uint64_t entry)
{
    const struct objects *entries = plan_entries(&s->plan);
    if (s->scope.kind == SCOPE_ENTRY) // also where it was deleted
        return entry < s->scope.entry.row ? s->scope.entry.row : 0;
    size_t low = 0, high = entries->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries->items[middle].id.row <= entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low < entries->count ? entries->items[low].id.row : 0;
}

static void next_entry(struct sync *s)
{
    uint64_t next = entry_after(s, s->entry);
    if (!next || !s->budget_left) {
        write_marks(s);
        return;
    }
    s->budget_left--;
    s->entry = next;
    begin_unit(s);
}

// ---- marks of server rows that are gone: all of the slice's at once, before any of its registrations is
// touched

static void on_objects_changed(void *arg, int rc, const struct error *err)
{
    struct sync *s = arg;
    if (rc && rc != -ESTALE)
        fail(s, rc, err);
    else if (rc)
        begin_again(s, rc, err);
    else
        begin_table(s); // the version is another now
}

static void drop_marks(struct sync *s)
{
    uint64_t entry = s->cursor.row;
    for (unsigned i = 0; i < s->budget_left && (entry = entry_after(s, entry)); i++) {
        struct buf kept cleanup(buf_done) = BUF_INIT;
        if (unit_drops_marks(&s->plan, entry, &kept))
            add_mark(s, entry, buf_str(&kept));
    }
    if (!s->mark_count) {
        next_entry(s);
        return;
    }
    change_marks(s, on_objects_changed);
}

// ---- one entry

static void unit_is_done(struct sync *s)
{
    unit_end(s);
    if (s->scope.kind == SCOPE_GONE)
        next_gone(s);
    else
        next_entry(s);
}

static void write_registrations(struct sync *s);

static void on_batch(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                     const struct error *err)
{
    struct sync *s = arg;
    (void)records;
    if (rc == -ESTALE && failed == s->sent) { // no item's fault: objects changed
        begin_again(s, rc, err);
        return;
    }
    if (is_contention(rc) && ++s->restarts <= RESTARTS_MAX) {
        unsigned taken = s->unit.taken + (rc == -EEXIST);
        unit_end(s);
        begin_unit(s); // its registrations anew; if objects changed too, the marks will tell
        s->unit.taken = taken;
        return;
    }
    if (rc) {
        fail(s, rc, err);
        return;
    }
    s->items_done += count;
    write_registrations(s);
}

static void write_registrations(struct sync *s)
{
    struct unit *u = &s->unit;
    size_t left = u->item_count - s->items_done;
    if (!left) {
        if (u->adds_marks)
            add_mark(s, u->entry, buf_str(&u->marks));
        unit_is_done(s);
        return;
    }
    // Another slice may have made and marked what is missing here, and it may have been deleted since: then
    // it is not made again.
    uint64_t version = plan_version(&s->plan);
    const struct store_write_context context = {.traceparent = str_of(s->traceparent),
                                                .actor = str_of(s->actor),
                                                .objects_version = u->adds_marks ? &version : NULL};
    s->sent = left < STORE_BATCH_MAX ? left : STORE_BATCH_MAX;
    store_batch(store_of(s), str_of(s->account), u->items + s->items_done, s->sent, NULL, 0, &context,
                on_batch, s);
}

// All that the entry had made is gone, and so is the entry.
static void remove_entry(struct sync *s)
{
    char kind[KIND_BYTES], marks_kind[KIND_BYTES];
    struct buf key cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&key, s->unit.entry);
    kind_of_marks(marks_kind, s->plan.table);
    kind_of_resource(kind, resource_of(STR_LIT("sipregistrantentry")), s->plan.table);
    const struct store_object_change changes[] = {
        {.kind = marks_kind, .key = buf_str(&key), .json = STR_NONE},
        {.kind = kind, .key = buf_str(&key), .json = STR_NONE},
    };
    store_account_change(store_of(s), str_of(s->account), plan_version(&s->plan), changes, ARRAY_LEN(changes),
                         NULL, on_objects_changed, s);
}

static void on_held(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct sync *s = arg;
    (void)total;
    if (rc) {
        fail(s, rc, err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        unit_hold(&s->unit, &records[i].reg);
    unit_decide(&s->unit, &s->plan);
    s->items_done = 0;
    if (s->unit.is_gone)
        remove_entry(s);
    else
        write_registrations(s);
}

static void begin_unit(struct sync *s)
{
    char id[ROW_ID_BYTES];
    s->has_unit = true;
    unit_init(&s->unit, s->entry);
    const struct row_id entry = {s->plan.table, s->entry};
    const struct store_term term = {"label." INDEX_ENTRY, row_id_text(entry, id)};
    const struct store_query q = {.account = str_of(s->account),
                                  .limit = HELD_MAX,
                                  .terms = &term,
                                  .term_count = 1,
                                  .without_total = true};
    store_page(store_of(s), &q, on_held, s);
}

// ---- what a deleted table left

static void on_gone(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct sync *s = arg;
    struct link link;
    (void)total;
    if (rc) {
        fail(s, rc, err);
        return;
    }
    if (!count) {
        write_marks(s);
        return;
    }
    bool stays = !link_read(records[0].reg.labels, &link) ||
                 object_find(plan_entries(&s->plan), (struct row_id){.row = link.entry.row});
    if (stays) { // the table is there again, and whoever made the entry sees to it
        s->skipped++;
        next_gone(s);
        return;
    }
    s->entry = link.entry.row;
    begin_unit(s);
}

static void next_gone(struct sync *s)
{
    struct buf table cleanup(buf_done) = BUF_INIT;
    if (!s->budget_left) {
        write_marks(s);
        return;
    }
    s->budget_left--;
    buf_add_u64(&table, s->plan.table);
    const struct store_term term = {"label." INDEX_TABLE, buf_str(&table)};
    const struct store_query q = {.account = str_of(s->account),
                                  .offset = s->skipped,
                                  .limit = 1,
                                  .terms = &term,
                                  .term_count = 1,
                                  .without_total = true};
    store_page(store_of(s), &q, on_gone, s);
}

// ---- which tables

static void next_table(struct sync *s)
{
    while (s->at < s->table_count && s->tables[s->at] < s->cursor.table)
        s->at++;
    if (s->at < s->table_count)
        begin_table(s);
    else
        finish(s, 0, false, NULL);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

// Ascending, each once.
static void set_tables(struct sync *s, uint64_t *take_tables, size_t count)
{
    s->tables = take_tables;
    s->table_count = 0;
    qsort(take_tables, count, sizeof(*take_tables), compare);
    for (size_t i = 0; i < count; i++)
        if (take_tables[i] && (!s->table_count || take_tables[s->table_count - 1] != take_tables[i]))
            take_tables[s->table_count++] = take_tables[i];
}

static void on_referrers(void *arg, int rc, const struct error *err)
{
    struct sync *s = arg;
    struct fieldset values;
    if (rc) {
        fail(s, rc, err);
        return;
    }
    const struct objects *rows = reader_get(&s->reader, 0);
    uint64_t *tables = mem_array(rows->count + 1, sizeof(*tables));
    for (size_t i = 0; i < rows->count; i++) {
        if (fieldset_read(str_of(rows->items[i].json), resource_of(STR_LIT("sipserver")), &values, NULL))
            continue;
        tables[i] = fieldset_number(&values, SERVER_CONTACT_TABLE);
        fieldset_done(&values);
    }
    set_tables(s, tables, rows->count);
    next_table(s);
}

// Which tables of contacts the server rows name that name the table of credentials.
static void read_referrers(struct sync *s)
{
    char kind[KIND_BYTES];
    kind_of_referrers(kind, &resource_of(STR_LIT("sipserver"))->fields[SERVER_AUTH_TABLE],
                      s->scope.tables[0]);
    (void)reader_add(&s->reader, kind, 0);
    reader_run(&s->reader, on_referrers, s);
}

static void read_cursor(struct sync *s, struct str cursor)
{
    if (str_starts(cursor, STR_LIT(GONE_MARK)) &&
        str_to_u64(str_slice(cursor, strlen(GONE_MARK), cursor.n), &s->skipped) == 0)
        return;
    if (!row_id_parse(cursor, &s->cursor))
        s->cursor = (struct row_id){.table = 0};
}

void sync_slice(const struct ribbon_params *params, struct str account, const struct scope *scope,
                struct str cursor, unsigned budget, const struct store_write_context *context, sync_fn *fn,
                void *arg)
{
    struct sync *s = mem_alloc(sizeof(*s));
    s->params = params;
    s->account = str_dup(account);
    s->actor = str_dup(context->actor);
    s->traceparent = str_dup(context->traceparent);
    s->scope = *scope;
    s->budget = s->budget_left = budget;
    s->fn = fn;
    s->arg = arg;
    reader_init(&s->reader, params->shared->store, s->account);
    read_cursor(s, cursor);
    if (scope->kind == SCOPE_ENTRY)
        scope_add_table(&s->scope, scope->entry.table);
    if (scope->kind == SCOPE_CREDENTIALS) {
        read_referrers(s);
        return;
    }
    uint64_t *tables = mem_array(s->scope.count + 1, sizeof(*tables));
    memcpy(tables, s->scope.tables, s->scope.count * sizeof(*tables));
    set_tables(s, tables, s->scope.count);
    next_table(s);
}

// ---- as a job

static void on_job_slice(void *arg, int rc, struct str cursor, const struct error *err)
{
    job_step_done(arg, rc, cursor.n ? cursor : STR_NONE, err);
}

void sync_job_step(void *arg, struct job_step *step)
{
    const struct ribbon_params *params = arg;
    const struct store_write_context context = {.actor = STR_LIT("ribbon")};
    struct scope scope;
    struct error err;
    int rc = scope_read(step->args, &scope, &err);
    if (rc)
        job_step_done(step, rc, STR_NONE, &err);
    else
        sync_slice(params, step->account, &scope, step->cursor, JOB_ENTRIES, &context, on_job_slice, step);
}
