// See workers.h.
#include "services/registrant/shard/workers.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/event/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

// Commands kept for all threads together at which the sources are asked to stop, and to go on again.
enum { CONGESTED_AT = 512, RELIEVED_AT = 64 };
enum { RETRY_MS = 1 }; // the queue of a thread that is busy is tried again

struct kept {
    STAILQ_ENTRY(kept) link;
    struct sip_command *command;
};
STAILQ_HEAD(kept_list, kept);

struct worker {
    struct workers *owner;
    unsigned index;
    struct sip_thread *thread;
    struct event *notices;
    struct kept_list kept;
};

// A partition that is being closed: how many threads have not said so yet.
struct closing {
    SLIST_ENTRY(closing) link;
    uint32_t shard;
    unsigned left;
};

struct workers {
    struct workers_params params;
    struct worker *items;
    unsigned count, stopped;
    size_t kept_count;
    bool congested;
    struct event *retry; // pushes again what was kept
    SLIST_HEAD(, closing) closings;
};

static void set_congested(struct workers *w)
{
    bool now = w->congested ? w->kept_count > RELIEVED_AT : w->kept_count >= CONGESTED_AT;
    if (now == w->congested)
        return;
    w->congested = now;
    w->params.on_congestion(w->params.arg, now);
}

static void push(struct worker *worker, struct sip_command *take)
{
    struct workers *w = worker->owner;
    if (STAILQ_EMPTY(&worker->kept) && sip_thread_post(worker->thread, take) == 0)
        return;
    struct kept *kept = mem_alloc(sizeof(*kept));
    kept->command = take;
    STAILQ_INSERT_TAIL(&worker->kept, kept, link);
    w->kept_count++;
    timer_in_ms(w->retry, RETRY_MS);
    set_congested(w);
}

