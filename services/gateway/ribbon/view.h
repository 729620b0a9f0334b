// Entries of a table as clients see them: what is stored, overlaid with what another dialect made of the
// registration at the entry's first server row, and with what was reported of each. Loop thread only.
#ifndef ROLLCALL_GATEWAY_RIBBON_VIEW_H
#define ROLLCALL_GATEWAY_RIBBON_VIEW_H

#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/plan.h"

// What a registration says of itself now, as texts of the rt_ fields; NULL: nothing.
enum runtime_field {
    RUNTIME_SERVER,
    RUNTIME_ID,
    RUNTIME_STATE,
    RUNTIME_SINCE,
    RUNTIME_STATUS_CODE,
    RUNTIME_REASON,
    RUNTIME_GRANTED,
    RUNTIME_EXPIRES_AT,
    RUNTIME_NEXT_ACTION,
    RUNTIME_ATTEMPT,
    RUNTIME_TARGET,
    RUNTIME_NODE,
    RUNTIME_COUNT
};

struct runtime {
    struct row_id server;
    bool registered;
    char *text[RUNTIME_COUNT];
};
// `server` NULL: a registration of another dialect.
void runtime_of(struct runtime *ret_init, const struct store_record *record, const struct row_id *server,
                uint64_t now_wall_ms);
void runtime_done(struct runtime *r);
// rt_ fields of an entry: how many registrations, those of the one that is worst off, and numbered those of
// each.
void runtime_write(struct buf *out, const struct runtime *items, size_t count);

struct view_entry {
    uint64_t id;
    struct fieldset values; // effective
    struct row_id first;    // server row whose registration `values` are overlaid with; table 0: none
    size_t registrations;
    struct runtime *runtime; // as many, ascending by server row; NULL where not wanted
    bool is_gone;            // all that it had made was deleted through another dialect
};

struct view {
    struct plan plan;
    bool wants_values, wants_runtime; // set before it runs; a list of links needs neither
    struct view_entry *entries;       // ascending by id
    size_t count;
    struct store_walk *walk;
    uint64_t version; // of the objects that entries were read from: the plan may have read later ones
    unsigned attempts;
    reader_fn *fn;
    void *arg;
};
void view_init(struct view *v, const struct ribbon_params *params, const char *account, uint64_t table,
               uint64_t entry); // 0: all
void view_done(struct view *v);
// Never from within the call. May be run again.
void view_run(struct view *v, reader_fn *fn, void *arg);
const struct view_entry *view_find(const struct view *v, uint64_t entry); // NULL: none, or gone

#endif
