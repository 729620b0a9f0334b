// The ids that a query's terms, list of ids and live_only leave, in order, slice by slice: what pages and
// walks have in common. Reads no record: `keep` and sorting are its caller's.
#ifndef ROLLCALL_GATEWAY_STORE_SCAN_H
#define ROLLCALL_GATEWAY_STORE_SCAN_H

#include "services/gateway/store/internal.h"

// A sorted set of Redis that says something of an id.
enum scan_rule { SCAN_IN, SCAN_NOT_IN, SCAN_LIVE };
struct scan_set {
    char *key;
    enum scan_rule rule;
    uint64_t size;
};

// Embedded in what wants it.
struct scan {
    struct store *s;
    char *account;
    bool descending;
    struct scan_set *sets; // the first is the account's `ids`
    size_t set_count;
    char **names; // that must be its name
    size_t name_count;
    size_t source; // the set that is walked: the smallest
    bool listed;   // `list` is walked instead
    uint64_t *list;
    size_t list_count, list_next;
    uint64_t from; // the walk goes on beyond this id
    bool begun;
    size_t pending, asked, check; // answers still to come

    // The slice, valid in done.
    uint64_t *ids;
    size_t count;
    size_t slice; // ids at once
    bool end;     // nothing follows; also once planned, where there is nothing at all
    struct error err;
    void (*done)(struct scan *x); // once for each scan_plan and scan_next, never from within it
};

void scan_init(struct scan *x, struct store *s, const struct store_query *q, bool descending);
void scan_done(struct scan *x);
// Looks how large the indexes are and chooses; once, before the first scan_next.
void scan_plan(struct scan *x, void (*done)(struct scan *x));
void scan_next(struct scan *x, void (*done)(struct scan *x)); // not after the end
// The whole of one index is meant, the last of the sets, so that ranks are pages. Needs no plan.
bool scan_is_ranked(const struct scan *x);
// Planned: how many it will give, where the sizes of the indexes say so.
bool scan_knows_total(const struct scan *x, uint64_t *ret_total);

#endif
