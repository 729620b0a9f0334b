// See writeback.h. One attempt after the other, each from the beginning: ask Redis, list the topics, read
// them back and write back part by part, approve. A registration that was moved is in several parts, whose
// order does not matter: restore.lua goes by revisions. An answer that belongs to an earlier attempt is
// dropped.
#include "services/gateway/publish/writeback.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/marks.h"
#include "services/gateway/publish/places.h"
#include "services/gateway/publish/publisher.h"
#include "services/gateway/publish/restore.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define REACH_MS  (10ull * 60 * 1000)
#define TURN_MS   200
#define IN_FLIGHT 500    // restores with Redis
#define OWN_MOST  100000 // registrations of which a change of our own is kept

enum writeback_phase {
    PHASE_DOWN,      // no Redis
    PHASE_ASKING,    // which replication id was checked last
    PHASE_WAITING,   // for the topics of all places, and for an older reading to end
    PHASE_READING,   // the changes topics
    PHASE_RESTORING, // what Redis may have lost of a part of them is with it
    PHASE_APPROVING,
    PHASE_DONE,
};

// The newest change of one registration: in the part that was read, or of our own.
struct lost {
    UT_hash_handle hh;
    uint64_t id;
    struct restore *restore;
    struct writeback *owner;
    bool taken; // of our own: it is with those that were read
};

struct writeback {
    struct hub *hub;
    enum writeback_phase phase;
    uint64_t approved; // hash of the replication id that this gateway wrote to last; 0: to none yet
    uint64_t attempt;  // answers to an older one are not ours any more
    struct buf replication_id;
    struct event *turn;
    struct kafka_replay *replay; // under way, and let go on where its attempt is over; NULL: none
    uint64_t reading_attempt;
    bool held; // the reading, until what it gave is written back
    uint64_t since_ms;
    uint64_t alive_ms; // as marks.alive_ms
    bool emptied;      // at least in part: all that Kafka still holds counts
    uint64_t last_id;  // largest seen
    struct lost *lost;
    struct lost *own; // what was on its way to Kafka when Redis was lost, and what was posted since
    size_t in_flight;
    size_t counts[3]; // by restore_verdict
    struct rng rng;
};

// Of one attempt: an answer that comes after Redis went away is told apart.
struct asked {
    struct writeback *owner;
    uint64_t attempt;
};

static void ask(struct writeback *w);

static void again_later(struct writeback *w)
{
    timer_in_ms(w->turn, TURN_MS);
}

static void lost_free(struct lost *l)
{
    restore_free(l->restore);
    free(l);
}

static void forget_all(struct lost **table)
{
    struct lost *l, *next;
    HASH_ITER(hh, *table, l, next) {
        HASH_DEL(*table, l);
        lost_free(l);
    }
}

// What was read, and that our own was with it.
static void forget(struct writeback *w)
{
    forget_all(&w->lost);
    for (struct lost *l = w->own; l; l = l->hh.next)
        l->taken = false;
}

static struct asked *asked_new(struct writeback *w)
{
    struct asked *a = mem_alloc(sizeof(*a));
    *a = (struct asked){.owner = w, .attempt = w->attempt};
    return a;
}

// The writeback when the answer is still wanted, else NULL. Frees.
static struct writeback *asked_take(struct asked *take)
{
    struct writeback *w = take->attempt == take->owner->attempt ? take->owner : NULL;
    free(take);
    return w;
}

static void read_on(struct writeback *w)
{
    if (!w->held)
        return;
    w->held = false;
    kafka_replay_go_on(w->replay);
}

static void start_over(struct writeback *w, const char *what, const struct error *err)
{
    log_limited(LOG_WARNING, "publish", 0, "%s: %s", what, err->text);
    forget(w);
    read_on(w);
    w->attempt++;
    w->phase = PHASE_ASKING;
    again_later(w);
}

static void keep_newest(struct writeback *w, struct lost **table, struct restore *take)
{
    struct lost *l;
    HASH_FIND(hh, *table, &take->id, sizeof(take->id), l);
    if (!l) {
        l = mem_alloc(sizeof(*l));
        *l = (struct lost){.id = take->id, .restore = take, .owner = w};
        HASH_ADD(hh, *table, id, sizeof(l->id), l);
        return;
    }
    struct restore *older = take->revision >= l->restore->revision ? l->restore : take;
    l->restore = older == take ? l->restore : take;
    l->taken = l->taken && older == take;
    if (older->created_ms < l->restore->created_ms)
        l->restore->created_ms = older->created_ms;
    restore_free(older);
}

