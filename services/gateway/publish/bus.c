// See bus.h. Builds the parts, runs their loop in a thread, takes what other threads post, and takes the
// parts down in an order in which the last callbacks of the connections still find them. Decides nothing
// itself.
#include "services/gateway/publish/bus.h"

#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "common/event/timer.h"
#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/hub.h"
#include "services/gateway/publish/marks.h"
#include "services/gateway/publish/outbox.h"
#include "services/gateway/publish/places.h"
#include "services/gateway/publish/publisher.h"
#include "services/gateway/publish/reports.h"
#include "services/gateway/publish/snapshot.h"
#include "services/gateway/publish/sweep.h"
#include "services/gateway/publish/writeback.h"
#include "services/gateway/store/scripts.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAILBOX_COUNT    65536
#define POSTS_A_TURN     256
#define REDIS_TIMEOUT_MS 5000
#define STOP_TURN_MS     5
#define LEAVE_GROUP_MS   1000
#define LATE_US          5000000

struct bus {
    struct hub hub;
    char *texts[13]; // what hub.params borrows
    pthread_t thread;
    struct mailbox *posted;
    struct event *on_posted;
    int wake_fd; // for what is below
    struct event *on_wake;
    atomic_uint shards_with_events; // a bit each
    atomic_bool stop;
    uint32_t stop_timeout_ms;
    uint64_t stop_by_us;
    struct event *stop_turn;
};

// ---- any thread

void bus_post(struct bus *b, struct store_change *take_change)
{
    if (!mailbox_push(b->posted, take_change))
        return;
    hub_count(&b->hub, BUS_LEFT, 0, 1);
    store_change_free(take_change);
}

static void wake(struct bus *b)
{
    uint64_t one = 1;
    (void)!write(b->wake_fd, &one, sizeof(one));
}

void bus_events(struct bus *b, unsigned shard)
{
    unsigned bit = 1u << shard;
    if (!(atomic_fetch_or(&b->shards_with_events, bit) & bit))
        wake(b);
}

struct bus_health bus_health(const struct bus *b)
{
    const struct hub *h = &b->hub;
    return (struct bus_health){.redis_up = h->redis_up,
                               .redis_approved = hub_redis_usable(h),
                               .kafka_seen = h->kafka_seen,
                               .kafka_up = h->kafka_up && !h->kafka_late};
}

uint16_t bus_snapshot_port(const struct bus *b)
{
    return snapshots_port(b->hub.snapshots);
}

// ---- connections

static void on_redis_up(void *arg, struct str replication_id)
{
    struct hub *h = arg;
    log_line(LOG_INFO, "publish", 0, "connected to Redis");
    h->redis_up = true;
    hub_gauge(h, BUS_REDIS_UP, 1);
    writeback_redis_up(h->writeback, replication_id);
}

static void on_redis_down(void *arg, const struct error *why)
{
    struct hub *h = arg;
    log_limited(LOG_WARNING, "publish", 0, "Redis is away: %s", why->text);
    h->redis_up = false;
    h->approved = false;
    hub_gauge(h, BUS_REDIS_UP, 0);
    writeback_redis_down(h->writeback);
    reports_hold(h->reports);
    outbox_redis_lost(h->outbox);
}

// One partition may take nothing while the others do: it is no longer late once nothing has waited for long.
static void on_delivery(void *arg, uint64_t token, const struct error *err)
{
    struct hub *h = arg;
    struct delivery *d = (struct delivery *)(uintptr_t)token;
    if (!err)
        hub_kafka_health(h, true);
    d->done(d, err);
    if (err && err->code == -ETIMEDOUT)
        hub_kafka_late(h, true);
    else if (!err && publisher_oldest_age_us(h->publisher) < LATE_US)
        hub_kafka_late(h, false);
}

static void on_kafka_health(void *arg, bool up)
{
    hub_kafka_health(arg, up);
}

