// See consumer.h.
#include "common/kafka/consumer.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_DEFAULT_MS = 10000, POLL_LIMIT_MIN_MS = 30000, CLOSE_STEP_MS = 20 };

// ---- partitions

struct kafka_partition *kafka_partition_find(struct kafka_consumer *c, const char *topic, int32_t number)
{
    struct kafka_partition *p = c->last_found;
    if (p && p->number == number && strcmp(p->topic, topic) == 0)
        return p;
    TAILQ_FOREACH(p, &c->partitions, link) {
        if (p->number == number && strcmp(p->topic, topic) == 0)
            return c->last_found = p;
    }
    return NULL;
}

static void wake_fetching(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *e = rd_kafka_seek_partitions(c->client.rk, list, 0); // 0: does not wait
    if (e)
        rd_kafka_error_destroy(e);
}

void kafka_partition_flow(struct kafka_consumer *c, struct kafka_partition *p)
{
    bool flow = p->wanted && p->state == PARTITION_OURS;
    if (flow == p->flowing)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->number)->offset = p->position;
    // Both act at once: what was fetched before a pause is not given out any more, and is fetched again.
    if (!flow) {
        (void)rd_kafka_pause_partitions(c->client.rk, list);
    } else {
        (void)rd_kafka_resume_partitions(c->client.rk, list);
        // A resume alone is seen by the fetching thread at its next turn, up to a second later; a seek wakes
        // it.
        wake_fetching(c, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    p->flowing = flow;
}

static void want(struct kafka_consumer *c, const char *topic, int32_t number, bool wanted)
{
    struct kafka_partition *p = topic ? kafka_partition_find(c, topic, number) : NULL;
    if (topic) {
        if (p) {
            p->wanted = wanted;
            kafka_partition_flow(c, p);
        }
        return;
    }
    TAILQ_FOREACH(p, &c->partitions, link) {
        if (p->state == PARTITION_OURS) {
            p->wanted = wanted;
            kafka_partition_flow(c, p);
        }
    }
}

void kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    want(c, topic, partition, false);
}

void kafka_consumer_resume(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    want(c, topic, partition, true);
}

int64_t kafka_consumer_end(struct kafka_consumer *c, const char *topic, int32_t partition)
{
    const struct kafka_partition *p = kafka_partition_find(c, topic, partition);
    return p ? p->end : -1;
}

int32_t kafka_consumer_partitions(struct kafka_consumer *c, const char *topic)
{
    const struct kafka_topic *t = kafka_topic_find(&c->client, topic);
    return t ? t->partitions : 0;
}

// ---- records

static void release_event(void *owner)
{
    rd_kafka_event_destroy(owner);
}

// The records that were drained.
static void deliver(struct kafka_consumer *c)
{
    struct kafka_batch *b = &c->batch;
    if (b->record_count && !c->closing)
        c->params.on_records(c->params.arg, kafka_batch_records(b), b->record_count);
    kafka_batch_clear(b, release_event);
}

// True when a record of the event is in the batch, which then owns the event.
static bool take_records(struct kafka_consumer *c, rd_kafka_event_t *ev)
{
    const rd_kafka_message_t *m;
    bool taken = false;
    while ((m = rd_kafka_event_message_next(ev))) {
        struct kafka_partition *p =
            m->err ? NULL : kafka_partition_find(c, rd_kafka_topic_name(m->rkt), m->partition);
        if (!p || !p->flowing)
            continue;
        if (m->offset < p->position)
            p->end = -1; // the topic was deleted and made anew: its offsets begin again
        p->position = m->offset + 1;
        kafka_batch_add(&c->batch, m);
        taken = true;
    }
    if (taken)
        kafka_batch_own(&c->batch, ev);
    return taken;
}

static bool on_event(void *arg, rd_kafka_event_t *ev)
{
    struct kafka_consumer *c = arg;
    if (c->client.fatal && !c->closing)
        return false; // the answer to an earlier commit would prove a membership that is gone
    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_FETCH)
        return take_records(c, ev);
    deliver(c); // before what came after them
    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_REBALANCE)
        kafka_on_rebalance(c, ev);
    else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_OFFSET_COMMIT)
        kafka_on_commit_event(c, ev);
    return false;
}

static void on_drained(void *arg)
{
    struct kafka_consumer *c = arg;
    deliver(c);
    if (c->closing)
        return;
    if (FAULT_ASKED("consumer_fenced"))
        (void)rd_kafka_test_fatal_error(c->client.rk, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "asked for");
    kafka_place_new(c);
}

static void on_health(void *arg, bool up)
{
    struct kafka_consumer *c = arg;
    deliver(c);
    if (c->params.on_health && !c->closing && !c->client.fatal) // the brokers are not away
        c->params.on_health(c->params.arg, up);
}

static void on_fatal(void *arg, const struct error *why)
{
    struct kafka_consumer *c = arg;
    deliver(c);
    if (c->closing)
        return;
    c->unsettled = false; // whatever is being looked up settles nothing any more
    kafka_lose_all(c);
    if (c->params.on_fatal)
        c->params.on_fatal(c->params.arg, why);
}

void kafka_consumer_outlived(struct kafka_consumer *c)
{
    struct error why;
    if (!c->is_static || c->closing || c->client.fatal || TAILQ_EMPTY(&c->commits_sent))
        return;
    c->client.fatal = true;
    error_set(&why, -EAGAIN, "Kafka: the session ended while commits were under way");
    on_fatal(c, &why);
}

// ---- life