// ---- our own

void writeback_note(struct writeback *w, const struct store_change *c)
{
    struct restore *r = HASH_COUNT(w->own) < OWN_MOST ? restore_of(c) : NULL;
    if (r)
        keep_newest(w, &w->own, r);
}

static void note_under_way(void *arg, const struct store_change *c)
{
    writeback_note(arg, c);
}

// False: all of them are already.
static bool take_own(struct writeback *w)
{
    struct lost *l, *next;
    bool any = false;
    HASH_ITER(hh, w->own, l, next) {
        if (l->taken)
            continue;
        keep_newest(w, &w->lost, restore_copy(l->restore));
        w->last_id = l->id > w->last_id ? l->id : w->last_id;
        l->taken = any = true;
    }
    return any;
}

// ---- the end

static void restore_some(struct writeback *w);

static void restore_what_is_there(struct writeback *w)
{
    w->phase = PHASE_RESTORING;
    restore_some(w);
}

static void end(struct writeback *w)
{
    forget_all(&w->own);
    w->phase = PHASE_DONE;
    w->approved = store_replication_hash(buf_str(&w->replication_id));
    hub_approve(w->hub, buf_str(&w->replication_id));
}

static void on_approved(void *arg, const struct marks *m, const struct error *err)
{
    struct writeback *w = asked_take(arg);
    if (!w)
        return;
    if (err) {
        start_over(w, "the write-back cannot be noted in Redis", err);
        return;
    }
    if (take_own(w)) {
        restore_what_is_there(w);
        return;
    }
    hub_count(w->hub, BUS_WRITE_BACKS, 0, 1);
    log_line(LOG_INFO, "publish", 0,
             "lost writes looked for: %zu written back, %zu held, %zu buried; ids go on above %" PRIu64,
             w->counts[RESTORE_RESTORED], w->counts[RESTORE_HELD], w->counts[RESTORE_BURIED], w->last_id);
    end(w);
}

static void approve(struct writeback *w)
{
    w->phase = PHASE_APPROVING;
    marks_set(w->hub, buf_str(&w->replication_id), w->last_id, on_approved, asked_new(w));
}

// ---- restoring

static void on_restored(void *arg, const struct redis_value *v, const struct error *err)
{
    struct lost *l = arg;
    struct writeback *w = l->owner;
    enum restore_verdict verdict;
    w->in_flight--;
    bool passing = err && redis_error_passes(err);
    if (!err && !restore_verdict_parse(redis_str(v), &verdict)) {
        w->counts[verdict]++;
        hub_count(w->hub, BUS_RESTORES_TOTAL, verdict, 1);
    } else if (!passing) {
        hub_count(w->hub, BUS_POISON, POISON_CHANGES, 1);
        log_limited(LOG_ERROR, "publish", l->id, "not written back: %s", err ? err->text : "no verdict");
    }
    lost_free(l);
    if (w->phase != PHASE_RESTORING)
        return;
    if (passing)
        start_over(w, "the write-back waits for Redis", err);
    else
        restore_some(w);
}

static void restore_one(struct writeback *w, struct lost *take)
{
    struct hub *h = w->hub;
    struct restore_args args;
    struct error err;
    uint32_t seed = (uint32_t)rng_below(&w->rng, 1u << 30);
    if (restore_args(take->restore, h->params.grace_ms, seed, &args, &err)) {
        hub_count(h, BUS_POISON, POISON_CHANGES, 1);
        log_limited(LOG_WARNING, "publish", take->id, "change not written back: %s", err.text);
        lost_free(take);
        return;
    }
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(args.account)), take->id);
    struct str argv[1 + RESTORE_MAX_ARGS] = {buf_str(&key)};
    memcpy(argv + 1, args.argv, args.argc * sizeof(argv[0]));
    w->in_flight++;
    redis_script(h->redis, &h->scripts.restore, on_restored, take, 1, 1 + args.argc, argv);
    restore_args_done(&args);
}

