// Answers in the order of the questions. Servers answer independently, and a command that is redirected is
// overtaken by those that are not; who asks several things in a row counts on their order nevertheless.
#include "common/base/mem.h"
#include "common/redis/cluster.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <uthash.h>

struct cluster_order {
    UT_hash_handle hh;
    void *arg;
    STAILQ_HEAD(, cluster_call) calls;
};

void cluster_order_add(struct cluster_call *call)
{
    struct redis_cluster *c = call->cluster;
    struct cluster_order *order;
    HASH_FIND_PTR(c->orders, &call->arg, order);
    if (!order) {
        order = mem_alloc(sizeof(*order));
        order->arg = call->arg;
        STAILQ_INIT(&order->calls);
        HASH_ADD_PTR(c->orders, arg, order);
    }
    call->order = order;
    STAILQ_INSERT_TAIL(&order->calls, call, in_order);
    c->pending++;
}

// The callback may ask for more with the same arg, or free it all: the order is gone before the last of it.
static void deliver(struct cluster_call *take_call, const struct redis_value *v, const struct error *err)
{
    struct redis_cluster *c = take_call->cluster;
    struct cluster_order *order = take_call->order;
    STAILQ_REMOVE_HEAD(&order->calls, in_order);
    if (STAILQ_EMPTY(&order->calls)) {
        HASH_DEL(c->orders, order);
        free(order);
    }
    c->pending--;
    c->r->answered_by = take_call->answered_by;
    take_call->fn(take_call->arg, v, err);
    redis_value_free(take_call->value);
    redisFreeCommand(take_call->wire);
    free(take_call);
}

static void keep(struct cluster_call *call, struct redis_conn *conn, const struct redis_value *v,
                 const struct error *err)
{
    call->done = true;
    if (v != call->value)
        call->value = redis_conn_keep(conn, v);
    if (err)
        call->err = *err;
}

void cluster_order_answer(struct cluster_call *take_call, struct redis_conn *conn,
                          const struct redis_value *v, const struct error *err)
{
    struct redis_cluster *c = take_call->cluster;
    struct cluster_call *next = STAILQ_FIRST(&take_call->order->calls);
    take_call->answered_by = take_call->node ? take_call->node->number : 0;
    if (next != take_call) {
        keep(take_call, conn, v, err);
        return;
    }
    void *arg = take_call->arg;
    deliver(take_call, v, err);
    for (;;) {
        struct cluster_order *order;
        HASH_FIND_PTR(c->orders, &arg, order);
        next = order ? STAILQ_FIRST(&order->calls) : NULL;
        if (!next || !next->done)
            return;
        deliver(next, next->value, next->value ? NULL : &next->err);
    }
}
