// Filters (contract 8.3): read from the query, and judged on items held in memory. What a filter may be
// called is the type's table's.
#ifndef ROLLCALL_GATEWAY_YETI_CONDITIONS_H
#define ROLLCALL_GATEWAY_YETI_CONDITIONS_H

#include "services/gateway/store/store.h"
#include "services/gateway/yeti/params.h"
#include "services/gateway/yeti/query.h"

// Adds filter[…] to the query; false: *errors says why, and the following ones are not looked at.
bool conditions_read(struct query *q, const struct param *p, struct errors *errors);
// The number of values that each operation takes.
void conditions_check(const struct query *q, struct errors *errors);
void conditions_done(struct query *q);

// Whether an item of the query's type fulfils all of them.
bool conditions_hold(const struct query *q, const void *item);

// The conditions that an index of the store serves, as its terms, which borrow from the query; these are not
// judged by conditions_hold any more.
#define CONDITIONS_TERMS_MAX 8
size_t conditions_terms(struct query *q, struct store_term terms[CONDITIONS_TERMS_MAX]);
// Whether conditions_hold judges the member at that offset, or any beside what filter[id] names.
#define CONDITIONS_ANY SIZE_MAX
bool conditions_judge(const struct query *q, size_t offset);

// The ids that filter[id] names, for an index that is not in memory; NULL: there is no such filter. Caller
// frees.
uint64_t *conditions_ids(const struct query *q, size_t *ret_count);

#endif
