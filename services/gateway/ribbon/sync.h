// Brings registrations in step with the objects that they come from: entry by entry, from what Redis holds
// now and not from what a request said, so that doing it twice or half does no harm. Runs in slices: before a
// request's answer for what is small, else as a job. Loop thread only.
#ifndef ROLLCALL_GATEWAY_RIBBON_SYNC_H
#define ROLLCALL_GATEWAY_RIBBON_SYNC_H

#include "services/gateway/ribbon/link.h"
#include "services/gateway/ribbon/ribbon.h"

#define SYNC_JOB "ribbon.sync"

// What may be out of step.
enum scope_kind {
    SCOPE_NONE,
    SCOPE_ENTRY,       // one entry
    SCOPE_TABLES,      // all entries of these tables of contacts
    SCOPE_GONE,        // registrations of a table that was deleted
    SCOPE_CREDENTIALS, // all tables at server rows that name this table of credentials
};
struct scope {
    enum scope_kind kind;
    struct row_id entry;
    uint64_t tables[100]; // of a server table's rows at most, or the one
    size_t count;
};
void scope_add_table(struct scope *s, uint64_t table); // 0 and what is there already are left out
void scope_write(struct buf *out, const struct scope *s);
must_use int scope_read(struct str json, struct scope *ret, struct error *err);

// rc 0: `cursor` of the next slice, STR_NONE: all is in step.
typedef void sync_fn(void *arg, int rc, struct str cursor, const struct error *err);
// At most `budget` entries. All is copied; `fn` is never called from within. After the store was closed it is
// told so.
void sync_slice(const struct ribbon_params *params, struct str account, const struct scope *scope,
                struct str cursor, unsigned budget, const struct store_write_context *context, sync_fn *fn,
                void *arg);

// The step of SYNC_JOB; arg is the params.
void sync_job_step(void *arg, struct job_step *step);

#endif
