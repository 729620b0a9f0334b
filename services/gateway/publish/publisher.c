// See publisher.h. A slot for each (registration, place) that something is under way of: the broker's
// acknowledgement frees it, or sends what waits in it.
#include "services/gateway/publish/publisher.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/gateway/publish/acks.h"
#include "services/gateway/publish/message.h"
#include "services/gateway/publish/places.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MOST_UNDER_WAY 100000 // past it new ones are left to `due`

// One registration at one place.
struct slot_key {
    uint64_t id;
    char place[REGISTRATION_PLACE_BYTES]; // zero to its end: it is hashed
};

struct slot {
    UT_hash_handle hh;
    TAILQ_ENTRY(slot) by_age;
    struct publisher *publisher;
    struct slot_key key;
    struct delivery delivery;
    struct place_wait wait;
    uint64_t since_us;
    struct store_change *sent;    // under way, or waiting for the topics of its place
    struct store_change *waiting; // a newer one; or NULL
};

struct publisher {
    struct hub *hub;
    struct slot *table;
    TAILQ_HEAD(, slot) by_age;
    struct acks *acks;
};

static void slot_free(struct slot *s)
{
    HASH_DEL(s->publisher->table, s);
    TAILQ_REMOVE(&s->publisher->by_age, s, by_age);
    hub_gauge(s->publisher->hub, BUS_UNDER_WAY, HASH_COUNT(s->publisher->table));
    store_change_free(s->sent);
    store_change_free(s->waiting);
    free(s);
}

static void leave_to_due(struct slot *s, const char *why)
{
    hub_count(s->publisher->hub, BUS_LEFT, 0, 1);
    log_limited(LOG_WARNING, "publish", s->key.id, "left to the sweep: %s", why);
    slot_free(s);
}

// Takes what waits in the slot's place as the next to send; false: nothing waits, the slot is gone.
static bool slot_advance(struct slot *s)
{
    if (!s->waiting) {
        slot_free(s);
        return false;
    }
    store_change_free(s->sent);
    s->sent = s->waiting;
    s->waiting = NULL;
    s->since_us = clock_monotonic_us();
    TAILQ_REMOVE(&s->publisher->by_age, s, by_age);
    TAILQ_INSERT_TAIL(&s->publisher->by_age, s, by_age);
    return true;
}

static void slot_send(struct slot *s, struct place *place)
{
    struct hub *h = s->publisher->hub;
    struct buf value cleanup(buf_done) = BUF_INIT;
    message_write_change(&value, s->sent);
    char type[48], id[MESSAGE_ID_BYTES], record[128];
    (void)snprintf(type, sizeof(type), "rollcall.change.%s", message_op_name(s->sent->op));
    (void)snprintf(id, sizeof(id), "%" PRIu64, s->sent->id);
    (void)snprintf(record, sizeof(record), "%s-%" PRIu64, h->process, ++h->records);
    const struct cloud_event e = {.type = type,
                                  .id = record,
                                  .source = h->params.node,
                                  .subject = s->sent->id,
                                  .wall_ms = clock_wall_ms(),
                                  .traceparent = s->sent->traceparent};
    int rc = hub_produce(h, place_changes_topic(place), str_of(id), buf_str(&value), &e, &s->delivery);
    if (rc)
        leave_to_due(s, rc == -EAGAIN ? "the producer's queue is full" : strerror(-rc));
    else
        hub_count(h, BUS_PUBLISHED, s->sent->op, 1);
}

static void on_topics(struct place_wait *w, bool ready)
{
    struct slot *s = container_of(w, struct slot, wait);
    struct place *place = places_get(s->publisher->hub->places, s->key.place);
    if (!ready)
        leave_to_due(s, "the topics of its place cannot be ensured now");
    else
        slot_send(s, place);
}

static void slot_begin(struct slot *s)
{
    struct place *place = places_get(s->publisher->hub->places, s->key.place);
    if (!place)
        leave_to_due(s, "no such place can be");
    else if (place_is_ready(place))
        slot_send(s, place);
    else
        place_wait(place, &s->wait);
}

