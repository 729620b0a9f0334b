// Making sure that a topic exists, in the worker's thread: ask, make it if the broker says that it is not
// there, and ask until the broker knows it. The embedded broker makes a topic when it is asked for it, so
// there the first question is answered with a count.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/kafka/producer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ASK_MS = 1000, CREATE_MS = 5000, APPEAR_MS = 5000, APPEAR_STEP_MS = 50 };

struct ensure {
    struct kafka_job job;
    struct kafka_producer *producer;
    struct kafka_topic *topic;
    rd_kafka_t *rk;
    rd_kafka_topic_t *handle;
    int32_t partitions, replication;
    int64_t retention_ms;
    kafka_topic_fn *fn;
    void *arg;
    int32_t result;
};

static int result_of(rd_kafka_event_t *ev)
{
    if (!ev)
        return -ETIMEDOUT;
    if (rd_kafka_event_error(ev))
        return kafka_code(rd_kafka_event_error(ev));
    size_t count = 0;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &count);
    rd_kafka_resp_err_t e = count ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
    return e == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? 0 : kafka_code(e);
}

// 0: it is there or being made.
static int create(const struct ensure *e)
{
    char text[256], retention[24], in_sync[16];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(e->topic->name, e->partitions, e->replication, text, sizeof(text));
    if (!topic)
        return -EINVAL;
    if (e->retention_ms > 0) {
        (void)snprintf(retention, sizeof(retention), "%" PRId64, e->retention_ms);
        (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", retention);
    }
    // acks=all waits for the replicas that are in sync, which may be one alone: what it acknowledged dies
    // with it. More than half is what the loss of any one of three leaves.
    if (e->replication >= 3) {
        (void)snprintf(in_sync, sizeof(in_sync), "%d", e->replication / 2 + 1);
        (void)rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", in_sync);
    }
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(e->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, CREATE_MS, text, sizeof(text));
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, text, sizeof(text));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(e->rk);
    rd_kafka_CreateTopics(e->rk, &topic, 1, options, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, CREATE_MS + ASK_MS);
    int rc = result_of(answer);
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return rc;
}

// A topic that was just made is not known to every broker at once.
static int32_t wait_until_known(const struct ensure *e)
{
    const struct timespec step = {.tv_nsec = APPEAR_STEP_MS * 1000000L};
    uint64_t end_us = clock_monotonic_us() + APPEAR_MS * UINT64_C(1000);
    int32_t count;
    while ((count = kafka_ask_partitions(e->rk, e->handle, ASK_MS)) <= 0 && clock_monotonic_us() < end_us &&
           !atomic_load(e->job.stopping))
        (void)nanosleep(&step, NULL);
    return count ? count : -ENOENT;
}

static void run(struct kafka_job *job)
{
    struct ensure *e = container_of(job, struct ensure, job);
    e->result = kafka_ask_partitions(e->rk, e->handle, ASK_MS);
    if (e->result != 0 && e->result != -ENOENT)
        return;
    int rc = create(e);
    e->result = rc < 0 ? rc : wait_until_known(e);
}

static void post(struct ensure *e)
{
    struct kafka_producer *p = e->producer;
    if (!p->client.worker) {
        STAILQ_INSERT_TAIL(&p->again, &e->job, link);
        return;
    }
    e->rk = p->client.rk;
    e->handle = e->topic->handle;
    kafka_worker_post(p->client.worker, &e->job);
}

static void done(struct kafka_job *job, bool run_was_called)
{
    struct ensure *e = container_of(job, struct ensure, job);
    if (!run_was_called || (e->result < 0 && e->producer->closing)) {
        post(e);
        return;
    }
    if (e->result > 0)
        e->topic->partitions = e->result;
    if (e->fn)
        e->fn(e->arg, e->topic->name, e->result);
    free(e);
}

void kafka_ensure_again(struct kafka_producer *p)
{
    STAILQ_HEAD(, kafka_job) again = STAILQ_HEAD_INITIALIZER(again);
    STAILQ_CONCAT(&again, &p->again);
    struct kafka_job *job;
    while ((job = STAILQ_FIRST(&again))) {
        STAILQ_REMOVE_HEAD(&again, link);
        post(container_of(job, struct ensure, job));
    }
}

void kafka_ensure_drop(struct kafka_producer *p)
{
    struct kafka_job *job;
    while ((job = STAILQ_FIRST(&p->again))) {
        STAILQ_REMOVE_HEAD(&p->again, link);
        free(container_of(job, struct ensure, job));
    }
}

void kafka_topic_ensure(struct kafka_producer *p, const struct kafka_topic_settings *s, kafka_topic_fn *fn,
                        void *arg)
{
    struct ensure *e = mem_alloc(sizeof(*e));
    e->job = (struct kafka_job){.run = run, .done = done};
    e->producer = p;
    e->topic = kafka_topic_get(&p->client, s->topic);
    e->partitions = s->partitions;
    e->replication = s->replication;
    e->retention_ms = s->retention_ms;
    e->fn = fn;
    e->arg = arg;
    post(e);
}