static int connect_all(struct hub *h, struct error *err)
{
    const struct redis_params redis = {.base = h->base,
                                       .url = h->params.redis_url,
                                       .password = h->params.redis_password,
                                       .options = h->params.redis_options,
                                       .command_timeout_ms = REDIS_TIMEOUT_MS,
                                       .arg = h,
                                       .on_up = on_redis_up,
                                       .on_down = on_redis_down};
    const struct kafka_producer_params producer = {
        .common = hub_kafka_params(h), .arg = h, .on_delivery = on_delivery, .on_health = on_kafka_health};
    int rc = redis_new(&redis, &h->redis, err);
    return rc ? rc : kafka_producer_new(&producer, &h->producer, err);
}

// ---- the thread

static void publish_posted(struct bus *b, struct store_change *take_change)
{
    struct hub *h = &b->hub;
    if (!hub_redis_usable(h)) // and may be about to lose it
        writeback_note(h->writeback, take_change);
    publisher_publish(h->publisher, take_change);
}

static void on_posted(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct bus *b = arg;
    void *items[POSTS_A_TURN];
    size_t count = mailbox_pop(b->posted, items, POSTS_A_TURN);
    for (size_t i = 0; i < count; i++)
        publish_posted(b, items[i]);
}

static void take_all_posted(struct bus *b)
{
    void *item;
    while (mailbox_pop(b->posted, &item, 1))
        publish_posted(b, item);
}

static void begin_stop(struct bus *b)
{
    struct hub *h = &b->hub;
    if (h->stopping)
        return;
    h->stopping = true;
    b->stop_by_us = clock_monotonic_us() + 1000ull * b->stop_timeout_ms;
    take_all_posted(b);
    snapshots_stop(h->snapshots);
    reports_hold(h->reports);
    outbox_release(h->outbox);
    timer_in_ms(b->stop_turn, STOP_TURN_MS);
}

static bool is_idle(const struct hub *h)
{
    return !publisher_under_way(h->publisher) && outbox_is_idle(h->outbox) &&
           snapshots_are_idle(h->snapshots) && !writeback_is_reading(h->writeback) &&
           (!h->redis_up || !redis_pending_count(h->redis));
}

static void on_stop_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct bus *b = arg;
    publisher_flush(b->hub.publisher);
    if (is_idle(&b->hub) || clock_monotonic_us() >= b->stop_by_us)
        (void)event_base_loopbreak(b->hub.base);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct bus *b = arg;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    if (b->stop)
        begin_stop(b);
    unsigned shards = atomic_exchange(&b->shards_with_events, 0);
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++)
        if (shards & 1u << shard)
            outbox_nudge(b->hub.outbox, shard);
}

static void *thread_main(void *arg)
{
    struct bus *b = arg;
    (void)event_base_loop(b->hub.base, EVLOOP_NO_EXIT_ON_EMPTY);
    reports_leave(b->hub.reports, LEAVE_GROUP_MS);
    return NULL;
}

// ---- life

static char *kept(struct bus *b, size_t index, const char *text)
{
    return b->texts[index] = mem_dup_cstr(text);
}

static void keep_params(struct bus *b, const struct bus_params *p)
{
    struct bus_params *own = &b->hub.params;
    *own = *p;
    own->kafka_bootstrap = kept(b, 0, p->kafka_bootstrap);
    own->kafka_extra = kept(b, 1, p->kafka_extra);
    own->kafka_password = kept(b, 8, p->kafka_password);
    own->topic_prefix = kept(b, 2, p->topic_prefix);
    own->redis_url = kept(b, 3, p->redis_url);
    own->redis_password = kept(b, 4, p->redis_password);
    own->node = kept(b, 5, p->node);
    own->snapshot_listen = kept(b, 6, p->snapshot_listen);
    own->snapshot_token = kept(b, 7, p->snapshot_token);
    own->redis_options.sentinel_password = kept(b, 9, p->redis_options.sentinel_password);
    own->redis_options.tls_ca_file = kept(b, 10, p->redis_options.tls_ca_file);
    own->redis_options.tls_certificate_file = kept(b, 11, p->redis_options.tls_certificate_file);
    own->redis_options.tls_key_file = kept(b, 12, p->redis_options.tls_key_file);
    struct buf process = BUF_INIT;
    buf_addf(&process, "%s-%" PRIx64, p->node, clock_wall_ms());
    b->hub.process = buf_steal(&process);
}

