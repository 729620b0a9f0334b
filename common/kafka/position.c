// Where reading starts: looked up by the worker as a concrete offset and set there, before the owner hears of
// the partition. librdkafka's logical positions ("end") are looked up at the first fetch only, which would
// miss what is written in between.
#include "common/base/mem.h"
#include "common/kafka/consumer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ASK_MS = 1000, SEEK_MS = 1000, SEEK_TRIES = 100, SEEK_STEP_MS = 10 };

struct placing {
    struct kafka_job job;
    struct kafka_consumer *consumer;
    rd_kafka_t *rk;
    int64_t fallback; // OFFSET_BEGINNING or _END: for a partition without a committed offset
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_topic_partition_list_t *ends; // of the same partitions, in the same order
    uint64_t *terms;                       // of list's partitions
    int rc;
};

// ---- in the worker

// A partition that nothing was committed of and whose leader does not answer stays without an offset: the
// others do not wait for it.
static int ask_committed(struct placing *p)
{
    rd_kafka_resp_err_t e = rd_kafka_committed(p->rk, p->list, ASK_MS);
    if (e)
        return kafka_code(e);
    rd_kafka_topic_partition_list_t *without = rd_kafka_topic_partition_list_new(p->list->cnt);
    for (int i = 0; i < p->list->cnt && !e; i++) {
        const rd_kafka_topic_partition_t *item = &p->list->elems[i];
        e = item->err;
        if (item->offset < 0)
            rd_kafka_topic_partition_list_add(without, item->topic, item->partition)->offset = p->fallback;
    }
    int rc = kafka_code(e);
    if (rc == 0 && without->cnt > 0) // logical offsets as those of the broker, as of now
        kafka_ask_known_offsets(p->rk, without, ASK_MS, p->job.stopping);
    for (int i = 0; i < without->cnt && rc == 0; i++) {
        const rd_kafka_topic_partition_t *item = &without->elems[i];
        rd_kafka_topic_partition_list_find(p->list, item->topic, item->partition)->offset = item->offset;
    }
    rd_kafka_topic_partition_list_destroy(without);
    return rc;
}

// A partition without a leader has no end that could be told; it can be taken over all the same.
static void ask_ends(struct placing *p)
{
    for (int i = 0; i < p->list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &p->list->elems[i];
        rd_kafka_topic_partition_list_add(p->ends, item->topic, item->partition)->offset =
            RD_KAFKA_OFFSET_END;
    }
    kafka_ask_known_offsets(p->rk, p->ends, ASK_MS, p->job.stopping);
}

static rd_kafka_topic_partition_list_t *with_offsets(const struct placing *p)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(p->list);
    for (int i = list->cnt - 1; i >= 0; i--)
        if (list->elems[i].offset < 0)
            (void)rd_kafka_topic_partition_list_del_by_idx(list, i);
    return list;
}

