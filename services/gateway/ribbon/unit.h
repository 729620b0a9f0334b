// One entry and its registrations: what has to be done that they are in step. Decides and does nothing. Pure
// but for the random prefix of ContactURIRandomizer.
#ifndef ROLLCALL_GATEWAY_RIBBON_UNIT_H
#define ROLLCALL_GATEWAY_RIBBON_UNIT_H

#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/plan.h"

// A registration that an entry has now.
struct held {
    struct registration reg;
    struct link link;
};

struct unit {
    uint64_t entry;
    struct held *held;
    size_t held_count;
    unsigned taken; // how often its names were found to be taken by others

    // ---- decided
    struct registration *after; // what `items` point to
    size_t after_count;
    struct store_item *items;
    size_t item_count;
    struct buf marks; // what the entry's marks are to be once the items are done
    bool adds_marks;
    bool is_gone; // all its registrations were deleted through another dialect: so is the entry
};
void unit_init(struct unit *u, uint64_t entry);
void unit_done(struct unit *u);
void unit_hold(struct unit *u, const struct registration *r); // copied; others' are left out
void unit_decide(struct unit *u, const struct plan *p);

// Whether marks of the entry name server rows that it is not to be registered at any more: these must go
// before its registrations are touched, or a row that comes back would be taken for one that was deleted
// elsewhere. Appends those that stay.
bool unit_drops_marks(const struct plan *p, uint64_t entry, struct buf *ret_kept);

#endif