static void restore_some(struct writeback *w)
{
    struct lost *l, *next;
    HASH_ITER(hh, w->lost, l, next) {
        if (w->in_flight >= IN_FLIGHT)
            return;
        HASH_DEL(w->lost, l);
        restore_one(w, l);
    }
    if (w->in_flight)
        return;
    if (w->held) {
        w->phase = PHASE_READING;
        read_on(w);
    } else {
        approve(w);
    }
}

// ---- reading

static struct str place_of_changes(const struct hub *h, const char *topic)
{
    struct str all = str_of(topic);
    size_t prefix = strlen(h->params.topic_prefix);
    if (!str_starts(str_slice(all, prefix, all.n), STR_LIT(".changes.")))
        return STR_NONE;
    return str_slice(all, prefix + strlen(".changes."), all.n);
}

static void on_record(void *arg, const struct kafka_record *record)
{
    struct writeback *w = arg;
    if (w->reading_attempt != w->attempt)
        return;
    uint64_t id;
    if (!str_to_u64(record->key, &id) && id > w->last_id)
        w->last_id = id;
    struct str place = place_of_changes(w->hub, record->topic);
    if (!place.n || (!w->emptied && record->timestamp_ms < (int64_t)w->since_ms))
        return;
    struct restore *r;
    struct error err;
    int rc = restore_read(record, place, &r, &err);
    if (!rc) {
        keep_newest(w, &w->lost, r);
    } else if (rc == -EINVAL || rc == -E2BIG) {
        hub_count(w->hub, BUS_POISON, POISON_CHANGES, 1);
        log_limited(LOG_WARNING, "publish", 0, "record %s/%d@%lld skipped: %s", record->topic,
                    (int)record->partition, (long long)record->offset, err.text);
    }
}

static void on_part(void *arg)
{
    struct writeback *w = arg;
    w->held = true;
    if (w->reading_attempt != w->attempt) {
        read_on(w);
        return;
    }
    restore_what_is_there(w);
}

static void on_read(void *arg, const struct error *err)
{
    struct writeback *w = arg;
    w->replay = NULL;
    if (w->reading_attempt != w->attempt)
        return;
    if (err) {
        start_over(w, "the changes topics cannot be re-read", err);
        return;
    }
    (void)take_own(w);
    restore_what_is_there(w);
}

// Every place known, and `any`; the status topics, too, where only ids can tell how far the sequence was.
static size_t topics_to_read(struct writeback *w, const char ***ret_topics)
{
    const struct places *places = w->hub->places;
    const char **topics = mem_array(2 * places_count(places), sizeof(*topics));
    size_t count = 0;
    for (struct place *p = places_next(places, NULL); p; p = places_next(places, p)) {
        topics[count++] = place_changes_topic(p);
        if (w->emptied)
            topics[count++] = place_status_topic(p);
    }
    *ret_topics = topics;
    return count;
}

static void read_back(struct writeback *w)
{
    const char **topics;
    size_t count = topics_to_read(w, &topics);
    uint64_t now = clock_wall_ms();
    uint64_t alive = w->alive_ms && w->alive_ms < now ? w->alive_ms : now;
    w->since_ms = alive > REACH_MS ? alive - REACH_MS : 0;
    const struct kafka_replay_params params = {.common = hub_kafka_params(w->hub),
                                               .topics = topics,
                                               .topic_count = count,
                                               .since_ms = w->emptied ? 0 : (int64_t)w->since_ms,
                                               .part_records = w->hub->params.write_back_records,
                                               .arg = w,
                                               .on_record = on_record,
                                               .on_part = on_part,
                                               .on_done = on_read};
    struct error err;
    w->reading_attempt = w->attempt;
    int rc = kafka_replay(&params, &w->replay, &err);
    free(topics);
    if (rc) {
        start_over(w, "the changes topics cannot be re-read", &err);
        return;
    }
    w->phase = PHASE_READING;
}

static bool places_are_ready(const struct places *places)
{
    for (struct place *p = places_next(places, NULL); p; p = places_next(places, p))
        if (!place_is_ready(p))
            return false;
    return true;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writeback *w = arg;
    if (w->hub->stopping)
        return;
    if (w->phase == PHASE_ASKING)
        ask(w);
    else if (w->phase == PHASE_WAITING && !w->replay && places_are_ready(w->hub->places))
        read_back(w);
    else if (w->phase == PHASE_WAITING)
        again_later(w);
}

// ---- the beginning

