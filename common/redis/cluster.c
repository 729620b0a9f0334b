// Life of the connections to a Redis Cluster. Everything else is in the files that cluster.h names.
#include "common/redis/cluster.h"

#include "common/base/mem.h"
#include "common/event/timer.h"

#include <event2/event.h>
#include <stdlib.h>

enum { TURN_MS = 500 };

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_cluster *c = arg;
    redis_enter(c->r);
    cluster_map_turn(c);
    redis_leave(c->r);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_cluster *c = arg;
    redis_enter(c->r);
    cluster_calls_retry(c);
    redis_leave(c->r);
}

struct redis_cluster *redis_cluster_new(struct redis *r)
{
    struct redis_cluster *c = mem_alloc(sizeof(*c));
    c->r = r;
    c->limit_us = r->params.command_timeout_ms * UINT64_C(1000);
    TAILQ_INIT(&c->nodes);
    TAILQ_INIT(&c->waiting);
    c->turn = event_new(r->params.base, -1, EV_PERSIST, on_turn, c);
    c->retry = event_new(r->params.base, -1, 0, on_retry, c);
    if (!c->turn || !c->retry)
        abort();
    timer_in_ms(c->turn, TURN_MS);
    cluster_map_begin(c);
    return c;
}

void redis_cluster_close(struct redis_cluster *c)
{
    if (!c)
        return;
    c->closing = true;
    (void)event_del(c->turn);
    (void)event_del(c->retry);
    cluster_map_close(c);
    cluster_calls_close(c);
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (!c)
        return;
    event_free(c->turn);
    event_free(c->retry);
    free(c->digest);
    free(c);
}

size_t redis_cluster_pending(const struct redis_cluster *c)
{
    return c->pending;
}
