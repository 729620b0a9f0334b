// The registrations of one slice of a job: each is begun in its turn, some are under way at once. What every
// job over an account's registrations does with them stands here; what it does to one is its own. Loop thread
// only.
#ifndef ROLLCALL_GATEWAY_JOBS_JOB_IDS_H
#define ROLLCALL_GATEWAY_JOBS_JOB_IDS_H

#include "services/gateway/fair/fair.h"
#include "services/gateway/jobs/jobs.h"

enum { JOB_IDS_MAX = 200 };    // between two looks at the job's cursor
enum { JOB_IDS_AT_ONCE = 16 }; // fewer while others than the account ask, who wait behind these

struct job_ids {
    struct store *store;
    struct str account; // borrowed
    // Begins with one, which is under way until job_ids_settled; never ends the slice itself.
    void (*begin)(struct job_ids *s, uint64_t id);
    void (*over)(struct job_ids *s); // the slice is at its end, and nothing is under way

    uint64_t ids[JOB_IDS_MAX];
    size_t count, next, pending;
    struct job_turn {
        struct job_ids *owner;
        struct fair_ticket ticket;
    } turns[JOB_IDS_AT_ONCE];
    struct error err; // the first that ends the slice; code 0: none
};

// Takes what store_ids gave and begins; an error ends the slice.
void job_ids_given(struct job_ids *s, int rc, const uint64_t *ids, size_t count, const struct error *err);
// One that was begun is done with: the next ones are begun. *s may be gone afterwards.
void job_ids_settled(struct job_ids *s);
// What became of one: a Redis that is away ends the slice, which is waited for; any other error is that
// registration's own and does not hold up the others. rc 0: nothing.
void job_ids_note(struct job_ids *s, int rc, const struct error *err);
// Ends the step of a job whose cursor is the last id that it was given; none was: the job is finished.
void job_ids_end(const struct job_ids *s, struct job_step *step);

#endif
