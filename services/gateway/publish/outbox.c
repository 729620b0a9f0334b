// See outbox.h. A shard goes round: own, read, send, delete what was acknowledged. The next reading waits for
// the end of this one, so that no event is read twice by one gateway.
#include "services/gateway/publish/outbox.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/outbox_entry.h"
#include "services/gateway/store/keys.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNED_MS      3000
#define RENEW_US      1000000
#define POLL_MS       200
#define COLLECT_MS    20 // see acks.c: events of so long are read, and deleted, at once
#define LOOK_AGAIN_US 10000000
#define READ_COUNT    64 // also the most that are under way of a shard
#define RETENTION_MS  (7ll * 24 * 3600 * 1000)

enum sent_state { SENT_NOT, SENT_UNDER_WAY, SENT_DONE };

struct outbox_event {
    struct delivery delivery;
    struct shard_outbox *owner;
    struct outbox_entry *entry;
    enum sent_state state;
};

struct shard_outbox {
    struct outbox *outbox;
    unsigned shard;
    bool owned, asking;
    uint64_t asked_us;
    uint64_t owned_until_us; // at most: nobody else has it before
    bool reading;
    bool more;    // nudged
    bool full;    // the last reading was: there is more at once
    bool failed;  // one of the events under way: the rest waits for the next turn
    int64_t left; // in the stream, as Redis said last
    size_t count, under_way;
    struct outbox_event events[READ_COUNT];
};

struct outbox {
    struct hub *hub;
    struct event *turn, *collected;
    char topic[128];
    bool ready, ensuring;
    uint64_t ensured_us;
    struct shard_outbox shards[STORE_SHARDS];
};

static void drive(struct shard_outbox *s);
static void pump(struct shard_outbox *s);

// ---- ownership

// A gateway that stood still may have lost it to another one, which is further by now.
static bool is_ours(const struct shard_outbox *s)
{
    return s->owned && clock_monotonic_us() < s->owned_until_us;
}

static void on_own(void *arg, const struct redis_value *v, const struct error *err)
{
    struct shard_outbox *s = arg;
    s->asking = false;
    s->owned = !err && redis_int(redis_at(v, 0)) == 1;
    s->owned_until_us = s->asked_us + OWNED_MS * UINT64_C(1000);
    s->left = s->owned ? redis_int(redis_at(v, 1)) : 0;
    int64_t left = 0;
    for (size_t i = 0; i < STORE_SHARDS; i++)
        left += s->outbox->shards[i].left;
    hub_gauge(s->outbox->hub, BUS_OUTBOX, left);
    if (s->owned)
        drive(s);
}

static void ask(struct shard_outbox *s, uint32_t for_ms)
{
    struct hub *h = s->outbox->hub;
    struct buf owner cleanup(buf_done) = BUF_INIT, stream cleanup(buf_done) = BUF_INIT;
    struct buf ms cleanup(buf_done) = BUF_INIT;
    key_shard(&owner, s->shard, "outbox:owner");
    key_shard(&stream, s->shard, "outbox");
    buf_add_u64(&ms, for_ms);
    const struct str argv[] = {buf_str(&owner), buf_str(&stream), str_of(h->process), buf_str(&ms)};
    s->asking = true;
    s->asked_us = clock_monotonic_us();
    redis_script(h->redis, &h->scripts.own, on_own, s, 2, ARRAY_LEN(argv), argv);
}

// ---- one reading: at most READ_COUNT events, then their deletion

static void on_deleted(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)arg, (void)v;
    if (err)
        log_limited(LOG_INFO, "publish", 0, "events not taken off the outbox, they will come again: %s",
                    err->text);
}

static void delete_done(struct shard_outbox *s)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_shard(&key, s->shard, "outbox");
    struct str argv[2 + READ_COUNT] = {STR_LIT("XDEL"), buf_str(&key)};
    size_t argc = 2;
    for (size_t i = 0; i < s->count; i++)
        if (s->events[i].state == SENT_DONE)
            argv[argc++] = str_of(s->events[i].entry->stream_id);
    if (argc > 2)
        redis_command(s->outbox->hub->redis, on_deleted, NULL, argc, argv);
}

