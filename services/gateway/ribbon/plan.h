// What an account's objects say of a table of contacts now: its entries, the server rows that name it, their
// credentials. All of one version. Loop thread only.
#ifndef ROLLCALL_GATEWAY_RIBBON_PLAN_H
#define ROLLCALL_GATEWAY_RIBBON_PLAN_H

#include "services/gateway/ribbon/derive.h"
#include "services/gateway/ribbon/reader.h"
#include "services/gateway/ribbon/ribbon.h"

struct credentials_table {
    uint64_t id;
    struct auth_row *rows; // in the order in which they are tried
    size_t count;
};

struct server_row {
    struct row_id id;
    struct fieldset values;
};

struct plan {
    const struct ribbon_params *params;
    const char *account; // borrowed
    uint64_t table, entry;
    bool with_credentials;
    struct reader reader;      // table, entries, marks, referrers
    struct reader credentials; // of each table that a server row names: the table, its rows
    unsigned attempts;
    struct server_row *servers; // ascending by id
    size_t server_count;
    struct credentials_table *tables;
    size_t table_count;
    reader_fn *fn;
    void *arg;
};
// `entry` 0: all of the table's.
void plan_init(struct plan *p, const struct ribbon_params *params, const char *account, uint64_t table,
               uint64_t entry);
void plan_done(struct plan *p); // what is clear is wiped
// Never from within the call. May be run again.
void plan_run(struct plan *p, bool with_credentials, reader_fn *fn, void *arg);

uint64_t plan_version(const struct plan *p);
const struct objects *plan_table(const struct plan *p); // one or none
const struct objects *plan_entries(const struct plan *p);
// Joined ids of the server rows that an entry was once registered at; "": none. Caller frees.
char *plan_marks(const struct plan *p, uint64_t entry);
size_t plan_server(const struct plan *p, struct row_id id); // index, or server_count

// 0, or -EINVAL as derive_registration.
must_use int plan_derive(const struct plan *p, uint64_t entry, const struct fieldset *values, size_t server,
                         const char *prefix, struct registration *ret_init, struct made *made,
                         struct error *err);

#endif
