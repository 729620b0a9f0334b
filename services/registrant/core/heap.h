// What waits at one registrar, by a key: a binary heap whose items know their place, so that any of them can
// leave. Private to the pacer; knows nothing of what a key means.
#ifndef ROLLCALL_REGISTRANT_CORE_HEAP_H
#define ROLLCALL_REGISTRANT_CORE_HEAP_H

#include "services/registrant/core/pacer.h"

struct waiting {
    uint64_t key;
    struct pacer_item *item;
};

struct heap { // all zero: empty
    struct waiting *items;
    size_t count, size;
};

void heap_add(struct heap *h, uint64_t key, struct pacer_item *item);
void heap_remove(struct heap *h, size_t index); // gives a storm's room back with its last item
void heap_done(struct heap *h);
// Is the item in this heap? Then at index item->heap_at - 1.
bool heap_has(const struct heap *h, const struct pacer_item *item);
size_t heap_bytes(const struct heap *h);

#endif