static void collect(struct outbox *o)
{
    if (!event_pending(o->collected, EV_TIMEOUT, NULL))
        timer_in_ms(o->collected, COLLECT_MS);
}

static void finish_reading(struct shard_outbox *s)
{
    delete_done(s);
    for (size_t i = 0; i < s->count; i++)
        outbox_entry_free(s->events[i].entry);
    s->count = 0;
    bool failed = s->failed;
    s->failed = false;
    if (s->outbox->hub->stopping)
        ask(s, 0); // behind the deletion: the next owner finds nothing that was sent
    else if (s->full && !failed)
        drive(s);
    else if (s->more && !failed)
        collect(s->outbox);
}

static void on_delivered(struct delivery *d, const struct error *err)
{
    struct outbox_event *e = container_of(d, struct outbox_event, delivery);
    struct shard_outbox *s = e->owner;
    s->under_way--;
    e->state = err ? SENT_NOT : SENT_DONE;
    if (err) {
        s->failed = true;
        s->outbox->ready = false; // the broker may have come back without the topic
        log_limited(LOG_WARNING, "publish", e->entry->id, "event not delivered: %s", err->text);
    } else {
        hub_count(s->outbox->hub, BUS_EVENTS, 0, 1);
    }
    pump(s);
}

// Events of one registration go out one after the other, so that a failed one is not overtaken.
static bool has_earlier(const struct shard_outbox *s, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (s->events[i].entry->id == s->events[index].entry->id && s->events[i].state != SENT_DONE)
            return true;
    return false;
}

static void send_event(struct shard_outbox *s, struct outbox_event *e)
{
    struct hub *h = s->outbox->hub;
    char key[MESSAGE_ID_BYTES];
    (void)snprintf(key, sizeof(key), "%" PRIu64, e->entry->id);
    const struct cloud_event attributes = outbox_entry_attributes(e->entry);
    int rc = outbox_entry_is_whole(e->entry)
                 ? hub_produce(h, s->outbox->topic, str_of(key), buf_str(&e->entry->value), &attributes,
                               &e->delivery)
                 : -EINVAL;
    if (!rc) {
        e->state = SENT_UNDER_WAY;
        s->under_way++;
    } else if (rc == -EAGAIN) {
        s->failed = true;
    } else {
        e->state = SENT_DONE;
        hub_count(h, BUS_POISON, POISON_OUTBOX, 1);
        log_limited(LOG_ERROR, "publish", e->entry->id, "outbox entry %s skipped: %s", e->entry->stream_id,
                    strerror(-rc));
    }
}

static void pump(struct shard_outbox *s)
{
    size_t done = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct outbox_event *e = &s->events[i];
        s->failed = s->failed || s->outbox->hub->stopping || !is_ours(s);
        if (e->state == SENT_NOT && !s->failed && !has_earlier(s, i))
            send_event(s, e);
        done += e->state == SENT_DONE;
    }
    if (s->count && !s->under_way && (s->failed || done == s->count))
        finish_reading(s);
}

static void on_read(void *arg, const struct redis_value *v, const struct error *err)
{
    struct shard_outbox *s = arg;
    s->reading = false;
    if (err || !is_ours(s) || s->outbox->hub->stopping)
        return;
    for (size_t i = 0; i < redis_count(v) && s->count < READ_COUNT; i++) {
        struct outbox_entry *entry = outbox_entry_read(redis_at(v, i), s->shard);
        if (entry)
            s->events[s->count++] =
                (struct outbox_event){.delivery = {.done = on_delivered}, .owner = s, .entry = entry};
    }
    s->full = s->count == READ_COUNT;
    pump(s);
}

