// When another key of the ring seals from now on, every secret of every account is sealed anew with it, by a
// job of each account. Nothing is configured by that: no event, and nothing goes upstream.
//
// An account's object `sealed` says which key its secrets are to be under (`wanted`, by the gateway that was
// started or read another ring last), and `with`, once a pass over all of them has shown that they are, and
// that registrants report nothing else as bound. Who writes one under another key meanwhile takes that proof
// back.
#ifndef ROLLCALL_GATEWAY_JOBS_RESEAL_H
#define ROLLCALL_GATEWAY_JOBS_RESEAL_H

#include "common/metrics/metrics.h"
#include "services/gateway/jobs/jobs.h"

// What a dialect keeps sealed beside registrations.
typedef void reseal_part_fn(void *arg, int rc, bool more, const struct error *err);
struct reseal_part {
    void *arg;
    // Seals some of the account's with the first key of `ring` and ends with
    // `done`, never from within. rc 0: nothing else is left, or `more`.
    void (*step)(void *arg, struct str account, struct key_ring *ring, reseal_part_fn *done, void *done_arg);
};

// The job. `keys`, `metrics` and what the part stands for outlive it; `part` is copied.
struct reseal_job;
struct reseal_job_params {
    struct store *store;
    struct key_ring_box *keys;
    struct reseal_part part;
    struct metrics *metrics;
    size_t sealed_metric; // counts registrations sealed anew
};
struct reseal_job *reseal_job_new(const struct reseal_job_params *p);
void reseal_job_free(struct reseal_job *j); // after store_free; NULL is allowed
struct job_kind reseal_kind(struct reseal_job *j);

// Looks at all accounts again and again, those of the principals file and those that Redis knows: has the job
// done where the proof is missing. One for a gateway is enough.
struct reseal_params {
    struct event_base *base;
    struct store *store;
    struct jobs *jobs;
    struct key_ring_box *keys;
    void *arg;
    // Names of those of the principals file, each once; each and the list are freed.
    char **(*accounts)(void *arg, size_t *ret_count);
    struct metrics *metrics;
    size_t left_metric;   // gauge: accounts without a proof for the first key of this gateway's ring
    uint32_t interval_ms; // between two rounds while some are left, and between two looks at the ring
    uint32_t idle_ms;     // between two rounds else
};
struct reseal;
struct reseal *reseal_new(const struct reseal_params *p);
void reseal_free(struct reseal *r); // after store_free; NULL is allowed

// Shared by the two: the account's object.
#define RESEAL_KIND   "reseal" // of the job
#define RESEAL_OBJECT "sealed"
struct reseal_proof {
    struct str wanted, with; // key ids, borrowed; empty: not there
    bool again;
};
struct reseal_proof reseal_proof_of(const struct store_account_object *objects, size_t count);
// A key id as the JSON text that the object holds.
void reseal_key_json(struct buf *out, struct str key_id);

#endif
