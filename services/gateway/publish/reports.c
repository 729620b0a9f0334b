// See reports.h. Records become batches, batches scripts; a batch is committed when it and all before it are
// applied. What Redis refuses for now stays in its batch and is sent again.
#include "services/gateway/publish/reports.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/gateway/publish/apply.h"
#include "services/gateway/publish/batch.h"
#include "services/gateway/publish/places.h"
#include "services/gateway/publish/positions.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIGH_WATER     2000 // reports with Redis or waiting for it: the partitions pause
#define LOW_WATER      500
#define RETRY_MS       200
#define FOLLOW_MS      50      // new places often come together
#define LAG_IS_TOLD_US 1000000 // that long after it was measured
#define SETTLE_US      2000000 // from a new partition, or Kafka's return, until what waits there has been read
#define MISSED_MOST_US 20000000 // that nobody gives us a partition again is believed no longer than this

struct reports {
    struct hub *hub;
    struct kafka_consumer *consumer;
    size_t followed;             // places whose status topics are subscribed to
    TAILQ_HEAD(, batch) batches; // in the order of reading, and committed in it
    size_t open;                 // reports in them, not applied yet
    bool paused;
    bool broken; // the consumer: only to be freed
    struct event *follow, *retry, *commit_again;
    struct positions positions; // of the partitions that are ours
    uint64_t lag_us, lag_at_us; // of the last batch, as it was applied
    uint64_t deaf_until_us;     // reports may wait in Kafka that we were not given
    bool put_out;               // its group took our partitions away, and has given us none since
};

static void be_deaf_for(struct reports *r, uint64_t us)
{
    r->deaf_until_us = clock_monotonic_us() + us;
}

// ---- flow

static void steer(struct reports *r)
{
    bool pause = !hub_redis_usable(r->hub) || r->hub->stopping || r->open > HIGH_WATER ||
                 (r->paused && r->open > LOW_WATER);
    if (pause == r->paused || !r->consumer)
        return;
    r->paused = pause;
    if (pause)
        kafka_consumer_pause(r->consumer, NULL, -1);
    else
        kafka_consumer_resume(r->consumer, NULL, -1);
}

// ---- applying

// Of a partition that went to another gateway nothing is committed: it may be further by now.
static void note_applied(struct reports *r, const struct batch_offset *o)
{
    if (positions_set(&r->positions, o->topic, o->partition, o->next) && r->consumer)
        kafka_consumer_commit(r->consumer, o->topic, o->partition, o->next);
}

static void finish_batch(struct reports *r, struct batch *b)
{
    uint64_t now_ms = clock_wall_ms();
    r->lag_us = b->oldest_ms < now_ms ? (now_ms - b->oldest_ms) * 1000 : 0;
    r->lag_at_us = clock_monotonic_us();
    hub_observe(r->hub, BUS_STATUS_LAG, r->lag_us);
    for (size_t i = 0; i < b->offset_count; i++)
        note_applied(r, &b->offsets[i]);
    TAILQ_REMOVE(&r->batches, b, link);
    batch_free(b);
}

// Offsets are committed up to the first batch that Redis has not taken whole.
static void finish_batches(struct reports *r)
{
    struct batch *b;
    while ((b = TAILQ_FIRST(&r->batches)) && !batch_count(b))
        finish_batch(r, b);
    steer(r);
}

static void on_applied(void *arg, const struct redis_value *v, const struct error *err)
{
    struct batch_item *i = arg;
    struct reports *r = i->batch->owner;
    i->sent = false;
    if (!apply_answered(r->hub, i->report, v, err)) {
        log_limited(LOG_WARNING, "publish", 0, "reports wait for Redis: %s", err->text);
        if (!r->hub->stopping)
            timer_in_ms(r->retry, RETRY_MS);
        return;
    }
    r->open--;
    batch_item_done(i);
    finish_batches(r);
}

static void send_batch(struct reports *r, struct batch *b)
{
    struct batch_item *i, *next;
    HASH_ITER(hh, b->items, i, next) {
        if (!i->sent) {
            i->sent = true;
            apply_send(r->hub, i->report, on_applied, i);
        }
    }
}

static void send_all(struct reports *r)
{
    struct batch *b;
    if (hub_redis_usable(r->hub))
        TAILQ_FOREACH(b, &r->batches, link)
            send_batch(r, b);
    steer(r);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    send_all(arg);
}

void reports_redis_usable(struct reports *r)
{
    send_all(r);
}

void reports_hold(struct reports *r)
{
    steer(r);
}

// ---- reading

static struct str place_of(const struct hub *h, const char *topic)
{
    struct str all = str_of(topic);
    size_t skip = strlen(h->params.topic_prefix) + strlen(".status.");
    return str_slice(all, skip, all.n);
}

static void add_record(struct reports *r, struct batch *b, const struct kafka_record *record)
{
    struct report *report;
    struct error err;
    batch_note_offset(b, record);
    if (report_read(record, place_of(r->hub, record->topic), clock_wall_ms(), &report, &err)) {
        hub_count(r->hub, BUS_POISON, POISON_STATUS, 1);
        log_limited(LOG_WARNING, "publish", 0, "record %s/%d@%lld skipped: %s", record->topic,
                    (int)record->partition, (long long)record->offset, err.text);
        return;
    }
    if (batch_add(b, report))
        hub_count(r->hub, BUS_REPORTS_MERGED, 0, 1);
}

static void on_records(void *arg, const struct kafka_record *records, size_t count)
{
    struct reports *r = arg;
    struct batch *b = batch_new(r);
    for (size_t i = 0; i < count; i++)
        add_record(r, b, &records[i]);
    r->open += batch_count(b);
    TAILQ_INSERT_TAIL(&r->batches, b, link);
    if (hub_redis_usable(r->hub))
        send_batch(r, b);
    finish_batches(r);
}

