// A thread for the calls of librdkafka that block (metadata, committed offsets, watermarks, seeking, making
// topics), so that the loop never waits for a broker. Jobs run one at a time, in order; each is finished on
// the loop. Knows nothing of Kafka.
#ifndef ROLLCALL_KAFKA_WORKER_H
#define ROLLCALL_KAFKA_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

struct event_base;
struct kafka_worker;

struct kafka_job {
    void (*run)(struct kafka_job *job); // in the worker's thread
    // On the loop, exactly once; owns the job. run_was_called is false when the worker was stopped before.
    void (*done)(struct kafka_job *job, bool run_was_called);
    const atomic_bool *stopping; // for run: true when it should return soon
    STAILQ_ENTRY(kafka_job) link;
};

struct kafka_worker *kafka_worker_new(struct event_base *base);

// Loop thread. Takes the job.
void kafka_worker_post(struct kafka_worker *w, struct kafka_job *take_job);

// Loop thread, not from within a job's `done`. Waits for the job that runs (jobs see `stopping`), finishes it
// and all that wait, and frees.
void kafka_worker_free(struct kafka_worker *w);

#endif
