// Which topics the broker has, asked in the worker's thread. Makes none.
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/kafka/producer.h"

#include <errno.h>
#include <stdlib.h>

enum { LIST_MS = 3000 };

struct list {
    struct kafka_job job;
    rd_kafka_t *rk;
    char *prefix;
    kafka_topics_fn *fn;
    void *arg;
    int rc;
    char **names;
    size_t count;
};

static void take_names(struct list *l, const struct rd_kafka_metadata *md)
{
    l->names = mem_array((size_t)md->topic_cnt + 1, sizeof(*l->names));
    for (int i = 0; i < md->topic_cnt; i++)
        if (str_starts(str_of(md->topics[i].topic), str_of(l->prefix)))
            l->names[l->count++] = mem_dup_cstr(md->topics[i].topic);
}

static void run(struct kafka_job *job)
{
    struct list *l = container_of(job, struct list, job);
    const struct rd_kafka_metadata *md = NULL;
    l->rc = kafka_code(rd_kafka_metadata(l->rk, 1, NULL, &md, LIST_MS));
    if (md) {
        take_names(l, md);
        rd_kafka_metadata_destroy(md);
    }
}

static void done(struct kafka_job *job, bool run_was_called)
{
    struct list *l = container_of(job, struct list, job);
    l->fn(l->arg, run_was_called ? l->rc : -ECANCELED, (const char *const *)l->names, l->count);
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    free(l->prefix);
    free(l);
}

void kafka_topics(struct kafka_producer *p, const char *prefix, kafka_topics_fn *fn, void *arg)
{
    struct list *l = mem_alloc(sizeof(*l));
    *l = (struct list){.job = {.run = run, .done = done},
                       .rk = p->client.rk,
                       .prefix = mem_dup_cstr(prefix),
                       .fn = fn,
                       .arg = arg};
    if (p->client.worker)
        kafka_worker_post(p->client.worker, &l->job);
    else
        done(&l->job, false); // between two handles
}
