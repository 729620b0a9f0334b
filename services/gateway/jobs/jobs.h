// Work over many registrations (an account's flush, Ribbon's tables): accepted by one script together with
// what it follows from, worked off in slices with a cursor by whichever gateway claims it. A gateway that
// dies leaves its job to the next; a slice may be done twice, so steps are idempotent. One object for each
// loop.
#ifndef ROLLCALL_GATEWAY_JOBS_JOBS_H
#define ROLLCALL_GATEWAY_JOBS_JOBS_H

#include "services/gateway/store/store.h"

struct jobs;

// One slice under way; everything borrowed until job_step_done.
struct job_step {
    struct str account;
    struct str args;   // JSON, as it was given to the store
    struct str cursor; // empty at first, then what the last slice gave
};
struct job_kind {
    const char *name;
    void *arg;
    // Works one slice (some hundred registrations at most) and ends with job_step_done, now or later.
    void (*step)(void *arg, struct job_step *step);
};
// rc 0: `cursor` for the next slice, STR_NONE: the job is finished. Else: the same slice again after a pause
// that grows to a minute (the error is logged once; -EAGAIN, which says that something is waited for, only
// when it lasts).
void job_step_done(struct job_step *step, int rc, struct str cursor, const struct error *err);

struct jobs_params {
    struct event_base *base;
    struct store *store;
    const char *node; // who claims
    const struct job_kind *kinds;
    size_t kind_count;
    uint32_t interval_ms; // between two looks at what waits
};
struct jobs *jobs_new(const struct jobs_params *p); // kinds are copied
// A job of this loop's own store was accepted: look at once.
void jobs_wake(struct jobs *j);
void jobs_free(struct jobs *j); // after store_free, which ends the steps under way

#endif
