// See freshness.h. One question at a time; whoever comes while it is under way is in the next one, since its
// end must be told after it came.
#include "services/gateway/publish/freshness.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/kafka/kafka.h"
#include "common/log/log.h"
#include "services/gateway/publish/reports.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 30

struct freshness {
    struct hub *hub;
    struct kafka_group *group;
    TAILQ_HEAD(, freshness_wait) waits;
    struct event *turn;
    bool asking;
};

static void tell_unknown(struct freshness *f, const struct freshness_wait *w, double waited_s)
{
    hub_count(f->hub, BUS_SNAPSHOTS_STALE, 0, 1);
    if (w->left < 0)
        log_limited(LOG_WARNING, "publish", 0,
                    "a snapshot is given as it is: in %.1f s Kafka did not say how far %s is applied",
                    waited_s, w->topic);
    else
        log_limited(LOG_WARNING, "publish", 0,
                    "a snapshot is given as it is: after %.1f s %" PRId64 " reports of %s are not applied",
                    waited_s, w->left, w->topic);
}

static void end(struct freshness *f, struct freshness_wait *w, enum freshness_end how)
{
    uint64_t waited_us = clock_monotonic_us() - w->since_us;
    TAILQ_REMOVE(&f->waits, w, link);
    if (how == FRESHNESS_UNKNOWN)
        tell_unknown(f, w, (double)waited_us / 1e6);
    if (how == FRESHNESS_REACHED || how == FRESHNESS_UNKNOWN)
        hub_observe(f->hub, BUS_SNAPSHOT_WAIT, waited_us);
    free(w->topic);
    behind_done(&w->behind);
    w->fn(w, how);
}

// ---- the answer

static bool is_fresh(struct freshness *f, struct freshness_wait *w, const struct kafka_progress *p)
{
    w->left = p->count >= 0 ? 0 : -1;
    for (int32_t n = 0; n < p->count; n++) {
        if (!behind_concerns(&w->behind, n, p->count))
            continue;
        int64_t next = p->partitions[n].next, ours = reports_applied(f->hub->reports, p->topic, n);
        int64_t left = behind_left(&w->behind, n, p->partitions[n].end, next > ours ? next : ours);
        w->left = left < 0 || w->left < 0 ? -1 : w->left + left;
    }
    return w->left == 0;
}

static const struct kafka_progress *find(const struct kafka_progress *all, size_t count, const char *topic)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(all[i].topic, topic))
            return &all[i];
    return NULL;
}

static void on_progress(void *arg, const struct kafka_progress *topics, size_t count)
{
    struct freshness *f = arg;
    struct freshness_wait *w, *next;
    bool newcomers = false;
    f->asking = false;
    for (w = TAILQ_FIRST(&f->waits); w; w = next) {
        next = TAILQ_NEXT(w, link);
        const struct kafka_progress *p = w->asked ? find(topics, count, w->topic) : NULL;
        newcomers = newcomers || !w->asked;
        w->asked = false;
        if (p && is_fresh(f, w, p))
            end(f, w, FRESHNESS_REACHED);
    }
    if (!TAILQ_EMPTY(&f->waits))
        timer_in_ms(f->turn, newcomers ? 0 : AGAIN_MS);
}

// ---- the question

static void ask(struct freshness *f)
{
    size_t size = 0, count = 0;
    struct freshness_wait *w;
    TAILQ_FOREACH(w, &f->waits, link)
        size++;
    const char **topics = mem_array(size, sizeof(*topics));
    TAILQ_FOREACH(w, &f->waits, link) {
        size_t i = 0;
        while (i < count && strcmp(topics[i], w->topic) != 0)
            i++;
        if (i == count)
            topics[count++] = w->topic;
        w->asked = true;
    }
    f->asking = true;
    kafka_group_ask(f->group, topics, count, on_progress, f);
    free(topics);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct freshness *f = arg;
    struct freshness_wait *w, *next;
    uint64_t now_us = clock_monotonic_us();
    for (w = TAILQ_FIRST(&f->waits); w; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->is_gone(w))
            end(f, w, FRESHNESS_LEFT);
        else if (now_us - w->since_us >= f->hub->params.snapshot_wait_ms * UINT64_C(1000))
            end(f, w, FRESHNESS_UNKNOWN);
    }
    if (TAILQ_EMPTY(&f->waits))
        return;
    timer_in_ms(f->turn, AGAIN_MS); // the question that is under way may take longer than patience lasts
    if (!f->asking)
        ask(f);
}

void freshness_await(struct freshness *f, struct freshness_wait *w, const char *place, uint32_t partition,
                     uint32_t partitions)
{
    struct buf topic = BUF_INIT;
    buf_addf(&topic, "%s.status.%s", f->hub->params.topic_prefix, place);
    w->topic = buf_steal(&topic);
    w->since_us = clock_monotonic_us();
    w->asked = false;
    w->left = -1;
    behind_init(&w->behind, partition, partitions);
    TAILQ_INSERT_TAIL(&f->waits, w, link);
    if (!f->asking)
        timer_in_ms(f->turn, 0);
}

// ---- life

int freshness_new(struct hub *h, struct freshness **ret, struct error *err)
{
    char name[REPORTS_GROUP_BYTES];
    struct kafka_group *group;
    const struct kafka_params params = hub_kafka_params(h);
    reports_group(h, name);
    int rc = kafka_group_new(&params, name, &group, err);
    if (rc)
        return rc;
    struct freshness *f = mem_alloc(sizeof(*f));
    f->hub = h;
    f->group = group;
    TAILQ_INIT(&f->waits);
    f->turn = event_new(h->base, -1, 0, on_turn, f);
    if (!f->turn)
        abort();
    *ret = f;
    return 0;
}

void freshness_stop(struct freshness *f)
{
    struct freshness_wait *w;
    while ((w = TAILQ_FIRST(&f->waits)))
        end(f, w, FRESHNESS_STOPPED);
    (void)event_del(f->turn);
}

void freshness_free(struct freshness *f)
{
    if (!f)
        return;
    freshness_stop(f);
    kafka_group_free(f->group);
    event_free(f->turn);
    free(f);
}