static void read_events(struct shard_outbox *s)
{
    struct buf key cleanup(buf_done) = BUF_INIT, count cleanup(buf_done) = BUF_INIT;
    key_shard(&key, s->shard, "outbox");
    buf_add_u64(&count, READ_COUNT);
    s->reading = true;
    s->more = false;
    redis_commandl(s->outbox->hub->redis, on_read, s, STR_LIT("XRANGE"), buf_str(&key), STR_LIT("-"),
                   STR_LIT("+"), STR_LIT("COUNT"), buf_str(&count));
}

// ---- what a shard may do now

static void on_topic(void *arg, const char *topic, int32_t partitions_or_error)
{
    (void)topic;
    struct outbox *o = arg;
    o->ensuring = false;
    o->ready = partitions_or_error > 0;
    o->ensured_us = clock_monotonic_us();
    for (size_t i = 0; o->ready && i < STORE_SHARDS; i++)
        drive(&o->shards[i]);
}

static void ensure_topic(struct outbox *o)
{
    if (o->ensuring)
        return;
    const struct kafka_topic_settings topic = {.topic = o->topic,
                                               .partitions = o->hub->params.partitions_any,
                                               .replication = o->hub->params.replication,
                                               .retention_ms = RETENTION_MS};
    o->ensuring = true;
    kafka_topic_ensure(o->hub->producer, &topic, on_topic, o);
}

static bool topic_is_ready(struct outbox *o)
{
    if (!o->ready)
        ensure_topic(o);
    return o->ready;
}

static void drive(struct shard_outbox *s)
{
    struct hub *h = s->outbox->hub;
    if (h->stopping || !hub_redis_usable(h) || !topic_is_ready(s->outbox))
        return;
    if (!s->asking && (!s->asked_us || clock_monotonic_us() - s->asked_us > RENEW_US))
        ask(s, OWNED_MS);
    if (is_ours(s) && !s->reading && !s->count)
        read_events(s);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct outbox *o = arg;
    if (o->ready && clock_monotonic_us() - o->ensured_us > LOOK_AGAIN_US) // somebody may have deleted it
        ensure_topic(o);
    for (size_t i = 0; i < STORE_SHARDS; i++)
        drive(&o->shards[i]);
}

static void on_collected(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct outbox *o = arg;
    for (size_t i = 0; i < STORE_SHARDS; i++)
        if (o->shards[i].more)
            drive(&o->shards[i]);
}

void outbox_nudge(struct outbox *o, unsigned shard)
{
    o->shards[shard].more = true;
    collect(o);
}

void outbox_release(struct outbox *o)
{
    for (size_t i = 0; i < STORE_SHARDS; i++)
        if (o->shards[i].owned && !o->shards[i].count) // else once those are acknowledged
            ask(&o->shards[i], 0);
}

void outbox_redis_lost(struct outbox *o)
{
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        o->shards[i].owned = false;
        o->shards[i].asked_us = 0;
    }
}

bool outbox_is_idle(const struct outbox *o)
{
    for (size_t i = 0; i < STORE_SHARDS; i++)
        if (o->shards[i].under_way)
            return false;
    return true;
}

struct outbox *outbox_new(struct hub *h)
{
    struct outbox *o = mem_alloc(sizeof(*o));
    o->hub = h;
    (void)snprintf(o->topic, sizeof(o->topic), "%s.events", h->params.topic_prefix);
    for (unsigned i = 0; i < STORE_SHARDS; i++) {
        o->shards[i].outbox = o;
        o->shards[i].shard = i;
    }
    o->turn = event_new(h->base, -1, EV_PERSIST, on_turn, o);
    timer_in_ms(o->turn, POLL_MS);
    o->collected = event_new(h->base, -1, 0, on_collected, o);
    return o;
}

void outbox_free(struct outbox *o)
{
    for (size_t i = 0; i < STORE_SHARDS; i++)
        for (size_t n = 0; n < o->shards[i].count; n++)
            outbox_entry_free(o->shards[i].events[n].entry);
    event_free(o->turn);
    event_free(o->collected);
    free(o);
}
