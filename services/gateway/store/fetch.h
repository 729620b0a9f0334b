// Reads the records of many ids, slice by slice, so that neither Redis nor the loop is held up.
#ifndef ROLLCALL_GATEWAY_STORE_FETCH_H
#define ROLLCALL_GATEWAY_STORE_FETCH_H

#include "services/gateway/store/internal.h"

// Embedded in what wants them, which fills the first part; account and ids are borrowed until done.
struct fetch {
    struct store *s;
    struct str account;
    const uint64_t *ids;
    size_t count;
    bool with_status;
    // One at a time in the order of the ids, without those that are gone or that cannot be read: the
    // registration becomes the callee's, the status is borrowed.
    void (*take)(struct fetch *f, struct store_record *take_record);
    void (*done)(struct fetch *f); // once; err says how. From within fetch_begin where there are no ids

    struct fair_ticket slice;
    struct error err;
    size_t next, pending, damaged_count;
};
void fetch_begin(struct fetch *f);

#endif