// Places that this Redis does not remember, but that something was published to.
static void on_topics(void *arg, int rc, const char *const *topics, size_t count)
{
    struct writeback *w = asked_take(arg);
    if (!w)
        return;
    if (rc) {
        struct error err;
        (void)error_set(&err, rc, "no broker answered (%d)", rc);
        start_over(w, "the write-back waits for Kafka", &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char *name cleanup(mem_free_cstr) = str_dup(place_of_changes(w->hub, topics[i]));
        (void)places_get(w->hub->places, name);
    }
    w->phase = PHASE_WAITING;
    again_later(w);
}

static void list_topics(struct writeback *w)
{
    struct buf prefix cleanup(buf_done) = BUF_INIT;
    buf_addf(&prefix, "%s.changes.", w->hub->params.topic_prefix);
    kafka_topics(w->hub->producer, prefix.p, on_topics, asked_new(w));
}

static void on_places(void *arg, const struct redis_value *v, const struct error *err)
{
    struct writeback *w = asked_take(arg);
    if (!w)
        return;
    if (err) {
        start_over(w, "the places cannot be read", err);
        return;
    }
    (void)places_get(w->hub->places, "any");
    for (size_t i = 0; i < redis_count(v); i++) {
        char *name cleanup(mem_free_cstr) = str_dup(redis_str(redis_at(v, i)));
        (void)places_get(w->hub->places, name);
    }
    log_line(LOG_INFO, "publish", 0,
             "another Redis answers: writes wait until its lost ones are written back");
    list_topics(w);
}

// Where another gateway was the first to come over from a lost Redis, it has read what had been published by
// then. This one may have gone on writing to the lost one for as long as it was cut off from the new one.
static bool is_no_other(const struct writeback *w)
{
    return !w->approved || w->approved == store_replication_hash(buf_str(&w->replication_id));
}

static void on_marks(void *arg, const struct marks *m, const struct error *err)
{
    struct writeback *w = asked_take(arg);
    if (!w)
        return;
    if (err) {
        start_over(w, "Redis cannot be asked for what was checked last", err);
        return;
    }
    if (m->checked && is_no_other(w)) {
        w->last_id = m->last_id;
        if (take_own(w))
            restore_what_is_there(w);
        else
            end(w);
        return;
    }
    w->emptied = m->emptied;
    w->alive_ms = m->alive_ms;
    w->last_id = m->last_id;
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_global(&key, "places");
    redis_commandl(w->hub->redis, on_places, asked_new(w), STR_LIT("HKEYS"), buf_str(&key));
}

static void ask(struct writeback *w)
{
    memset(w->counts, 0, sizeof(w->counts));
    w->last_id = 0;
    marks_read(w->hub, buf_str(&w->replication_id), on_marks, asked_new(w));
}

static void begin(struct writeback *w)
{
    w->attempt++;
    w->phase = PHASE_ASKING;
    forget(w);
    read_on(w);
    ask(w);
}

void writeback_redis_up(struct writeback *w, struct str replication_id)
{
    buf_clear(&w->replication_id);
    buf_add_str(&w->replication_id, replication_id);
    begin(w);
}

void writeback_lost(struct writeback *w)
{
    if (w->phase != PHASE_DONE)
        return;
    log_line(
        LOG_ERROR, "publish", 0,
        "Redis holds less than it did (FLUSHALL, or keys were removed): nothing is written until what was "
        "published is written back");
    hub_hold(w->hub);
    publisher_each(w->hub->publisher, w, note_under_way);
    begin(w);
}

void writeback_redis_down(struct writeback *w)
{
    if (w->phase == PHASE_DONE)
        publisher_each(w->hub->publisher, w, note_under_way);
    w->attempt++;
    w->phase = PHASE_DOWN;
    forget(w);
    read_on(w);
}

bool writeback_is_reading(const struct writeback *w)
{
    return w->replay != NULL;
}

struct writeback *writeback_new(struct hub *h)
{
    struct writeback *w = mem_alloc(sizeof(*w));
    w->hub = h;
    random_bytes(&w->rng.state, sizeof(w->rng.state));
    w->turn = event_new(h->base, -1, 0, on_turn, w);
    return w;
}

void writeback_free(struct writeback *w)
{
    kafka_replay_stop(w->replay);
    forget(w);
    forget_all(&w->own);
    buf_done(&w->replication_id);
    event_free(w->turn);
    free(w);
}
