// Passwords of sipremoteauthentry under the key that seals now: this dialect's part of services/gateway/jobs'
// re-sealing. Registrations that follow from the rows do not change by it, so no job follows.
#include "services/gateway/jobs/reseal.h"

#include "common/base/mem.h"
#include "services/gateway/ribbon/changes.h"
#include "services/gateway/ribbon/secrets.h"

#include <stdlib.h>

#define ROWS_MAX 200 // in one step

struct reseal_rows {
    char *account;
    struct key_ring *ring;
    struct reader reader; // the tables; then the rows of each
    uint64_t *tables;
    size_t table_count;
    struct store *store;
    bool more;
    reseal_part_fn *done;
    void *done_arg;
};

static void end(struct reseal_rows *s, int rc, const struct error *err)
{
    struct error why = err ? *err : (struct error){0};
    reseal_part_fn *done = s->done;
    void *arg = s->done_arg;
    bool more = s->more;
    reader_done(&s->reader);
    key_ring_free(s->ring);
    free(s->account);
    free(s->tables);
    free(s);
    done(arg, rc, more, rc ? &why : NULL);
}

static void on_changed(void *arg, int rc, const struct error *err)
{
    end(arg, rc, err);
}

static void add_row(struct changes *to, const struct reseal_rows *s, uint64_t table, const struct object *o,
                    struct error *first)
{
    struct fieldset v;
    struct error err;
    char kind[KIND_BYTES];
    const struct row_id id = {.table = table, .row = o->id.row};
    int rc = fieldset_read(str_of(o->json), resource_of(STR_LIT("sipremoteauthentry")), &v, &err);
    if (!rc) {
        rc = secrets_hide_anew(s->ring, s->account, id, &v, &err);
        kind_of_resource(kind, v.resource, table);
        if (rc == 1)
            changes_set(to, kind, (struct row_id){.row = o->id.row}, &v);
        fieldset_done(&v);
    }
    if (rc >= 0 || first->code)
        return;
    *first = err;
    (void)error_prefix(first, "credentials %llu:%llu", (unsigned long long)table,
                       (unsigned long long)o->id.row);
}

static void send(struct reseal_rows *s, const struct changes *ch)
{
    struct store_object_change *items = mem_array(ch->count, sizeof(*items));
    for (size_t i = 0; i < ch->count; i++)
        items[i] = (struct store_object_change){
            .kind = ch->items[i].kind, .key = str_of(ch->items[i].key), .json = str_of(ch->items[i].json)};
    store_account_change(s->store, str_of(s->account), s->reader.version, items, ch->count, NULL, on_changed,
                         s);
    free(items);
}

static void seal_rows(struct reseal_rows *s)
{
    struct changes ch cleanup(changes_done) = {.count = 0};
    struct error first = {0}; // of those that cannot be opened
    for (size_t t = 0; t < s->table_count; t++) {
        const struct objects *rows = reader_get(&s->reader, t);
        for (size_t i = 0; i < rows->count && ch.count < ROWS_MAX; i++)
            add_row(&ch, s, s->tables[t], &rows->items[i], &first);
    }
    s->more = ch.count > 0; // once more, until none is left
    if (ch.count)
        send(s, &ch);
    else
        end(s, first.code, first.code ? &first : NULL);
}

static void on_rows(void *arg, int rc, const struct error *err)
{
    struct reseal_rows *s = arg;
    if (rc)
        end(s, rc, err);
    else
        seal_rows(s);
}

static void on_tables(void *arg, int rc, const struct error *err)
{
    struct reseal_rows *s = arg;
    const struct objects *tables = reader_get(&s->reader, 0);
    if (rc || !tables->count) {
        end(s, rc, err);
        return;
    }
    s->table_count = tables->count;
    s->tables = mem_array(tables->count, sizeof(*s->tables));
    for (size_t i = 0; i < tables->count; i++)
        s->tables[i] = tables->items[i].id.row;
    reader_done(&s->reader);
    reader_init(&s->reader, s->store, s->account);
    for (size_t i = 0; i < s->table_count; i++) {
        char kind[KIND_BYTES];
        kind_of_resource(kind, resource_of(STR_LIT("sipremoteauthentry")), s->tables[i]);
        (void)reader_add(&s->reader, kind, 0);
    }
    reader_run(&s->reader, on_rows, s);
}

static void step(void *arg, struct str account, struct key_ring *ring, reseal_part_fn *done, void *done_arg)
{
    struct store *store = arg;
    struct reseal_rows *s = mem_alloc(sizeof(*s));
    char kind[KIND_BYTES];
    s->account = str_dup(account);
    s->store = store;
    s->done = done;
    s->done_arg = done_arg;
    s->ring = key_ring_ref(ring);
    reader_init(&s->reader, store, s->account);
    kind_of_resource(kind, resource_of(STR_LIT("sipremoteauthtable")), 0);
    (void)reader_add(&s->reader, kind, 0);
    reader_run(&s->reader, on_tables, s);
}

struct reseal_part ribbon_reseal_part(struct store *store)
{
    return (struct reseal_part){.arg = store, .step = step};
}
