// See places.h. A place is never forgotten while the process lives, so pointers to it stay good.
#include "services/gateway/publish/places.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/reports.h"
#include "services/gateway/store/keys.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define TURN_MS        1000 // tries again what is not ready
#define TURNS_A_POLL   5    // reads what other gateways remembered
#define TURNS_A_LOOK   10   // in so many, each place's topics are looked at again: somebody may delete one
#define RETENTION_MS   (7ll * 24 * 3600 * 1000)
#define TOPIC_BYTES    192
#define STATUS_READY   1u
#define CHANGES_READY  2u
#define EVERYTHING_SET (STATUS_READY | CHANGES_READY)

struct place {
    UT_hash_handle hh;
    struct places *places;
    char name[REGISTRATION_PLACE_BYTES];
    char changes[TOPIC_BYTES], status[TOPIC_BYTES];
    unsigned ready; // topics that are there
    unsigned asked; // topics that are being ensured
    bool was_ready;
    bool remembered; // Redis holds it
    TAILQ_HEAD(, place_wait) waits;
};

struct places {
    struct hub *hub;
    struct place *table; // by name
    struct event *turn;
    unsigned turns;
};

const char *place_changes_topic(const struct place *p)
{
    return p->changes;
}

const char *place_status_topic(const struct place *p)
{
    return p->status;
}

bool place_is_ready(const struct place *p)
{
    return p->ready == EVERYTHING_SET;
}

bool place_was_ready(const struct place *p)
{
    return p->was_ready;
}

static bool is_numbered(struct str name, struct str prefix)
{
    uint64_t number;
    if (!str_starts(name, prefix))
        return false;
    struct str digits = str_slice(name, prefix.n, name.n);
    return digits.n && digits.p[0] >= '0' && digits.p[0] <= '9' && !str_to_u64(digits, &number);
}

bool place_name_is_valid(struct str name)
{
    if (name.n >= REGISTRATION_PLACE_BYTES)
        return false;
    return str_eq_cstr(name, "any") || is_numbered(name, STR_LIT("pop-")) ||
           is_numbered(name, STR_LIT("node-"));
}

static void answer_waits(struct place *p, bool ready)
{
    TAILQ_HEAD(, place_wait) waits = TAILQ_HEAD_INITIALIZER(waits);
    TAILQ_CONCAT(&waits, &p->waits, link);
    struct place_wait *w;
    while ((w = TAILQ_FIRST(&waits))) {
        TAILQ_REMOVE(&waits, w, link);
        w->fn(w, ready);
    }
}

static void on_ensured(struct place *p, unsigned topic, int32_t partitions)
{
    struct hub *h = p->places->hub;
    p->asked &= ~topic;
    if (partitions > 0) {
        p->ready |= topic;
        hub_kafka_health(h, true);
    }
    if (p->asked)
        return;
    if (!place_is_ready(p))
        log_limited(LOG_WARNING, "publish", 0, "topics of place %s cannot be ensured now (%d)", p->name,
                    (int)partitions);
    else if (!p->was_ready)
        reports_follow(h->reports);
    p->was_ready = p->was_ready || place_is_ready(p);
    answer_waits(p, place_is_ready(p));
}

static void on_changes(void *arg, const char *topic, int32_t partitions_or_error)
{
    (void)topic;
    on_ensured(arg, CHANGES_READY, partitions_or_error);
}

static void on_status(void *arg, const char *topic, int32_t partitions_or_error)
{
    (void)topic;
    on_ensured(arg, STATUS_READY, partitions_or_error);
}

static int32_t partitions_wanted(const struct bus_params *s, const char *name)
{
    if (!strcmp(name, "any"))
        return s->partitions_any;
    return name[0] == 'p' ? s->partitions_pop : s->partitions_node;
}

