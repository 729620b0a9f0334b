// Commits: those of one loop turn go to the coordinator in one request, and every one gets its own answer.
// The request is sent even when no offset moved, because its answer proves the membership.
// A static member sends none while no broker is reached.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/kafka/consumer.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

static void commits_free(struct kafka_commits *b)
{
    free(b->items);
    free(b);
}

void kafka_forget_commits(struct kafka_consumer *c)
{
    struct kafka_commits *b;
    while ((b = TAILQ_FIRST(&c->commits_sent))) {
        TAILQ_REMOVE(&c->commits_sent, b, link);
        commits_free(b);
    }
    if (c->commits)
        commits_free(c->commits);
    c->commits = NULL;
}

static int64_t offset_of(struct kafka_consumer *c, const char *topic, int32_t partition, int64_t next_offset)
{
    const struct kafka_partition *p = kafka_partition_find(c, topic, partition);
    if (next_offset >= 0)
        return next_offset;
    return p && p->position >= 0 ? p->position : -ESTALE;
}

void kafka_consumer_commit(struct kafka_consumer *c, const char *topic, int32_t partition,
                           int64_t next_offset)
{
    if (!c->commits)
        c->commits = mem_alloc(sizeof(*c->commits));
    struct kafka_commits *b = c->commits;
    if (b->count == b->size) {
        b->size = b->size ? b->size * 2 : 16;
        b->items = mem_resize(b->items, b->size, sizeof(*b->items));
    }
    b->items[b->count++] = (struct kafka_commit){
        .topic = kafka_topic_get(&c->client, topic)->name,
        .partition = partition,
        .next_offset = offset_of(c, topic, partition, next_offset),
        .sent_us = clock_monotonic_us(),
    };
    event_active(c->flush, EV_TIMEOUT, 0);
}

static void answer(struct kafka_consumer *c, const struct kafka_commit *item, const struct error *err)
{
    if (c->params.on_commit && !c->closing)
        c->params.on_commit(c->params.arg, err, item->sent_us);
}

static void answer_all(struct kafka_consumer *c, const struct kafka_commits *b,
                       const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t whole)
{
    struct error err;
    for (size_t i = 0; i < b->count; i++) {
        const struct kafka_commit *item = &b->items[i];
        if (item->next_offset < 0) {
            error_set(&err, (int)item->next_offset,
                      "Kafka: the partition is not ours, or not positioned yet");
            answer(c, item, &err);
            continue;
        }
        const rd_kafka_topic_partition_t *result =
            list ? rd_kafka_topic_partition_list_find(list, item->topic, item->partition) : NULL;
        rd_kafka_resp_err_t e = result && result->err ? result->err : whole;
        if (e)
            kafka_error_set(&err, e, NULL);
        answer(c, item, e ? &err : NULL);
    }
}

// The later of two commits of one partition is the one that counts.
static rd_kafka_topic_partition_list_t *list_of(const struct kafka_commits *b)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)b->count);
    for (size_t i = 0; i < b->count; i++) {
        const struct kafka_commit *item = &b->items[i];
        if (item->next_offset < 0)
            continue;
        rd_kafka_topic_partition_t *there =
            rd_kafka_topic_partition_list_find(list, item->topic, item->partition);
        if (!there)
            there = rd_kafka_topic_partition_list_add(list, item->topic, item->partition);
        there->offset = item->next_offset;
    }
    return list;
}

// librdkafka keeps what it cannot send for up to a session, and a session that ends meanwhile takes the
// member id with it: a coordinator that comes back then reads a commit of our static membership under no id,
// and fences us. So it is given nothing that it would keep.
static rd_kafka_resp_err_t hold_back(const struct kafka_consumer *c)
{
    bool late = c->is_static && c->client.health == KAFKA_DOWN;
    return late ? RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN : RD_KAFKA_RESP_ERR_NO_ERROR;
}

void kafka_on_flush(int fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kafka_consumer *c = arg;
    struct kafka_commits *b = c->commits;
    c->commits = NULL;
    if (!b)
        return;
    rd_kafka_topic_partition_list_t *list = list_of(b);
    rd_kafka_resp_err_t e = hold_back(c);
    if (list->cnt > 0 && !e)
        e = rd_kafka_commit_queue(c->client.rk, list, c->client.queue, NULL, b);
    if (list->cnt > 0 && !e) {
        TAILQ_INSERT_TAIL(&c->commits_sent, b, link);
    } else {
        answer_all(c, b, NULL, e);
        commits_free(b);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_on_commit_event(struct kafka_consumer *c, rd_kafka_event_t *ev)
{
    struct kafka_commits *b = rd_kafka_event_opaque(ev);
    struct kafka_commits *sent;
    TAILQ_FOREACH(sent, &c->commits_sent, link) {
        if (sent == b)
            break;
    }
    if (!sent)
        return; // librdkafka's own, not one of ours
    TAILQ_REMOVE(&c->commits_sent, b, link);
    answer_all(c, b, rd_kafka_event_topic_partition_list(ev), rd_kafka_event_error(ev));
    commits_free(b);
}