static void init_scripts(struct hub_scripts *s)
{
    redis_script_init(&s->acked, "acked", script_acked());
    redis_script_init(&s->approve, "approve", script_approve());
    redis_script_init(&s->claim, "claim", script_claim());
    redis_script_init(&s->give_up, "give_up", script_give_up());
    redis_script_init(&s->own, "own", script_own());
    redis_script_init(&s->report, "report", script_report());
    redis_script_init(&s->restore, "restore", script_restore());
    redis_script_init(&s->snapshot, "snapshot", script_snapshot());
}

static void listen_to_threads(struct bus *b)
{
    struct event_base *base = b->hub.base;
    b->on_posted = event_new(base, mailbox_fd(b->posted), EV_READ | EV_PERSIST, on_posted, b);
    b->on_wake = event_new(base, b->wake_fd, EV_READ | EV_PERSIST, on_wake, b);
    b->stop_turn = event_new(base, -1, EV_PERSIST, on_stop_turn, b);
    (void)event_add(b->on_posted, NULL);
    (void)event_add(b->on_wake, NULL);
}

static int build(struct bus *b, struct error *err)
{
    struct hub *h = &b->hub;
    int rc = connect_all(h, err);
    if (rc)
        return rc;
    init_scripts(&h->scripts);
    h->places = places_new(h);
    h->publisher = publisher_new(h);
    h->sweep = sweep_new(h);
    h->reports = reports_new(h);
    h->outbox = outbox_new(h);
    h->writeback = writeback_new(h);
    h->marks_watch = marks_watch_new(h);
    rc = snapshots_new(h, &h->snapshots, err);
    if (rc)
        return rc;
    listen_to_threads(b);
    (void)places_get(h->places, "any");
    return 0;
}

// Connections first: their last callbacks still find every part.
static void dismantle(struct bus *b)
{
    struct hub *h = &b->hub;
    h->stopping = true;
    if (h->producer)
        kafka_producer_free(h->producer, 0);
    if (h->redis)
        redis_free(h->redis);
    if (h->places) {
        snapshots_free(h->snapshots);
        marks_watch_free(h->marks_watch);
        writeback_free(h->writeback);
        outbox_free(h->outbox);
        reports_free(h->reports);
        sweep_free(h->sweep);
        publisher_free(h->publisher);
        places_free(h->places);
    }
    struct event *const events[] = {b->on_posted, b->on_wake, b->stop_turn};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i])
            event_free(events[i]);
    base_end(h->base);
    mailbox_free(b->posted);
    (void)close(b->wake_fd);
    for (size_t i = 0; i < ARRAY_LEN(b->texts); i++)
        free(b->texts[i]);
    free(h->process);
    free(b);
}

int bus_start(const struct bus_params *p, struct bus **ret, struct error *err)
{
    struct bus *b = mem_alloc(sizeof(*b));
    keep_params(b, p);
    b->posted = mailbox_new(MAILBOX_COUNT);
    b->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    b->hub.base = event_base_new();
    if (!b->hub.base || b->wake_fd < 0)
        abort();
    int rc = build(b, err);
    if (!rc && pthread_create(&b->thread, NULL, thread_main, b))
        rc = error_set(err, -EAGAIN, "no thread for the bus");
    if (rc)
        dismantle(b);
    else
        *ret = b;
    return rc;
}

void bus_stop(struct bus *b, uint32_t timeout_ms)
{
    b->stop_timeout_ms = timeout_ms;
    b->stop = true;
    wake(b);
    (void)pthread_join(b->thread, NULL);
    dismantle(b);
}
