// See sweep.h.
#include "services/gateway/publish/sweep.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/gateway/publish/publisher.h"
#include "services/gateway/publish/reports.h"
#include "services/gateway/publish/row.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#define CLAIM_COUNT      100
#define GAP_MS           5000 // nobody swept for so long: what is late is put off first
#define BRAKE_UNACKED_US 2000000
#define BRAKE_LAG_US     1000000
#define LATE_US          5000000 // unacknowledged for so long: told as Kafka being degraded

enum sweep_brake { BRAKE_REDIS, BRAKE_KAFKA, BRAKE_UNACKNOWLEDGED, BRAKE_LAG, BRAKE_NONE };

struct sweep_shard {
    struct sweep *sweep;
    unsigned shard;
    bool claiming; // a script is under way
};

struct sweep {
    struct hub *hub;
    struct event *turn;
    struct rng rng;
    struct sweep_shard shards[STORE_SHARDS];
};

static enum sweep_brake brake(const struct hub *h)
{
    if (!hub_redis_usable(h))
        return BRAKE_REDIS;
    if (!h->kafka_up)
        return BRAKE_KAFKA;
    if (publisher_oldest_age_us(h->publisher) > BRAKE_UNACKED_US)
        return BRAKE_UNACKNOWLEDGED;
    return reports_lag_us(h->reports) > BRAKE_LAG_US ? BRAKE_LAG : BRAKE_NONE;
}

static void claim(struct sweep_shard *s);

static bool read_sound(const struct redis_value *v, struct row *r, struct error *err)
{
    struct registration reg;
    struct json *spec cleanup(json_free_ptr) = NULL;
    *r = (struct row){.id = 0};
    if (!row_read(v, r)) {
        (void)error_set(err, -EBADMSG, "a part is missing or far too long");
        return false;
    }
    if (json_parse(r->spec, &JSON_LIMITS_DEFAULT, &spec, err) || registration_read(spec, &reg, err))
        return false;
    bool own = reg.id == r->id;
    registration_done(&reg);
    if (!own)
        (void)error_set(err, -EBADMSG, "it is another one");
    return own;
}

static void on_given_up(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)arg, (void)v, (void)err; // where it was not, it is when it is late again
}

// No registrant could read it: published again and again it would do nothing but fill the topic. It is late
// again when it is written again, which may have been done since.
static void give_up(const struct sweep_shard *s, const struct redis_value *row, uint64_t id,
                    const struct error *why)
{
    struct hub *h = s->sweep->hub;
    struct buf key cleanup(buf_done) = BUF_INIT, number cleanup(buf_done) = BUF_INIT;
    hub_count(h, BUS_POISON, POISON_REDIS, 1);
    log_line(LOG_ERROR, "publish", id, "what Redis holds of it is damaged and is not published: %s",
             why->text);
    key_shard(&key, s->shard, "due");
    buf_add_u64(&number, id);
    const struct str argv[] = {buf_str(&key), buf_str(&number), row_revision(row)};
    redis_script(h->redis, &h->scripts.give_up, on_given_up, NULL, 1, ARRAY_LEN(argv), argv);
}

// What is under way needs no second message: its acknowledgement moves it on.
static size_t publish_claimed(const struct sweep_shard *s, const struct redis_value *rows)
{
    struct hub *h = s->sweep->hub;
    size_t published = 0;
    struct row r;
    struct error err;
    for (size_t i = 0; i < redis_count(rows); i++) {
        if (!read_sound(redis_at(rows, i), &r, &err)) {
            give_up(s, redis_at(rows, i), r.id, &err);
            continue;
        }
        if (publisher_is_publishing(h->publisher, r.id, r.place))
            continue;
        row_publish(h, &r, STR_NONE);
        published++;
    }
    return published;
}

static void on_claimed(void *arg, const struct redis_value *v, const struct error *err)
{
    struct sweep_shard *s = arg;
    struct hub *h = s->sweep->hub;
    s->claiming = false;
    if (err) {
        log_limited(LOG_WARNING, "publish", 0, "late registrations not claimed: %s", err->text);
        return;
    }
    hub_count(h, BUS_SWEPT, 0, publish_claimed(s, redis_at(v, 1)));
    if (redis_int(redis_at(v, 0)) == 1 && !h->stopping && brake(h) == BRAKE_NONE)
        claim(s);
}

static void claim(struct sweep_shard *s)
{
    struct hub *h = s->sweep->hub;
    struct buf key cleanup(buf_done) = BUF_INIT;
    struct buf count cleanup(buf_done) = BUF_INIT, grace cleanup(buf_done) = BUF_INIT;
    struct buf gap cleanup(buf_done) = BUF_INIT, seed cleanup(buf_done) = BUF_INIT;
    key_shard(&key, s->shard, "due");
    buf_add_u64(&count, CLAIM_COUNT);
    buf_add_u64(&grace, h->params.grace_ms);
    buf_add_u64(&gap, GAP_MS);
    buf_add_u64(&seed, rng_below(&s->sweep->rng, 1u << 30));
    const struct str argv[] = {buf_str(&key), buf_str(&count), buf_str(&grace), buf_str(&gap),
                               buf_str(&seed)};
    s->claiming = true;
    redis_script(h->redis, &h->scripts.claim, on_claimed, s, 1, ARRAY_LEN(argv), argv);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct sweep *s = arg;
    if (s->hub->stopping)
        return;
    enum sweep_brake held_by = brake(s->hub);
    if (held_by == BRAKE_UNACKNOWLEDGED && publisher_oldest_age_us(s->hub->publisher) > LATE_US)
        hub_kafka_late(s->hub, true);
    if (held_by != BRAKE_NONE) {
        hub_count(s->hub, BUS_BRAKED, held_by, 1);
        return;
    }
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        if (!s->shards[i].claiming)
            claim(&s->shards[i]);
}

struct sweep *sweep_new(struct hub *h)
{
    struct sweep *s = mem_alloc(sizeof(*s));
    s->hub = h;
    random_bytes(&s->rng.state, sizeof(s->rng.state));
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        s->shards[i] = (struct sweep_shard){.sweep = s, .shard = i};
    s->turn = event_new(h->base, -1, EV_PERSIST, on_turn, s);
    timer_in_ms(s->turn, h->params.sweep_interval_ms);
    return s;
}

void sweep_free(struct sweep *s)
{
    event_free(s->turn);
    free(s);
}
