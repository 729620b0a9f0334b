// The registrations of one slice of a job: each is begun in its turn, some are under way at once. What every
// job over an account's registrations does with them stands here; what it does to one is its own. Loop thread
// only.
#ifndef ROLLCALL_GATEWAY_JOBS_JOB_IDS_H
#define ROLLCALL_GATEWAY_JOBS_JOB_IDS_H

#include "services/gateway/jobs/jobs.h"

enum { JOB_IDS_MAX = 200 }; // between two looks at the job's cursor

struct job_ids {
    uint64_t ids[JOB_IDS_MAX];
    size_t count, next, pending;
    struct error err; // the first that ends the slice; code 0: none
};

// Takes what store_ids gave; an error ends the slice.
void job_ids_given(struct job_ids *s, int rc, const uint64_t *ids, size_t count, const struct error *err);
// The next one to be begun, which is under way until `pending` is lowered. False: there is none, or none for
// now; with nothing pending that is the slice's end.
bool job_ids_next(struct job_ids *s, uint64_t *ret_id);
// What became of one: a Redis that is away ends the slice, which is waited for; any other error is that
// registration's own and does not hold up the others. rc 0: nothing.
void job_ids_note(struct job_ids *s, int rc, const struct error *err);
// Ends the step of a job whose cursor is the last id that it was given; none was: the job is finished.
void job_ids_end(const struct job_ids *s, struct job_step *step);

#endif
