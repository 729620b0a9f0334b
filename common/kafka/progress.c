// How far a consumer's group has come in topics, asked in the worker's thread: three requests for all of
// them, whoever of the group reads which partition.
#include "common/base/mem.h"
#include "common/kafka/consumer.h"

#include <errno.h>
#include <stdlib.h>

enum { ASK_MS = 1000, END_WAIT_MS = 1000 };

struct kafka_group {
    rd_kafka_t *rk;
    struct kafka_worker *worker;
};

struct asked_topic {
    struct kafka_progress told; // owns what its strings and partitions point to
    char *name;
    struct kafka_position *positions;
    bool *led; // by partition: somebody can tell where it ends
};

struct asking {
    struct kafka_job job;
    rd_kafka_t *rk;
    kafka_progress_fn *fn;
    void *arg;
    size_t count;
    struct asked_topic *topics;
};

// ---- in the worker

// Count of partitions, or a negative code; none where there is no such topic.
static int32_t take_metadata(struct asked_topic *t, const struct rd_kafka_metadata *md)
{
    const rd_kafka_metadata_topic_t *m = md->topic_cnt > 0 ? &md->topics[0] : NULL;
    if (!m)
        return -ENOTCONN;
    if (m->err)
        return kafka_code(m->err) == -ENOENT ? 0 : kafka_code(m->err);
    size_t count = (size_t)m->partition_cnt;
    t->positions = mem_array(count + 1, sizeof(*t->positions));
    t->led = mem_array(count + 1, sizeof(*t->led));
    for (size_t i = 0; i < count; i++)
        t->positions[i] = (struct kafka_position){.end = -1, .next = -1};
    for (size_t i = 0; i < count; i++)
        if (m->partitions[i].id >= 0 && m->partitions[i].id < m->partition_cnt)
            t->led[m->partitions[i].id] = m->partitions[i].leader >= 0;
    return m->partition_cnt;
}

static int32_t ask_topic(rd_kafka_t *rk, struct asked_topic *t)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, t->name, NULL);
    if (!handle)
        return -EINVAL;
    rd_kafka_resp_err_t e = rd_kafka_metadata(rk, 0, handle, &md, ASK_MS);
    rd_kafka_topic_destroy(handle);
    if (e)
        return kafka_code(e);
    int32_t count = take_metadata(t, md);
    rd_kafka_metadata_destroy(md);
    return count;
}

// The first that nobody answers for is the last that is asked for.
static void ask_topics(struct asking *a)
{
    int32_t rc = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct asked_topic *t = &a->topics[i];
        if (rc != -ENOTCONN && rc != -ETIMEDOUT && !atomic_load(a->job.stopping))
            rc = ask_topic(a->rk, t);
        t->told.count = rc;
        t->told.partitions = t->positions;
    }
}

typedef bool choose_fn(const struct asked_topic *t, int32_t number);

// Each item's opaque is what is known of its partition.
static rd_kafka_topic_partition_list_t *list_of(const struct asking *a, choose_fn *chosen, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < a->count; i++) {
        const struct asked_topic *t = &a->topics[i];
        for (int32_t n = 0; n < t->told.count; n++) {
            if (!chosen(t, n))
                continue;
            rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_add(list, t->name, n);
            item->offset = offset;
            item->opaque = &t->positions[n];
        }
    }
    return list;
}

static bool is_led(const struct asked_topic *t, int32_t number)
{
    return t->led[number];
}

static void ask_ends(struct asking *a)
{
    rd_kafka_topic_partition_list_t *list = list_of(a, is_led, RD_KAFKA_OFFSET_END);
    if (list->cnt > 0)
        (void)kafka_ask_offsets(a->rk, list, 0, a->job.stopping);
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_position *p = list->elems[i].opaque;
        if (!list->elems[i].err && list->elems[i].offset >= 0)
            p->end = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static bool any(const struct asked_topic *t, int32_t number)
{
    (void)t, (void)number;
    return true;
}

// False: the coordinator did not say.
static bool ask_committed(struct asking *a)
{
    rd_kafka_topic_partition_list_t *list = list_of(a, any, RD_KAFKA_OFFSET_INVALID);
    bool said = list->cnt > 0 && !rd_kafka_committed(a->rk, list, ASK_MS);
    for (int i = 0; said && i < list->cnt; i++) {
        struct kafka_position *p = list->elems[i].opaque;
        if (!list->elems[i].err && list->elems[i].offset >= 0)
            p->next = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return said;
}

static bool is_left(const struct asked_topic *t, int32_t number)
{
    return t->led[number] && t->positions[number].next < t->positions[number].end;
}

// What the topic does not hold any more nobody will read.
static void ask_beginnings(struct asking *a)
{
    rd_kafka_topic_partition_list_t *list = list_of(a, is_left, RD_KAFKA_OFFSET_BEGINNING);
    if (list->cnt > 0)
        (void)kafka_ask_offsets(a->rk, list, 0, a->job.stopping);
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_position *p = list->elems[i].opaque;
        if (!list->elems[i].err && list->elems[i].offset > p->next)
            p->next = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void run(struct kafka_job *job)
{
    struct asking *a = container_of(job, struct asking, job);
    ask_topics(a);
    ask_ends(a);
    if (!atomic_load(job->stopping) && ask_committed(a))
        ask_beginnings(a);
}

// ---- on the loop

static void done(struct kafka_job *job, bool run_was_called)
{
    struct asking *a = container_of(job, struct asking, job);
    struct kafka_progress *told = mem_array(a->count, sizeof(*told));
    for (size_t i = 0; i < a->count; i++) {
        told[i] = a->topics[i].told;
        if (!run_was_called)
            told[i].count = -ECANCELED;
    }
    a->fn(a->arg, told, a->count);
    for (size_t i = 0; i < a->count; i++) {
        free(a->topics[i].name);
        free(a->topics[i].positions);
        free(a->topics[i].led);
    }
    free(told);
    free(a->topics);
    free(a);
}

void kafka_group_ask(struct kafka_group *g, const char *const *topics, size_t count, kafka_progress_fn *fn,
                     void *arg)
{
    struct asking *a = mem_alloc(sizeof(*a));
    *a = (struct asking){.job = {.run = run, .done = done},
                         .rk = g->rk,
                         .fn = fn,
                         .arg = arg,
                         .count = count,
                         .topics = mem_array(count, sizeof(*a->topics))};
    for (size_t i = 0; i < count; i++) {
        a->topics[i].name = mem_dup_cstr(topics[i]);
        a->topics[i].told.topic = a->topics[i].name;
    }
    kafka_worker_post(g->worker, &a->job);
}

int kafka_group_new(const struct kafka_params *p, const char *group, struct kafka_group **ret,
                    struct error *err)
{
    const char *const own[] = {"group.id", group, "enable.auto.commit", "false", NULL};
    char text[256];
    rd_kafka_conf_t *conf;
    int rc = kafka_conf_new(p, own, &conf, err);
    if (rc < 0)
        return rc;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, -EINVAL, "Kafka client: %s", text);
    }
    struct kafka_group *g = mem_alloc(sizeof(*g));
    g->rk = rk;
    g->worker = kafka_worker_new(p->base);
    *ret = g;
    return 0;
}

void kafka_group_free(struct kafka_group *g)
{
    if (!g)
        return;
    kafka_worker_free(g->worker);
    kafka_handle_end(g->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, END_WAIT_MS);
    free(g);
}
