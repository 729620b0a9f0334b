// Index of registrations by id: open addressing with linear probing, eight bytes a slot, growing a little
// with each insertion so that no single one of a million costs milliseconds.
#ifndef ROLLCALL_REGISTRANT_CORE_TABLE_H
#define ROLLCALL_REGISTRANT_CORE_TABLE_H

#include "common/base/base.h"

#include <stdbool.h>
#include <stdint.h>

struct table_slots {
    uint64_t **items; // each points to an object's id
    size_t size, count;
};

// Holds pointers to the ids inside the objects; all zero is an empty table.
struct table {
    struct table_slots now, old; // old: what is still to be moved
    size_t moved;                // slots of old that are done
};

void table_done(struct table *t);
uint64_t *table_find(const struct table *t, uint64_t id); // NULL when absent
void table_add(struct table *t, uint64_t *item);          // must be absent
void table_remove(struct table *t, uint64_t id);
size_t table_count(const struct table *t);
size_t table_bytes(const struct table *t);

// Walks all items in no order; start with *at = 0, NULL at the end. Nothing may be added or removed
// meanwhile.
uint64_t *table_each(const struct table *t, size_t *at);

// Walks them a few at a time, while others are added and removed: each item that stays is given at least
// once. All zero: from the start. Looks at *budget slots at most and counts them off; NULL with *budget left:
// that was all.
struct table_walk {
    size_t at, size;
    unsigned stage;
};
uint64_t *table_walk(const struct table *t, struct table_walk *w, unsigned *budget);

#endif
