// A bus on a real redis-server and the embedded broker, a store beside it that writes what it publishes, a
// watcher that reads every changes and events topic, and a hand that writes reports as a registrant would.
#ifndef ROLLCALL_TESTS_BUS_FIXTURE_H
#define ROLLCALL_TESTS_BUS_FIXTURE_H

#include "common/json/json.h"
#include "common/kafka/kafka.h"
#include "common/registration/status.h"
#include "services/gateway/publish/bus.h"
#include "services/gateway/publish/bus_metrics.h"
#include "tests/unit/store_fixture.h"

#include <inttypes.h>

enum {
    MAX_SEEN = 8192,
    GRACE_MS = 20000,
    REPORT_WAIT_MS = 8000,
    SESSION_MS = 3000,
    LONG_MS = 60000,
    SNAPSHOT_WAIT_MS = 1500
};
// The embedded broker answers an empty fetch only when its time is over.
#define BROKER_SETTINGS "fetch.wait.max.ms=10"
#define TOKEN           "a token of the internal listener"

struct seen {
    char *topic, *type, *ce_id, *headers;
    uint64_t id;
    struct json *value;
};

struct world {
    struct fixture *f;
    pid_t broker;
    uint16_t broker_port;
    char bootstrap[48], prefix[32];
    struct metrics *metrics;
    struct bus *bus;
    struct kafka_consumer *watcher;
    size_t assigned;
    struct seen seen[MAX_SEEN];
    size_t seen_count;
    struct kafka_producer *reporter;
    size_t reports_sent, reports_delivered, ensured;
};

static const struct metric bus_metrics_table[] = {BUS_METRIC_ROWS};

// ---- the broker

static inline void world_start_broker(struct world *w)
{
    char listen[48], program[] = BROKER_PATH;
    (void)snprintf(listen, sizeof(listen), "%u", w->broker_port);
    (void)setenv("ROLLCALL_BROKER_LISTEN", listen, 1);
    char *argv[] = {program, NULL};
    w->broker = peer_start(argv);
}

// ---- what the world sees

static inline void world_on_records(void *arg, const struct kafka_record *records, size_t count)
{
    struct world *w = arg;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_record *r = &records[i];
        assert_true(w->seen_count < MAX_SEEN);
        struct seen *s = &w->seen[w->seen_count++];
        struct error err;
        struct buf headers = BUF_INIT;
        for (size_t n = 0; n < r->header_count; n++)
            buf_addf(&headers, "%s=" STR_FMT "\n", r->headers[n].name, STR_ARG(r->headers[n].value));
        *s = (struct seen){.topic = mem_dup_cstr(r->topic),
                           .type = str_dup(kafka_header_get(r, "ce_type")),
                           .ce_id = str_dup(kafka_header_get(r, "ce_id")),
                           .headers = buf_steal(&headers)};
        assert_int_equal(str_to_u64(r->key, &s->id), 0);
        assert_int_equal(json_parse(r->value, &JSON_LIMITS_DEFAULT, &s->value, &err), 0);
    }
}

static inline void world_on_assigned(void *arg, const char *topic, int32_t partition)
{
    struct world *w = arg;
    w->assigned++;
    kafka_consumer_resume(w->watcher, topic, partition);
}

static inline void world_on_revoked(void *arg, const char *topic, int32_t partition, bool lost)
{
    (void)lost;
    struct world *w = arg;
    kafka_consumer_release(w->watcher, topic, partition);
}

static inline void world_on_commit(void *arg, const struct error *err, uint64_t sent_us)
{
    (void)arg, (void)err, (void)sent_us;
}

static inline void world_on_health(void *arg, bool up)
{
    (void)arg, (void)up;
}

static inline void world_on_delivery(void *arg, uint64_t token, const struct error *err)
{
    (void)token;
    struct world *w = arg;
    assert_null(err);
    w->reports_delivered++;
}

static inline void world_on_ensured(void *arg, const char *topic, int32_t partitions)
{
    (void)topic;
    struct world *w = arg;
    w->ensured += partitions > 0;
}

static inline bool world_is_watching(const void *arg)
{
    const struct world *w = arg;
    return w->assigned >= 12; // three topics of four partitions
}

static inline bool world_is_ensured(const void *arg)
{
    const struct world *w = arg;
    return w->ensured == 3;
}