static int make_conf(const struct kafka_consumer_params *params, rd_kafka_conf_t **ret, struct error *err)
{
    uint32_t session_ms = params->session_timeout_ms ? params->session_timeout_ms : SESSION_DEFAULT_MS;
    uint32_t poll_ms = session_ms * 3 > POLL_LIMIT_MIN_MS ? session_ms * 3 : POLL_LIMIT_MIN_MS;
    char session[16], heartbeat[16], poll[16];
    (void)snprintf(session, sizeof(session), "%u", session_ms);
    (void)snprintf(heartbeat, sizeof(heartbeat), "%u", session_ms / 3);
    (void)snprintf(poll, sizeof(poll), "%u", poll_ms);
    const char *const own[] = {
        "group.id",
        params->group,
        "group.instance.id",
        params->instance_id ? params->instance_id : "",
        "partition.assignment.strategy",
        "cooperative-sticky",
        "enable.auto.commit",
        "false",
        "enable.auto.offset.store",
        "false",
        "auto.offset.reset",
        params->from_beginning ? "earliest" : "latest",
        "session.timeout.ms",
        session,
        "heartbeat.interval.ms",
        heartbeat,
        "max.poll.interval.ms",
        poll, // a loop that stands still this long has lost its partitions
        "fetch.error.backoff.ms",
        "100",
        "queued.min.messages",
        "10000",
        "queued.max.messages.kbytes",
        "16384",
        NULL,
    };
    int rc = kafka_conf_new(&params->common, own, ret, err);
    if (rc == 0)
        rd_kafka_conf_set_events(*ret, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE |
                                           RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR);
    return rc;
}

static int subscribe(struct kafka_consumer *c, const char *const *topics, size_t count, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        (void)kafka_topic_get(&c->client, topics[i]);
        (void)rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t e = rd_kafka_subscribe(c->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return e ? kafka_error_set(err, e, NULL) : 0;
}

int kafka_consumer_subscribe(struct kafka_consumer *c, const char *const *topics, size_t count)
{
    struct error err;
    int rc = subscribe(c, topics, count, &err);
    c->resubscribed = true;
    if (rc == 0)
        kafka_client_probe(&c->client);
    return rc;
}

static int open_client(struct kafka_consumer *c, const struct kafka_consumer_params *params,
                       struct error *err)
{
    rd_kafka_conf_t *conf;
    int rc = make_conf(params, &conf, err);
    if (rc < 0)
        return rc;
    c->client = (struct kafka_client){.base = params->common.base,
                                      .arg = c,
                                      .on_event = on_event,
                                      .on_drained = on_drained,
                                      .on_health = on_health,
                                      .on_trouble = params->common.on_trouble,
                                      .on_fatal = on_fatal};
    TAILQ_INIT(&c->client.topics);
    rc = kafka_client_open(&c->client, RD_KAFKA_CONSUMER, conf, err);
    rd_kafka_conf_destroy(conf);
    return rc;
}

int kafka_consumer_new(const struct kafka_consumer_params *params, struct kafka_consumer **ret,
                       struct error *err)
{
    struct kafka_consumer *c = mem_alloc(sizeof(*c));
    c->params = *params;
    c->is_static = params->instance_id && *params->instance_id;
    TAILQ_INIT(&c->partitions);
    TAILQ_INIT(&c->commits_sent);
    int rc = open_client(c, params, err);
    if (rc < 0) {
        free(c);
        return rc;
    }
    c->flush = event_new(params->common.base, -1, 0, kafka_on_flush, c);
    if (!c->flush)
        abort();
    rc = subscribe(c, params->topics, params->topic_count, err);
    if (rc < 0) {
        kafka_consumer_free(c, 0);
        return rc;
    }
    kafka_client_probe(&c->client);
    *ret = c;
    return 0;
}

// Closing gives every partition back and commits nothing; with a static membership the group keeps them for
// us until the session is over.
static bool close_group(struct kafka_consumer *c, uint32_t timeout_ms)
{
    uint64_t end_us = clock_monotonic_us() + timeout_ms * UINT64_C(1000);
    rd_kafka_error_t *e = rd_kafka_consumer_close_queue(c->client.rk, c->client.queue);
    if (e) {
        rd_kafka_error_destroy(e);
        return false;
    }
    while (!rd_kafka_consumer_closed(c->client.rk) && clock_monotonic_us() < end_us)
        kafka_client_drain(&c->client, CLOSE_STEP_MS);
    return rd_kafka_consumer_closed(c->client.rk);
}

// librdkafka 2.0 asserts that a joined member has the state of its first assignment when it is destroyed:
// between the two its handle is left to the end of the process, so that stopping is no abort. So is one that
// could not leave in time, since to destroy it takes until its requests to an absent broker time out; and one
// that asked for other topics, of which it may still hold a list when it is destroyed (rkcg_subscription).
static void end_client(struct kafka_consumer *c, bool closed)
{
    if (c->was_assigned && closed && !c->resubscribed)
        kafka_client_close(&c->client);
    else if (c->was_assigned && c->client.fatal) // it has left no group, and others may follow it
        kafka_client_cast_off(&c->client);
    else
        rd_kafka_queue_destroy(c->client.queue);
}

void kafka_consumer_free(struct kafka_consumer *c, uint32_t timeout_ms)
{
    if (!c)
        return;
    c->closing = true;
    kafka_client_quiet(&c->client);
    kafka_stop_leaving(c); // librdkafka leaves no group while it waits for us
    bool closed = close_group(c, timeout_ms);
    kafka_forget_commits(c);
    kafka_forget_partitions(c);
    kafka_batch_clear(&c->batch, release_event);
    kafka_batch_done(&c->batch);
    end_client(c, closed);
    kafka_client_forget_topics(&c->client);
    if (c->flush)
        event_free(c->flush);
    free(c);
}