// Leaves in `list` what librdkafka does not fetch yet: a new assignment starts when its own lookup is done.
static int seek_once(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *error = rd_kafka_seek_partitions(rk, list, SEEK_MS);
    int rc = error ? kafka_code(rd_kafka_error_code(error)) : 0;
    if (error)
        rd_kafka_error_destroy(error);
    for (int i = list->cnt - 1; i >= 0 && rc == 0; i--) {
        rd_kafka_resp_err_t e = list->elems[i].err;
        if (e == RD_KAFKA_RESP_ERR__STATE || e == RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS)
            continue;
        rc = kafka_code(e);
        if (rc == 0)
            (void)rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
    return rc;
}

static int seek(const struct placing *p)
{
    const struct timespec step = {.tv_nsec = SEEK_STEP_MS * 1000000L};
    rd_kafka_topic_partition_list_t *left = with_offsets(p);
    int rc = left->cnt > 0 ? seek_once(p->rk, left) : -ETIMEDOUT;
    for (int i = 0; i < SEEK_TRIES && rc == 0 && left->cnt > 0 && !atomic_load(p->job.stopping); i++) {
        (void)nanosleep(&step, NULL);
        rc = seek_once(p->rk, left);
    }
    if (rc == 0 && left->cnt > 0)
        rc = -ETIMEDOUT;
    rd_kafka_topic_partition_list_destroy(left);
    return rc;
}

// Only what was sought is paused: a pause that overtakes librdkafka's own start of a new assignment makes
// that start outdated, and the partition is never fetched. What comes before it is not given out, and fetched
// again.
static void hold(const struct placing *p)
{
    rd_kafka_topic_partition_list_t *list = with_offsets(p);
    (void)rd_kafka_pause_partitions(p->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void run(struct kafka_job *job)
{
    struct placing *p = container_of(job, struct placing, job);
    p->rc = ask_committed(p);
    if (p->rc == 0)
        p->rc = seek(p);
    if (p->rc == 0) {
        hold(p);
        ask_ends(p);
    }
}

// ---- on the loop

static struct placing *placing_new(struct kafka_consumer *c, size_t count)
{
    struct placing *p = mem_alloc(sizeof(*p));
    p->consumer = c;
    p->rk = c->client.rk;
    p->fallback = c->params.from_beginning ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    p->list = rd_kafka_topic_partition_list_new((int)count);
    p->ends = rd_kafka_topic_partition_list_new((int)count);
    p->terms = mem_array(count, sizeof(*p->terms));
    return p;
}

static void placing_add(struct placing *p, const struct kafka_partition *partition)
{
    p->terms[p->list->cnt] = partition->term;
    (void)rd_kafka_topic_partition_list_add(p->list, partition->topic, partition->number);
}

static void placing_free(struct placing *p)
{
    rd_kafka_topic_partition_list_destroy(p->list);
    rd_kafka_topic_partition_list_destroy(p->ends);
    free(p->terms);
    free(p);
}

// The partition that was meant, unless it left us since.
static struct kafka_partition *meant(struct placing *p, int i)
{
    const rd_kafka_topic_partition_t *item = &p->list->elems[i];
    struct kafka_partition *partition = kafka_partition_find(p->consumer, item->topic, item->partition);
    return partition && partition->term == p->terms[i] ? partition : NULL;
}

static void tell_assigned(struct placing *p, int i)
{
    struct kafka_consumer *c = p->consumer;
    struct kafka_partition *partition = meant(p, i);
    if (!partition)
        return;
    partition->placing = false;
    // The owner may ask for the count, so it must be known by now.
    if (p->rc < 0 || p->list->elems[i].offset < 0 || kafka_consumer_partitions(c, partition->topic) == 0)
        return; // the next tick tries again
    const rd_kafka_topic_partition_t *end = &p->ends->elems[i];
    partition->position = p->list->elems[i].offset;
    partition->end = end->err || end->offset < 0 ? -1 : end->offset;
    partition->state = PARTITION_OURS;
    c->params.on_assigned(c->params.arg, partition->topic, partition->number);
}

static void assigned_done(struct kafka_job *job, bool run_was_called)
{
    struct placing *p = container_of(job, struct placing, job);
    for (int i = 0; i < p->list->cnt && run_was_called && !p->consumer->closing; i++)
        tell_assigned(p, i);
    if (run_was_called && !p->consumer->closing)
        kafka_settle(p->consumer);
    placing_free(p);
}

void kafka_settle(struct kafka_consumer *c)
{
    const struct kafka_partition *partition;
    TAILQ_FOREACH(partition, &c->partitions, link) {
        if (partition->state == PARTITION_PLACING)
            return;
    }
    if (c->unsettled && c->params.on_rebalanced)
        c->params.on_rebalanced(c->params.arg);
    c->unsettled = false;
}

void kafka_place_new(struct kafka_consumer *c)
{
    size_t count = 0;
    struct kafka_partition *partition;
    TAILQ_FOREACH(partition, &c->partitions, link) {
        count += partition->state == PARTITION_PLACING && !partition->placing;
    }
    if (count == 0 || !c->client.worker)
        return;
    kafka_client_probe(&c->client);
    struct placing *p = placing_new(c, count);
    TAILQ_FOREACH(partition, &c->partitions, link) {
        if (partition->state == PARTITION_PLACING && !partition->placing) {
            partition->placing = true;
            placing_add(p, partition);
        }
    }
    p->job = (struct kafka_job){.run = run, .done = assigned_done};
    kafka_worker_post(c->client.worker, &p->job);
}
