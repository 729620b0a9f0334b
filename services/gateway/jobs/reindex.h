// Registrations written before there were indexes are found by none until they are written again. So each
// account's are gone through once, by a job; that it was accepted is an object of the account.
#ifndef ROLLCALL_GATEWAY_JOBS_REINDEX_H
#define ROLLCALL_GATEWAY_JOBS_REINDEX_H

#include "services/gateway/jobs/jobs.h"

struct job_kind reindex_kind(struct store *store);

// Looks at the accounts one after the other, from now on and for as long as it takes until Redis can be
// asked and written, and gives the job to those that have registrations and never had it.
struct reindex_params {
    struct event_base *base;
    struct store *store;
    struct jobs *jobs;
    const char *const *accounts; // copied
    size_t count;
    uint32_t retry_ms; // between two tries while Redis is away
};
struct reindex;
struct reindex *reindex_new(const struct reindex_params *p);
bool reindex_is_over(const struct reindex *r); // every account was looked at
void reindex_free(struct reindex *r);          // after store_free; NULL is allowed

#endif