static void on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct reports *r = arg;
    r->put_out = false;
    be_deaf_for(r, SETTLE_US);
    positions_add(&r->positions, topic, partition);
    if (!r->paused)
        kafka_consumer_resume(r->consumer, topic, partition);
}

// What was read of it is applied by two gateways then, which (epoch, seq) makes harmless.
static void on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    struct reports *r = arg;
    if (lost) {
        r->put_out = true;
        be_deaf_for(r, MISSED_MOST_US);
    }
    positions_remove(&r->positions, topic, partition);
    kafka_consumer_release(r->consumer, topic, partition);
}

static void commit_position(void *arg, const char *topic, int32_t partition, int64_t next)
{
    struct reports *r = arg;
    kafka_consumer_commit(r->consumer, topic, partition, next);
}

static void on_commit_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct reports *r = arg;
    if (r->consumer && !r->broken)
        positions_each(&r->positions, r, commit_position);
}

// Where no report follows, nothing else would commit it, and snapshots would wait for it each time.
static void on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    (void)sent_us;
    struct reports *r = arg;
    if (!err)
        return;
    log_limited(LOG_INFO, "publish", 0, "offsets not committed, reports may come again: %s", err->text);
    timer_in_ms(r->commit_again, RETRY_MS);
}

static void on_health(void *arg, bool up)
{
    struct reports *r = arg; // the log's line is the producer's
    if (!up)
        be_deaf_for(r, MISSED_MOST_US);
    else if (r->deaf_until_us && !r->put_out)
        be_deaf_for(r, SETTLE_US);
}

static void on_fatal(void *arg, const struct error *why)
{
    struct reports *r = arg;
    log_line(LOG_ERROR, "publish", 0, "the reader of status topics is given up and made anew: %s", why->text);
    r->broken = true;
    reports_follow(r);
}

void reports_group(const struct hub *h, char ret[REPORTS_GROUP_BYTES])
{
    (void)snprintf(ret, REPORTS_GROUP_BYTES, "%s-gateway", h->params.topic_prefix);
}

static int start_consumer(struct reports *r, const char *const *topics, size_t count)
{
    struct hub *h = r->hub;
    char group[REPORTS_GROUP_BYTES];
    reports_group(h, group);
    const struct kafka_consumer_params params = {.common = hub_kafka_params(h),
                                                 .group = group,
                                                 .topics = topics,
                                                 .topic_count = count,
                                                 .from_beginning = true,
                                                 .session_timeout_ms = h->params.session_timeout_ms,
                                                 .arg = r,
                                                 .on_records = on_records,
                                                 .on_assigned = on_assigned,
                                                 .on_revoked = on_revoked,
                                                 .on_commit = on_commit,
                                                 .on_health = on_health,
                                                 .on_fatal = on_fatal};
    struct error err;
    r->paused = false;
    r->put_out = true;
    be_deaf_for(r, MISSED_MOST_US);
    int rc = kafka_consumer_new(&params, &r->consumer, &err);
    if (rc)
        log_line(LOG_ERROR, "publish", 0, "status topics cannot be read: %s", err.text);
    return rc;
}

static void on_follow(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct reports *r = arg;
    if (r->broken)
        reports_leave(r, 0);
    const char **topics = mem_array(places_count(r->hub->places), sizeof(*topics));
    size_t count = 0;
    for (struct place *p = places_next(r->hub->places, NULL); p; p = places_next(r->hub->places, p))
        if (place_was_ready(p))
            topics[count++] = place_status_topic(p);
    int rc = 0;
    if (count > r->followed)
        rc = r->consumer ? kafka_consumer_subscribe(r->consumer, topics, count)
                         : start_consumer(r, topics, count);
    if (!rc)
        r->followed = count;
    else
        timer_in_ms(r->follow, RETRY_MS);
    free(topics);
}

void reports_follow(struct reports *r)
{
    if (!r->hub->stopping)
        timer_in_ms(r->follow, FOLLOW_MS);
}

// ---- state

uint64_t reports_lag_us(const struct reports *r)
{
    const struct batch *oldest = TAILQ_FIRST(&r->batches);
    uint64_t now_ms = clock_wall_ms(), now_us = clock_monotonic_us();
    if (now_us < r->deaf_until_us)
        return UINT64_MAX;
    if (oldest)
        return oldest->oldest_ms < now_ms ? (now_ms - oldest->oldest_ms) * 1000 : 0;
    return now_us - r->lag_at_us < LAG_IS_TOLD_US ? r->lag_us : 0;
}

int64_t reports_applied(const struct reports *r, const char *topic, int32_t partition)
{
    return positions_get(&r->positions, topic, partition);
}

struct reports *reports_new(struct hub *h)
{
    struct reports *r = mem_alloc(sizeof(*r));
    r->hub = h;
    TAILQ_INIT(&r->batches);
    r->follow = event_new(h->base, -1, 0, on_follow, r);
    r->retry = event_new(h->base, -1, 0, on_retry, r);
    r->commit_again = event_new(h->base, -1, 0, on_commit_again, r);
    return r;
}

void reports_leave(struct reports *r, uint32_t timeout_ms)
{
    if (r->consumer)
        kafka_consumer_free(r->consumer, timeout_ms);
    r->consumer = NULL;
    positions_done(&r->positions);
    r->followed = 0;
    r->broken = false;
}

void reports_free(struct reports *r)
{
    struct batch *b;
    while ((b = TAILQ_FIRST(&r->batches))) {
        TAILQ_REMOVE(&r->batches, b, link);
        batch_free(b);
    }
    event_free(r->follow);
    event_free(r->retry);
    event_free(r->commit_again);
    positions_done(&r->positions);
    free(r);
}
