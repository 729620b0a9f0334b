// What the group gives and takes. Cooperative: only the partitions that move are touched. A partition that is
// taken stays ours until its owner released it; librdkafka goes on with the rebalance only then, and
// meanwhile keeps the membership alive.
#include "common/base/mem.h"
#include "common/kafka/consumer.h"

#include <stdlib.h>

static void forget(struct kafka_consumer *c, struct kafka_partition *p)
{
    if (c->last_found == p)
        c->last_found = NULL;
    TAILQ_REMOVE(&c->partitions, p, link);
    free(p);
}

void kafka_forget_partitions(struct kafka_consumer *c)
{
    while (!TAILQ_EMPTY(&c->partitions))
        forget(c, TAILQ_FIRST(&c->partitions));
    if (c->leaving)
        rd_kafka_topic_partition_list_destroy(c->leaving);
    c->leaving = NULL;
}

// ---- given

static void assign(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *e = rd_kafka_incremental_assign(c->client.rk, list);
    if (e) {
        // Only where the handle is on its way out: nothing is ours then.
        rd_kafka_error_destroy(e);
        return;
    }
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *p = mem_alloc(sizeof(*p));
        p->topic = kafka_topic_get(&c->client, list->elems[i].topic)->name;
        p->number = list->elems[i].partition;
        p->state = PARTITION_PLACING;
        p->term = ++c->terms;
        p->position = p->end = -1;
        TAILQ_INSERT_TAIL(&c->partitions, p, link);
    }
    c->unsettled = true;
    kafka_place_new(c);
    kafka_settle(c);
}

// ---- taken

static void unassign(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *e = rd_kafka_incremental_unassign(c->client.rk, list);
    if (e)
        rd_kafka_error_destroy(e); // only where the handle is on its way out
}

static void finish_leaving(struct kafka_consumer *c)
{
    if (!c->leaving || c->leaving_count > 0)
        return;
    rd_kafka_topic_partition_list_t *list = c->leaving;
    c->leaving = NULL;
    unassign(c, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void leave(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    if (!c->leaving)
        c->leaving = rd_kafka_topic_partition_list_new(list->cnt);
    c->leaving_count++; // ours, so that a release inside on_revoked does not end it too early
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &list->elems[i];
        struct kafka_partition *p = kafka_partition_find(c, item->topic, item->partition);
        (void)rd_kafka_topic_partition_list_add(c->leaving, item->topic, item->partition);
        if (p && p->state == PARTITION_PLACING)
            forget(c, p); // its owner never knew
        else if (p && p->state == PARTITION_OURS) {
            p->state = PARTITION_LEAVING;
            c->leaving_count++;
            kafka_partition_flow(c, p);
        }
    }
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &list->elems[i];
        const struct kafka_partition *p = kafka_partition_find(c, item->topic, item->partition);
        if (p && p->state == PARTITION_LEAVING)
            c->params.on_revoked(c->params.arg, p->topic, p->number, false);
    }
    c->leaving_count--;
    finish_leaving(c);
}

void kafka_consumer_release(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    struct kafka_partition *p = kafka_partition_find(c, topic, partition);
    if (!p || p->state != PARTITION_LEAVING)
        return;
    forget(c, p);
    c->leaving_count--;
    finish_leaving(c);
}

// Takes one out of our list and tells its owner that it is gone.
static void lose(struct kafka_consumer *c, struct kafka_partition *p)
{
    struct kafka_partition gone = *p;
    forget(c, p);
    if (gone.state == PARTITION_LEAVING && c->leaving_count > 0)
        c->leaving_count--;
    if (gone.state != PARTITION_PLACING && !c->closing)
        c->params.on_revoked(c->params.arg, gone.topic, gone.number, true);
}

static void lose_listed(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    unassign(c, list);
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *p = kafka_partition_find(c, list->elems[i].topic, list->elems[i].partition);
        if (p)
            lose(c, p);
    }
}

void kafka_stop_leaving(struct kafka_consumer *c)
{
    rd_kafka_topic_partition_list_t *list = c->leaving;
    if (!list)
        return;
    c->leaving = NULL;
    c->leaving_count = 0;
    lose_listed(c, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_lose_all(struct kafka_consumer *c)
{
    while (!TAILQ_EMPTY(&c->partitions))
        lose(c, TAILQ_FIRST(&c->partitions));
}

void kafka_on_rebalance(struct kafka_consumer *c, rd_kafka_event_t *ev)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);
    c->was_assigned = true;
    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (c->closing)
            (void)rd_kafka_assign(c->client.rk, NULL);
        else
            assign(c, list);
    } else if (c->closing || rd_kafka_assignment_lost(c->client.rk)) {
        kafka_stop_leaving(c);
        lose_listed(c, list);
        kafka_consumer_outlived(c);
    } else {
        leave(c, list);
    }
}
