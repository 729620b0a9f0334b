// See reader.h.
#include "services/gateway/ribbon/reader.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 20

// "ribbon-<what>[-<table>]"; `what` is a name of at most 30 bytes.
static void put_kind(char ret[KIND_BYTES], const char *prefix, const char *what, uint64_t table)
{
    int n = snprintf(ret, KIND_BYTES, "ribbon-%s%.30s", prefix, what);
    if (table)
        (void)snprintf(ret + n, KIND_BYTES - (size_t)n, "-%llu", (unsigned long long)table);
}

void kind_of_resource(char ret[KIND_BYTES], const struct resource *r, uint64_t table)
{
    put_kind(ret, "", r->name, r->parent ? table : 0);
}

void kind_of_referrers(char ret[KIND_BYTES], const struct field *f, uint64_t table)
{
    put_kind(ret, "of-", f->refers_to, table);
}

void kind_of_marks(char ret[KIND_BYTES], uint64_t table)
{
    put_kind(ret, "", "made", table);
}

static void objects_done(struct objects *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->items[i].json);
    free(o->items);
    *o = (struct objects){.count = 0};
}

static int compare(const void *a, const void *b)
{
    return row_id_compare(((const struct object *)a)->id, ((const struct object *)b)->id);
}

const struct object *object_find(const struct objects *o, struct row_id id)
{
    const struct object wanted = {.id = id};
    return o->count ? bsearch(&wanted, o->items, o->count, sizeof(wanted), compare) : NULL;
}

void reader_init(struct reader *r, struct store *store, const char *account)
{
    *r = (struct reader){.store = store, .account = account};
}

static void forget(struct reader *r)
{
    for (size_t i = 0; i < r->count; i++)
        objects_done(&r->items[i].objects);
    r->version = STORE_ANY_VERSION;
    r->differ = false;
    r->rc = 0;
}

void reader_done(struct reader *r)
{
    forget(r);
    free(r->items);
    r->items = NULL;
    r->count = 0;
}

size_t reader_add(struct reader *r, const char *kind, uint64_t key)
{
    r->items = mem_resize(r->items, r->count + 1, sizeof(*r->items));
    r->items[r->count] = (struct read_item){.key = key};
    (void)snprintf(r->items[r->count].kind, KIND_BYTES, "%s", kind);
    return r->count++;
}

const struct objects *reader_get(const struct reader *r, size_t index)
{
    return &r->items[index].objects;
}

static bool read_key(struct str key, struct row_id *ret)
{
    *ret = (struct row_id){.table = 0};
    return str_has_char(key, ':') ? row_id_parse(key, ret) : str_to_u64(key, &ret->row) == 0;
}

static void keep(struct objects *to, const struct store_account_object *objects, size_t count)
{
    to->items = mem_array(count + 1, sizeof(*to->items));
    for (size_t i = 0; i < count; i++)
        if (read_key(objects[i].key, &to->items[to->count].id)) // others are not ours
            to->items[to->count++].json = str_dup(objects[i].json);
    qsort(to->items, to->count, sizeof(*to->items), compare);
}

static void begin(struct reader *r);

static void finish(struct reader *r)
{
    if (!r->rc && r->differ) {
        if (++r->attempts < ATTEMPTS_MAX) {
            begin(r);
            return;
        }
        r->rc = error_set(&r->err, -ESTALE, "others write this account's objects all the time");
    }
    r->attempts = 0;
    r->fn(r->arg, r->rc, r->rc ? &r->err : NULL);
}

static void on_objects(void *arg, int rc, const struct store_account_object *objects, size_t count,
                       uint64_t version, const struct error *err)
{
    struct read_item *item = arg;
    struct reader *r = item->reader;
    if (rc) {
        r->rc = rc;
        r->err = *err;
    } else {
        r->differ = r->differ || (r->version != STORE_ANY_VERSION && r->version != version);
        r->version = version;
        keep(&item->objects, objects, count);
    }
    if (!--r->pending)
        finish(r);
}

static void begin(struct reader *r)
{
    forget(r);
    r->pending = r->count;
    for (size_t i = 0; i < r->count; i++) {
        struct read_item *item = &r->items[i];
        struct buf key cleanup(buf_done) = BUF_INIT;
        item->reader = r;
        buf_add_u64(&key, item->key);
        if (item->key)
            store_account_object(r->store, str_of(r->account), item->kind, buf_str(&key), on_objects, item);
        else
            store_account_kind(r->store, str_of(r->account), item->kind, on_objects, item);
    }
}

void reader_run(struct reader *r, reader_fn *fn, void *arg)
{
    r->fn = fn;
    r->arg = arg;
    begin(r);
}
