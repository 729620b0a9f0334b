// The order that `sort` asks for, as one text for each item: comparing two texts byte by byte orders the
// items.
#ifndef ROLLCALL_GATEWAY_YETI_SORTING_H
#define ROLLCALL_GATEWAY_YETI_SORTING_H

#include "services/gateway/yeti/query.h"

// What to sort by; plain data, so that it can be copied and outlive its query.
struct sorting {
    struct sort sorts[QUERY_SORTS_MAX];
    size_t count;
};

struct sorting sorting_of(const struct query *q);
bool sorting_is_by_id(const struct sorting *s, bool *ret_descending); // nothing else decides

// Numbers and texts ascend, null comes last; descending is the reverse (contract 8.2). Texts by their bytes.
// Caller frees.
char *sorting_key(const struct sorting *s, const void *item);

#endif
