// WAIT on a cluster: the writes that it is to wait for may have gone to several masters, so each of those is
// asked, over the connection that brought them.
#include "common/base/mem.h"
#include "common/redis/cluster.h"

#include <errno.h>
#include <stdlib.h>

struct wait {
    struct cluster_call *call;
    size_t left;
    int64_t fewest; // -1: none answered yet
    struct error err;
};

static void finish(struct wait *take)
{
    struct cluster_call *call = take->call;
    struct redis_cluster *c = call->cluster;
    struct error err = take->err;
    if (c->wait_lost && !err.code)
        error_set(&err, -ENOTCONN, "a master that took a write was lost before its replicas confirmed it");
    c->wait_lost = false;
    call->value = err.code ? NULL : redis_value_integer(take->fewest);
    free(take);
    redis_enter(c->r);
    cluster_order_answer(call, NULL, call->value, err.code ? &err : NULL);
    redis_leave(c->r);
}

static void on_replicas(void *arg, const struct redis_value *v, const struct error *err)
{
    struct wait *w = arg;
    int64_t count = redis_int(v);
    if (err)
        w->err = *err;
    else if (w->fewest < 0 || count < w->fewest)
        w->fewest = count;
    if (--w->left == 0)
        finish(w);
}

static void ask(struct cluster_node *n, struct wait *w, size_t argc, const struct str *argv)
{
    struct redis_call *call = redis_call_new(on_replicas, w);
    if (redis_conn_send(n->conn, call, argc, argv)) {
        w->left++;
        n->written = false;
    } else {
        redis_call_free(call);
    }
}

static struct cluster_node *any_that_is_up(struct redis_cluster *c)
{
    struct cluster_node *n;
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (redis_conn_is_up(n->conn))
            return n;
    }
    return NULL;
}

bool cluster_wait(struct redis_cluster *c, redis_fn *fn, void *arg, size_t argc, const struct str *argv)
{
    struct cluster_node *n, *any = any_that_is_up(c);
    if (!any)
        return false;
    struct wait *w = mem_alloc(sizeof(*w));
    w->call = cluster_call_new(c, fn, arg);
    w->fewest = -1;
    TAILQ_FOREACH(n, &c->nodes, link) {
        if (n->written)
            ask(n, w, argc, argv);
    }
    if (!w->left)
        ask(any, w, argc, argv); // nothing was written: any answer is one
    return true;
}