static void ask(struct place *p, unsigned topics)
{
    struct hub *h = p->places->hub;
    if (p->asked || !topics)
        return;
    p->asked = topics;
    struct kafka_topic_settings topic = {.topic = p->changes,
                                         .partitions = partitions_wanted(&h->params, p->name),
                                         .replication = h->params.replication,
                                         .retention_ms = RETENTION_MS};
    if (topics & CHANGES_READY)
        kafka_topic_ensure(h->producer, &topic, on_changes, p);
    topic.topic = p->status;
    if (topics & STATUS_READY)
        kafka_topic_ensure(h->producer, &topic, on_status, p);
}

static void ensure(struct place *p)
{
    ask(p, EVERYTHING_SET & ~p->ready);
}

static void on_remembered(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)v;
    struct place *p = arg;
    p->remembered = !err;
}

static void remember(struct place *p)
{
    struct hub *h = p->places->hub;
    if (p->remembered || !hub_redis_usable(h))
        return;
    struct buf key cleanup(buf_done) = BUF_INIT;
    struct buf now cleanup(buf_done) = BUF_INIT;
    key_global(&key, "places");
    buf_add_u64(&now, clock_wall_ms());
    redis_commandl(h->redis, on_remembered, p, STR_LIT("HSETNX"), buf_str(&key), str_of(p->name),
                   buf_str(&now));
}

struct place *places_get(struct places *places, const char *name)
{
    struct place *p;
    HASH_FIND_STR(places->table, name, p);
    if (p || !place_name_is_valid(str_of(name)))
        return p;
    p = mem_alloc(sizeof(*p));
    p->places = places;
    TAILQ_INIT(&p->waits);
    const char *prefix = places->hub->params.topic_prefix;
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    (void)snprintf(p->changes, sizeof(p->changes), "%s.changes.%s", prefix, name);
    (void)snprintf(p->status, sizeof(p->status), "%s.status.%s", prefix, name);
    HASH_ADD_STR(places->table, name, p);
    ensure(p);
    remember(p);
    return p;
}

void place_wait(struct place *p, struct place_wait *w)
{
    assert(!place_is_ready(p));
    TAILQ_INSERT_TAIL(&p->waits, w, link);
    ensure(p);
}

void place_doubt(struct place *p)
{
    if (!p->asked)
        p->ready = 0;
}

static void on_names(void *arg, const struct redis_value *v, const struct error *err)
{
    struct places *places = arg;
    if (err)
        return;
    for (struct place *p = places->table; p; p = p->hh.next)
        p->remembered = false;
    for (size_t i = 0; i < redis_count(v); i++) {
        char *name cleanup(mem_free_cstr) = str_dup(redis_str(redis_at(v, i)));
        struct place *p = places_get(places, name);
        if (p)
            p->remembered = true;
    }
    for (struct place *p = places->table; p; p = p->hh.next)
        remember(p);
}

void places_redis_up(struct places *places)
{
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_global(&key, "places");
    redis_commandl(places->hub->redis, on_names, places, STR_LIT("HKEYS"), buf_str(&key));
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct places *places = arg;
    unsigned n = places->turns;
    for (struct place *p = places->table; p; p = p->hh.next)
        ask(p, n++ % TURNS_A_LOOK ? EVERYTHING_SET & ~p->ready : EVERYTHING_SET);
    if (++places->turns % TURNS_A_POLL == 0 && hub_redis_usable(places->hub))
        places_redis_up(places);
}

struct places *places_new(struct hub *h)
{
    struct places *places = mem_alloc(sizeof(*places));
    places->hub = h;
    places->turn = event_new(h->base, -1, EV_PERSIST, on_turn, places);
    timer_in_ms(places->turn, TURN_MS);
    return places;
}

void places_free(struct places *places)
{
    struct place *p, *next;
    HASH_ITER(hh, places->table, p, next) {
        HASH_DEL(places->table, p);
        free(p);
    }
    event_free(places->turn);
    free(places);
}

size_t places_count(const struct places *places)
{
    return HASH_COUNT(places->table);
}

struct place *places_next(const struct places *places, const struct place *after)
{
    return after ? after->hh.next : places->table;
}
