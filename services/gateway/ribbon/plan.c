// See plan.h.
#include "services/gateway/ribbon/plan.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "services/gateway/ribbon/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 20

enum { ITEM_TABLE, ITEM_ENTRIES, ITEM_MARKS, ITEM_SERVERS };

static const struct field *contact_reference(void)
{
    return &resource_of(STR_LIT("sipserver"))->fields[SERVER_CONTACT_TABLE];
}

void plan_init(struct plan *p, const struct ribbon_params *params, const char *account, uint64_t table,
               uint64_t entry)
{
    char kind[KIND_BYTES];
    const struct resource *entries = resource_of(STR_LIT("sipregistrantentry"));
    *p = (struct plan){.params = params, .account = account, .table = table, .entry = entry};
    reader_init(&p->reader, params->shared->store, account);
    kind_of_resource(kind, resource_of(str_of(entries->parent)), 0);
    (void)reader_add(&p->reader, kind, table);
    kind_of_resource(kind, entries, table);
    (void)reader_add(&p->reader, kind, entry);
    kind_of_marks(kind, table);
    (void)reader_add(&p->reader, kind, entry);
    kind_of_referrers(kind, contact_reference(), table);
    (void)reader_add(&p->reader, kind, 0);
    reader_init(&p->credentials, params->shared->store, account);
}

// The rows' values and passwords are theirs.
static void credentials_done(struct plan *p)
{
    for (size_t i = 0; i < p->table_count; i++) {
        for (size_t k = 0; k < p->tables[i].count; k++)
            auth_row_done(&p->tables[i].rows[k]);
        free(p->tables[i].rows);
    }
    free(p->tables);
    p->tables = NULL;
    p->table_count = 0;
}

static void forget(struct plan *p)
{
    for (size_t i = 0; i < p->server_count; i++)
        fieldset_done(&p->servers[i].values);
    free(p->servers);
    p->servers = NULL;
    p->server_count = 0;
    credentials_done(p);
    reader_done(&p->credentials);
}

void plan_done(struct plan *p)
{
    forget(p);
    reader_done(&p->reader);
}

static void end(struct plan *p, int rc, const struct error *err)
{
    p->attempts = 0;
    p->fn(p->arg, rc, err);
}

// ---- credentials

static uint64_t named_by(const struct server_row *s)
{
    return fieldset_number(&s->values, SERVER_AUTH_TABLE);
}

static bool has_table(const struct plan *p, uint64_t id)
{
    for (size_t i = 0; i < p->table_count; i++)
        if (p->tables[i].id == id)
            return true;
    return false;
}

static void add_row(struct plan *p, struct credentials_table *t, const struct object *o)
{
    struct auth_row row;
    struct error err;
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(p->params->keys);
    if (auth_row_read(ring, p->account, t->id, o, &row, &err))
        log_line(LOG_WARNING, "ribbon", 0, "credentials %llu:%llu of %s: %s", (unsigned long long)t->id,
                 (unsigned long long)o->id.row, p->account, err.text);
    if (row.values)
        t->rows[t->count++] = row;
}

// Those that Sequence names in its order, then the others by id.
static void fill_table(struct plan *p, struct credentials_table *t, const struct objects *table,
                       const struct objects *rows)
{
    struct fieldset values;
    t->rows = mem_array(rows->count + 1, sizeof(*t->rows));
    bool readable =
        table->count && fieldset_read(str_of(table->items[0].json),
                                      resource_of(STR_LIT("sipremoteauthtable")), &values, NULL) == 0;
    char *sequence = readable ? str_dup(fieldset_text(&values, TABLE_SEQUENCE)) : mem_dup_cstr("");
    if (readable)
        fieldset_done(&values);
    bool *taken = mem_array(rows->count + 1, sizeof(*taken));
    struct str rest = str_of(sequence), one;
    while (str_split(&rest, ',', &one)) {
        struct row_id id = {.table = 0};
        const struct object *o = str_to_u64(str_trim(one), &id.row) ? NULL : object_find(rows, id);
        if (!o || taken[o - rows->items])
            continue;
        taken[o - rows->items] = true;
        add_row(p, t, o);
    }
    for (size_t i = 0; i < rows->count; i++)
        if (!taken[i])
            add_row(p, t, &rows->items[i]);
    free(taken);
    free(sequence);
}

static void begin(struct plan *p);