static inline void world_watch(struct world *w)
{
    struct kafka_params common = {
        .base = w->f->base, .bootstrap = w->bootstrap, .client_id = "test", .extra = BROKER_SETTINGS};
    const struct kafka_producer_params producer = {
        .common = common, .arg = w, .on_delivery = world_on_delivery, .on_health = world_on_health};
    struct error err;
    assert_int_equal(kafka_producer_new(&producer, &w->reporter, &err), 0);
    char topics[3][64];
    (void)snprintf(topics[0], sizeof(topics[0]), "%s.changes.any", w->prefix);
    (void)snprintf(topics[1], sizeof(topics[1]), "%s.changes.node-7", w->prefix);
    (void)snprintf(topics[2], sizeof(topics[2]), "%s.events", w->prefix);
    const char *names[] = {topics[0], topics[1], topics[2]};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct kafka_topic_settings topic = {
            .topic = names[i], .partitions = 4, .replication = -1, .retention_ms = 3600000};
        kafka_topic_ensure(w->reporter, &topic, world_on_ensured, w);
    }
    assert_true(peer_run_until(w->f->base, world_is_ensured, w, LONG_MS));
    char group[64];
    (void)snprintf(group, sizeof(group), "%s-watcher", w->prefix);
    const struct kafka_consumer_params consumer = {.common = common,
                                                   .group = group,
                                                   .topics = names,
                                                   .topic_count = 3,
                                                   .from_beginning = true,
                                                   .session_timeout_ms = SESSION_MS,
                                                   .arg = w,
                                                   .on_records = world_on_records,
                                                   .on_assigned = world_on_assigned,
                                                   .on_revoked = world_on_revoked,
                                                   .on_commit = world_on_commit,
                                                   .on_health = world_on_health};
    assert_int_equal(kafka_consumer_new(&consumer, &w->watcher, &err), 0);
    assert_true(peer_run_until(w->f->base, world_is_watching, w, LONG_MS));
}

// ---- the bus

static inline struct bus *world_new_bus(struct world *w, const char *node, struct metrics *metrics)
{
    const struct bus_params params = {.kafka_bootstrap = w->bootstrap,
                                      .kafka_extra = BROKER_SETTINGS,
                                      .topic_prefix = w->prefix,
                                      .partitions_any = 4,
                                      .partitions_pop = 4,
                                      .partitions_node = 4,
                                      .replication = -1,
                                      .redis_url = w->f->url,
                                      .node = node,
                                      .snapshot_listen = "127.0.0.1:0",
                                      .snapshot_token = TOKEN,
                                      .gate = &w->f->gate,
                                      .metrics = metrics,
                                      .ack_wait_ms = 1000,
                                      .report_wait_ms = REPORT_WAIT_MS,
                                      .grace_ms = GRACE_MS,
                                      .sweep_interval_ms = 100,
                                      .snapshot_wait_ms = SNAPSHOT_WAIT_MS,
                                      .write_back_records = 1, // a partition at a time
                                      .session_timeout_ms = SESSION_MS};
    struct bus *bus;
    struct error err;
    if (bus_start(&params, &bus, &err))
        fail_msg("%s", err.text);
    return bus;
}

static inline bool world_is_healthy(const void *arg)
{
    const struct world *w = arg;
    struct bus_health h = bus_health(w->bus);
    return h.redis_up && h.redis_approved && h.kafka_up;
}

// bootstrap: of the broker that the caller has; NULL: one of its own.
static inline int world_setup_on(void **state, const char *bootstrap)
{
    static unsigned worlds;
    struct world *w = mem_alloc(sizeof(*w));
    void *f;
    assert_int_equal(fixture_setup(&f), 0);
    w->f = f;
    (void)snprintf(w->prefix, sizeof(w->prefix), "world%u", ++worlds);
    if (bootstrap) {
        (void)snprintf(w->bootstrap, sizeof(w->bootstrap), "%s", bootstrap);
    } else {
        w->broker_port = peer_free_port();
        (void)snprintf(w->bootstrap, sizeof(w->bootstrap), "127.0.0.1:%u", w->broker_port);
        world_start_broker(w);
    }
    w->metrics = metrics_new(bus_metrics_table, ARRAY_LEN(bus_metrics_table));
    w->f->gate.approved = 0;
    w->bus = world_new_bus(w, "gateway-1", w->metrics);
    world_watch(w);
    assert_true(peer_run_until(w->f->base, world_is_healthy, w, LONG_MS));
    *state = w;
    return 0;
}