static void on_delivered(struct delivery *d, const struct error *err)
{
    struct slot *s = container_of(d, struct slot, delivery);
    struct publisher *p = s->publisher;
    const struct store_change *c = s->sent;
    if (err) {
        hub_count(p->hub, BUS_FAILED, 0, 1);
        log_limited(LOG_WARNING, "publish", c->id, "not delivered: %s", err->text);
        place_doubt(places_get(p->hub->places, s->key.place));
    } else {
        hub_count(p->hub, BUS_ACKED, 0, 1);
        hub_observe(p->hub, BUS_ACK_SECONDS, clock_monotonic_us() - s->since_us);
        if (c->op == STORE_OP_DESIRED || c->op == STORE_OP_REMOVE)
            acks_add(p->acks, c);
    }
    if (slot_advance(s))
        slot_begin(s);
}

static void slot_offer(struct slot *s, struct store_change *take_change)
{
    uint64_t best = s->waiting ? s->waiting->revision : s->sent->revision;
    bool news = take_change->revision > best || (take_change->stray && take_change->revision == best);
    if (!news) {
        store_change_free(take_change);
        return;
    }
    store_change_free(s->waiting);
    s->waiting = take_change;
}

void publisher_publish(struct publisher *p, struct store_change *take_change)
{
    struct slot_key key = {.id = take_change->id};
    (void)snprintf(key.place, sizeof(key.place), "%s", take_change->place);
    struct slot *s;
    HASH_FIND(hh, p->table, &key, sizeof(key), s);
    if (s) {
        slot_offer(s, take_change);
        return;
    }
    if (HASH_COUNT(p->table) >= MOST_UNDER_WAY) {
        hub_count(p->hub, BUS_LEFT, 0, 1);
        store_change_free(take_change);
        return;
    }
    s = mem_alloc(sizeof(*s));
    *s = (struct slot){.publisher = p,
                       .key = key,
                       .delivery = {.done = on_delivered},
                       .wait = {.fn = on_topics},
                       .since_us = clock_monotonic_us(),
                       .sent = take_change};
    HASH_ADD(hh, p->table, key, sizeof(s->key), s);
    TAILQ_INSERT_TAIL(&p->by_age, s, by_age);
    hub_gauge(p->hub, BUS_UNDER_WAY, HASH_COUNT(p->table));
    slot_begin(s);
}

size_t publisher_under_way(const struct publisher *p)
{
    return HASH_COUNT(p->table);
}

void publisher_each(const struct publisher *p, void *arg, void (*fn)(void *arg, const struct store_change *c))
{
    const struct slot *s;
    TAILQ_FOREACH(s, &p->by_age, by_age) {
        fn(arg, s->sent);
        if (s->waiting)
            fn(arg, s->waiting);
    }
}

bool publisher_is_publishing(const struct publisher *p, uint64_t id, struct str place)
{
    struct slot_key key = {.id = id};
    memcpy(key.place, place.p, place.n);
    struct slot *s;
    HASH_FIND(hh, p->table, &key, sizeof(key), s);
    return s;
}

uint64_t publisher_oldest_age_us(const struct publisher *p)
{
    const struct slot *oldest = TAILQ_FIRST(&p->by_age);
    return oldest ? clock_monotonic_us() - oldest->since_us : 0;
}

void publisher_flush(struct publisher *p)
{
    acks_flush(p->acks);
}

struct publisher *publisher_new(struct hub *h)
{
    struct publisher *p = mem_alloc(sizeof(*p));
    p->hub = h;
    p->acks = acks_new(h);
    TAILQ_INIT(&p->by_age);
    return p;
}

void publisher_free(struct publisher *p)
{
    struct slot *s, *next;
    HASH_ITER(hh, p->table, s, next) {
        slot_free(s);
    }
    acks_free(p->acks);
    free(p);
}