static void on_credentials(void *arg, int rc, const struct error *err)
{
    struct plan *p = arg;
    if (!rc && p->credentials.version != p->reader.version && ++p->attempts < ATTEMPTS_MAX) {
        begin(p);
        return;
    }
    for (size_t i = 0; !rc && i < p->table_count; i++)
        fill_table(p, &p->tables[i], reader_get(&p->credentials, 2 * i),
                   reader_get(&p->credentials, 2 * i + 1));
    end(p, rc, err);
}

static void read_credentials(struct plan *p)
{
    char kind[KIND_BYTES];
    p->tables = mem_array(p->server_count + 1, sizeof(*p->tables));
    reader_init(&p->credentials, p->params->shared->store, p->account);
    for (size_t i = 0; i < p->server_count; i++) {
        uint64_t id = named_by(&p->servers[i]);
        if (!id || has_table(p, id))
            continue;
        p->tables[p->table_count++].id = id;
        kind_of_resource(kind, resource_of(STR_LIT("sipremoteauthtable")), 0);
        (void)reader_add(&p->credentials, kind, id);
        kind_of_resource(kind, resource_of(STR_LIT("sipremoteauthentry")), id);
        (void)reader_add(&p->credentials, kind, 0);
    }
    if (p->table_count)
        reader_run(&p->credentials, on_credentials, p);
    else
        end(p, 0, NULL);
}

// ---- servers

static void fill_servers(struct plan *p)
{
    const struct objects *rows = reader_get(&p->reader, ITEM_SERVERS);
    struct error err;
    p->servers = mem_array(rows->count + 1, sizeof(*p->servers));
    for (size_t i = 0; i < rows->count; i++) {
        struct server_row *s = &p->servers[p->server_count];
        s->id = rows->items[i].id;
        if (fieldset_read(str_of(rows->items[i].json), resource_of(STR_LIT("sipserver")), &s->values, &err) ==
            0)
            p->server_count++;
        else
            log_line(LOG_ERROR, "ribbon", 0, "%s: %s", p->account, err.text);
    }
}

static void on_objects(void *arg, int rc, const struct error *err)
{
    struct plan *p = arg;
    if (rc) {
        end(p, rc, err);
        return;
    }
    fill_servers(p);
    if (p->with_credentials)
        read_credentials(p);
    else
        end(p, 0, NULL);
}

static void begin(struct plan *p)
{
    forget(p);
    reader_run(&p->reader, on_objects, p);
}

void plan_run(struct plan *p, bool with_credentials, reader_fn *fn, void *arg)
{
    p->with_credentials = with_credentials;
    p->fn = fn;
    p->arg = arg;
    begin(p);
}

// ---- what was read

uint64_t plan_version(const struct plan *p)
{
    return p->reader.version;
}

const struct objects *plan_table(const struct plan *p)
{
    return reader_get(&p->reader, ITEM_TABLE);
}

const struct objects *plan_entries(const struct plan *p)
{
    return reader_get(&p->reader, ITEM_ENTRIES);
}

char *plan_marks(const struct plan *p, uint64_t entry)
{
    struct json *text cleanup(json_free_ptr) = NULL;
    const struct object *o = object_find(reader_get(&p->reader, ITEM_MARKS), (struct row_id){.row = entry});
    if (!o || json_parse(str_of(o->json), NULL, &text, NULL) || !json_is(text, JSON_STRING))
        return mem_dup_cstr("");
    return str_dup(json_str(text));
}

size_t plan_server(const struct plan *p, struct row_id id)
{
    size_t i = 0;
    while (i < p->server_count && row_id_compare(p->servers[i].id, id))
        i++;
    return i;
}

int plan_derive(const struct plan *p, uint64_t entry, const struct fieldset *values, size_t server,
                const char *prefix, struct registration *ret, struct made *made, struct error *err)
{
    const struct server_row *s = &p->servers[server];
    struct derive_input in = {
        .shared = p->params->shared,
        .account = str_of(p->account),
        .entry_id = {p->table, entry},
        .server_id = s->id,
        .entry = values,
        .server = &s->values,
        .prefix = fieldset_flag(&s->values, SERVER_RANDOMIZER) ? prefix : "",
    };
    for (size_t i = 0; i < p->table_count; i++)
        if (p->tables[i].id == named_by(s)) {
            in.auth = p->tables[i].rows;
            in.auth_count = p->tables[i].count;
        }
    return derive_registration(&in, ret, made, err);
}