static inline int world_setup(void **state)
{
    return world_setup_on(state, NULL);
}

static inline void world_forget(struct world *w)
{
    for (size_t i = 0; i < w->seen_count; i++) {
        struct seen *s = &w->seen[i];
        free(s->topic);
        free(s->type);
        free(s->ce_id);
        free(s->headers);
        json_free(s->value);
    }
    w->seen_count = 0;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    if (!w)
        return 0; // the set-up failed
    if (w->bus)
        bus_stop(w->bus, 2000);
    kafka_consumer_free(w->watcher, 1000);
    kafka_producer_free(w->reporter, 1000);
    void *f = w->f;
    (void)fixture_teardown(&f);
    if (w->broker)
        (void)peer_stop(w->broker, SIGKILL);
    world_forget(w);
    metrics_free(w->metrics);
    free(w);
    return 0;
}

// What the store wrote goes to the bus, as the gateway's loops do it.
static inline void world_post(struct world *w)
{
    struct fixture *f = w->f;
    for (size_t i = 0; i < f->change_count; i++)
        bus_post(w->bus, f->changes[i]);
    f->change_count = 0;
    if (f->event_count)
        bus_events(w->bus, f->event_shard);
}

static inline uint64_t metric(const struct world *w, enum bus_metric m, size_t label)
{
    return metrics_get(w->metrics, m, label);
}

// ---- waiting

struct wanted {
    struct world *w;
    const char *topic; // without the prefix
    const char *type;  // without "rollcall."
    uint64_t id;
    size_t count;
};

static inline struct seen *world_find(struct world *w, const char *topic, const char *type, uint64_t id,
                                      size_t nth)
{
    char whole_topic[64], whole_type[64];
    (void)snprintf(whole_topic, sizeof(whole_topic), "%s.%s", w->prefix, topic);
    (void)snprintf(whole_type, sizeof(whole_type), "rollcall.%s", type);
    for (size_t i = 0; i < w->seen_count; i++) {
        struct seen *s = &w->seen[i];
        if (s->id == id && !strcmp(s->topic, whole_topic) && !strcmp(s->type, whole_type) && !nth--)
            return s;
    }
    return NULL;
}

static inline bool world_has(const void *arg)
{
    const struct wanted *x = arg;
    return world_find(x->w, x->topic, x->type, x->id, x->count - 1);
}

// The n-th of them (1 …); fails the test when it does not come.
static inline struct seen *expect(struct world *w, const char *topic, const char *type, uint64_t id,
                                  size_t nth)
{
    struct wanted x = {.w = w, .topic = topic, .type = type, .id = id, .count = nth};
    if (!peer_run_until(w->f->base, world_has, &x, SOON_MS))
        fail_msg("no %s number %zu of %" PRIu64 " on %s", type, nth, id, topic);
    return world_find(w, topic, type, id, nth - 1);
}

struct counted {
    const struct world *w;
    enum bus_metric metric;
    size_t label;
    uint64_t at_least;
};

static inline bool world_counts(const void *arg)
{
    const struct counted *c = arg;
    return metric(c->w, c->metric, c->label) >= c->at_least;
}

static inline void expect_metric(struct world *w, enum bus_metric m, size_t label, uint64_t at_least)
{
    struct counted c = {.w = w, .metric = m, .label = label, .at_least = at_least};
    if (!peer_run_until(w->f->base, world_counts, &c, SOON_MS))
        fail_msg("%s[%zu] is %" PRIu64 ", not %" PRIu64, bus_metrics_table[m].name, label,
                 metric(w, m, label), at_least);
}

// Members of a group take turns until each has its partitions; until then nobody sweeps.
struct hearing {
    const struct metrics *of[2];
    int64_t braked;
    uint64_t since_us;
};