static void flush_kept(struct worker *worker)
{
    struct kept *kept;
    while ((kept = STAILQ_FIRST(&worker->kept)) && sip_thread_post(worker->thread, kept->command) == 0) {
        STAILQ_REMOVE_HEAD(&worker->kept, link);
        free(kept);
        worker->owner->kept_count--;
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct workers *w = arg;
    for (unsigned i = 0; i < w->count; i++)
        flush_kept(&w->items[i]);
    if (w->kept_count)
        timer_in_ms(w->retry, RETRY_MS);
    set_congested(w);
}

static void thread_closed(struct workers *w, uint32_t shard)
{
    struct closing *c = SLIST_FIRST(&w->closings);
    while (c && c->shard != shard)
        c = SLIST_NEXT(c, link);
    if (!c || --c->left)
        return;
    SLIST_REMOVE(&w->closings, c, closing, link);
    free(c);
    w->params.on_closed(w->params.arg, shard);
}

static void on_notices(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct worker *worker = arg;
    struct workers *w = worker->owner;
    struct sip_notice *notices[64];
    size_t count;
    while ((count = sip_thread_notices(worker->thread, notices, ARRAY_LEN(notices))) > 0) {
        for (size_t i = 0; i < count; i++) {
            struct sip_notice *n = notices[i];
            if (n->kind == SIP_REPORT) {
                w->params.on_report(w->params.arg, worker->index, n);
                continue;
            }
            if (n->kind == SIP_CLOSED)
                thread_closed(w, n->shard);
            else if (++w->stopped == w->count)
                w->params.on_stopped(w->params.arg);
            sip_notice_free(n);
        }
    }
}

static int start_worker(struct workers *w, unsigned index, struct error *err)
{
    struct worker *worker = &w->items[index];
    worker->owner = w;
    worker->index = index;
    STAILQ_INIT(&worker->kept);
    struct sip_thread_params params = w->params.thread;
    params.index = index;
    int rc = sip_thread_start(&params, &worker->thread, err);
    if (rc)
        return rc;
    w->count++;
    worker->notices =
        event_new(w->params.base, sip_thread_fd(worker->thread), EV_READ | EV_PERSIST, on_notices, worker);
    (void)event_add(worker->notices, NULL);
    return 0;
}

static void free_worker(struct worker *worker)
{
    struct kept *kept;
    while ((kept = STAILQ_FIRST(&worker->kept))) {
        STAILQ_REMOVE_HEAD(&worker->kept, link);
        sip_command_free(kept->command);
        free(kept);
    }
    event_free(worker->notices);
    sip_thread_join(worker->thread);
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    for (unsigned i = 0; i < w->count; i++)
        free_worker(&w->items[i]);
    struct closing *c;
    while ((c = SLIST_FIRST(&w->closings))) {
        SLIST_REMOVE_HEAD(&w->closings, link);
        free(c);
    }
    event_free(w->retry);
    free(w->items);
    free(w);
}

int workers_start(const struct workers_params *p, struct workers **ret, struct error *err)
{
    struct workers *w = mem_alloc(sizeof(*w));
    w->params = *p;
    w->items = mem_array(p->count, sizeof(*w->items));
    w->retry = event_new(p->base, -1, 0, on_retry, w);
    SLIST_INIT(&w->closings);
    for (unsigned i = 0; i < p->count; i++) {
        int rc = start_worker(w, i, err);
        if (rc) {
            workers_free(w);
            return rc;
        }
    }
    *ret = w;
    return 0;
}

unsigned workers_count(const struct workers *w)
{
    return w->count;
}

void workers_desired(struct workers *w, struct sip_command *take)
{
    push(&w->items[hash_u64(take->id) % w->count], take);
}

void workers_tell(struct workers *w, unsigned thread, const struct sip_command *c)
{
    struct sip_command *copy = sip_command_new(c->kind, c->shard);
    memcpy(copy->place, c->place, sizeof(copy->place));
    copy->epoch = c->epoch;
    copy->share = c->share;
    copy->lease = c->lease;
    copy->proved_us = c->proved_us;
    copy->until_us = c->until_us;
    copy->credit = c->credit;
    copy->id = c->id;
    copy->ring = c->ring ? key_ring_ref(c->ring) : NULL;
    push(&w->items[thread], copy);
}

static void expect_closed(struct workers *w, uint32_t shard)
{
    struct closing *c = mem_alloc(sizeof(*c));
    c->shard = shard;
    c->left = w->count;
    SLIST_INSERT_HEAD(&w->closings, c, link);
}

void workers_tell_all(struct workers *w, const struct sip_command *c)
{
    if (c->kind == SIP_SHARD_CLOSE || c->kind == SIP_SHARD_DROP)
        expect_closed(w, c->shard);
    for (unsigned i = 0; i < w->count; i++)
        workers_tell(w, i, c);
}

struct engine_stats workers_stats(const struct workers *w)
{
    struct engine_stats sum = {0};
    for (unsigned i = 0; i < w->count; i++) {
        struct engine_stats s = sip_thread_stats(w->items[i].thread);
        engine_stats_merge(&sum, &s);
    }
    return sum;
}

struct sip_stats workers_sip_stats(const struct workers *w)
{
    struct sip_stats sum = {0};
    for (unsigned i = 0; i < w->count; i++) {
        struct sip_stats s = sip_thread_sip_stats(w->items[i].thread);
        sum.transactions += s.transactions;
        sum.retransmissions += s.retransmissions;
        sum.stray += s.stray;
        sum.malformed += s.malformed;
        sum.incoming += s.incoming;
        sum.transport.connections += s.transport.connections;
        sum.transport.connected += s.transport.connected;
        sum.transport.lost += s.transport.lost;
        sum.transport.failed += s.transport.failed;
        sum.transport.accepted += s.transport.accepted;
        sum.transport.received += s.transport.received;
        sum.transport.sent += s.transport.sent;
        sum.transport.pings += s.transport.pings;
        sum.transport.pongs += s.transport.pongs;
        sum.resolver.names += s.resolver.names;
        sum.resolver.stale += s.resolver.stale;
        sum.resolver.questions += s.resolver.questions;
        sum.resolver.failures += s.resolver.failures;
        sum.resolver.changes += s.resolver.changes;
    }
    return sum;
}

size_t workers_registrars(const struct workers *w, unsigned thread, struct registrar_view *ret, size_t max,
                          struct registrar_view *ret_rest)
{
    return sip_thread_registrars(w->items[thread].thread, ret, max, ret_rest);
}

size_t workers_engine_bytes(const struct workers *w)
{
    size_t sum = 0;
    for (unsigned i = 0; i < w->count; i++)
        sum += sip_thread_engine_bytes(w->items[i].thread);
    return sum;
}
