// The best of many by a sort key, in memory for those only that the page can show: offset + limit. Pure.
#ifndef ROLLCALL_GATEWAY_STORE_TOP_H
#define ROLLCALL_GATEWAY_STORE_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct top;

// Ascending: numbers, then texts by their bytes, then absent keys, as PostgreSQL sorts NULLS LAST; equal keys
// by id. Descending is exactly the reverse.
struct top *top_new(size_t capacity, bool descending);
// Frees at most so many of what it keeps, so that a deep page need not be freed in one go; true: nothing is
// left.
bool top_shrink(struct top *t, size_t count);
void top_free(struct top *t);

// take_key: NULL is absent. A number is its decimal text.
void top_offer(struct top *t, uint64_t id, char *take_key, bool is_number);

// Takes the ids from rank `offset` on, in order, at most what was kept. Caller frees *ret. Costs what the
// page holds, not what was kept.
size_t top_page(struct top *t, size_t offset, uint64_t **ret);

#endif
