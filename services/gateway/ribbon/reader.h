// Several reads of an account's objects that hold together: all were of one version, or they are read again.
// Loop thread only.
#ifndef ROLLCALL_GATEWAY_RIBBON_READER_H
#define ROLLCALL_GATEWAY_RIBBON_READER_H

#include "services/gateway/ribbon/fieldset.h"
#include "services/gateway/ribbon/link.h"
#include "services/gateway/store/store.h"

// Kinds of objects in the store.
#define KIND_BYTES 64
// Objects of a resource: tables under their id, rows under theirs in a kind of their table.
void kind_of_resource(char ret[KIND_BYTES], const struct resource *r, uint64_t table);
// Server rows by what they refer to, "s:n" each with the row itself: who names contact table t, who names
// credentials' table a.
void kind_of_referrers(char ret[KIND_BYTES], const struct field *f, uint64_t table);
// Which server rows an entry was once registered at: JSON text of joined ids.
void kind_of_marks(char ret[KIND_BYTES], uint64_t table);

struct object {
    struct row_id id; // table 0 where the key is one number
    char *json;
};
struct objects {
    struct object *items; // ascending by id
    size_t count;
};
const struct object *object_find(const struct objects *o, struct row_id id); // NULL: none

struct read_item {
    char kind[KIND_BYTES];
    uint64_t key; // 0: the whole kind
    struct objects objects;
    struct reader *reader;
};

struct reader;
typedef void reader_fn(void *arg, int rc, const struct error *err);
struct reader {
    struct store *store;
    const char *account; // borrowed
    struct read_item *items;
    size_t count, pending;
    uint64_t version; // of all that was read; STORE_ANY_VERSION: nothing yet
    bool differ;
    unsigned attempts;
    int rc;
    struct error err;
    reader_fn *fn;
    void *arg;
};
void reader_init(struct reader *r, struct store *store, const char *account);
void reader_done(struct reader *r);
// Index of the item. `key` 0: the whole kind.
size_t reader_add(struct reader *r, const char *kind, uint64_t key);
const struct objects *reader_get(const struct reader *r, size_t index);
// Never from within the call. -ESTALE where others write all the time. What was read before is read again.
void reader_run(struct reader *r, reader_fn *fn, void *arg);

#endif