static inline bool all_hear(const void *arg)
{
    struct hearing *h = (struct hearing *)(uintptr_t)arg;
    int64_t braked = 0;
    for (size_t i = 0; i < ARRAY_LEN(h->of); i++)
        braked += h->of[i] ? (int64_t)metrics_get(h->of[i], BUS_BRAKED, 3) : 0;
    if (braked != h->braked)
        h->since_us = clock_monotonic_us();
    h->braked = braked;
    return clock_monotonic_us() - h->since_us > 1000000;
}

// other: metrics of a second bus; NULL: none.
static inline void world_wait_until_heard(struct world *w, const struct metrics *other)
{
    struct hearing h = {{w->metrics, other}, -1, clock_monotonic_us()};
    assert_true(peer_run_until(w->f->base, all_hear, &h, LONG_MS));
}

// Asks Redis until the answer is `text`.
static inline void expect_redis(struct world *w, const char *text, const char *fmt, ...) printf_like(3, 4);
static inline void expect_redis(struct world *w, const char *text, const char *fmt, ...)
{
    char command[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    uint64_t end_us = clock_monotonic_us() + SOON_MS * UINT64_C(1000);
    while (strcmp(raw(w->f, command), text) != 0)
        if (clock_monotonic_us() > end_us)
            fail_msg("%s gives \"%s\", not \"%s\"", command, w->f->raw_text.p ? w->f->raw_text.p : "", text);
}

// ---- reports

static inline struct status a_report(const struct registration *r, uint64_t epoch, uint64_t seq,
                                     enum status_state state)
{
    struct status s;
    status_init(&s);
    s.id = r->id;
    s.account = mem_dup_cstr(r->account);
    registration_place(r, s.place);
    s.epoch = epoch;
    s.seq = seq;
    s.revision = r->revision;
    s.state = state;
    s.since_wall_ms = clock_wall_ms();
    s.node = mem_dup_cstr("registrant-a");
    if (state == STATE_REGISTERED) {
        s.code = 200;
        s.reason = mem_dup_cstr("OK");
        s.granted_s = 3600;
        s.expires_at_wall_ms = clock_wall_ms() + 3600000;
        s.next_at_wall_ms = clock_wall_ms() + 3000000;
        s.next_in_ms = 3000000;
    }
    return s;
}

// `topic_name` without the prefix.
static inline void send_record_at(struct world *w, const char *topic_name, uint64_t id, struct str value,
                                  uint64_t wall_ms)
{
    char topic[128], key[24];
    (void)snprintf(topic, sizeof(topic), "%s.%s", w->prefix, topic_name);
    (void)snprintf(key, sizeof(key), "%" PRIu64, id);
    const struct kafka_record record = {.topic = topic,
                                        .partition = -1,
                                        .timestamp_ms = (int64_t)wall_ms,
                                        .key = str_of(key),
                                        .value = value};
    assert_int_equal(kafka_produce(w->reporter, &record, 1), 0);
    w->reports_sent++;
}

static inline void send_record(struct world *w, const char *place, uint64_t id, struct str value)
{
    char topic[64];
    (void)snprintf(topic, sizeof(topic), "status.%s", place);
    send_record_at(w, topic, id, value, clock_wall_ms());
}

static inline bool world_is_reported(const void *arg)
{
    const struct world *w = arg;
    return w->reports_delivered == w->reports_sent;
}

// Ends the status.
static inline void report(struct world *w, struct status *take)
{
    struct buf value cleanup(buf_done) = BUF_INIT;
    status_write(&value, take);
    send_record(w, take->place, take->id, buf_str(&value));
    status_done(take);
    assert_true(peer_run_until(w->f->base, world_is_reported, w, SOON_MS));
}

static inline void report_state(struct world *w, const struct registration *r, uint64_t epoch, uint64_t seq,
                                enum status_state state)
{
    struct status s = a_report(r, epoch, seq, state);
    report(w, &s);
}

static inline void restart_redis(struct world *w)
{
    struct fixture *f = w->f;
    (void)peer_stop(f->server, SIGKILL);
    fixture_start_server(f);
    f->replication_hash = 0;
    assert_true(peer_run_until(f->base, fixture_is_up, f, LONG_MS));
}

// What SAVE left, so that the directory can go.
static inline void forget_dump(struct world *w)
{
    char dump[96];
    (void)snprintf(dump, sizeof(dump), "%s/dump.rdb", w->f->dir);
    (void)unlink(dump);
}

#endif
