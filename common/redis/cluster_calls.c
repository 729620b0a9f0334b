// Brings each command to the master of its key's slot, and after it where that one says it is now. A command
// that was redirected, or that a slot on the move refuses, was not carried out and is given again until its
// time is over; one whose connection was lost may have been, and is not.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/redis/cluster.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

enum { PAUSE_US = 20000, REDIRECTIONS_AT_ONCE = 5 };

static void on_reply(void *arg, const struct redis_value *v, const struct error *err);

// ---- a command on its way

static bool give(struct cluster_call *call, struct cluster_node *n, bool asking)
{
    struct redis_call *sent = redis_call_new(on_reply, call);
    sent->script = call->script;
    sent->asking = asking;
    if (!redis_conn_send_wire(n->conn, sent, call->argc, str_of_bytes(call->wire, call->wire_bytes))) {
        redis_call_free(sent);
        return false;
    }
    n->used_us = clock_monotonic_us();
    n->written = true;
    call->node = n;
    return true;
}

static void wait(struct cluster_call *call, const struct error *why)
{
    struct redis_cluster *c = call->cluster;
    call->node = NULL;
    call->redirections = 0;
    call->err = *why; // what it gets when its time is over
    TAILQ_INSERT_TAIL(&c->waiting, call, link);
    if (!event_pending(c->retry, EV_TIMEOUT, NULL))
        timer_in_us(c->retry, PAUSE_US);
}

static void redirect(struct cluster_call *call, const struct redis_redirection *to, const struct error *why)
{
    struct redis_cluster *c = call->cluster;
    struct str host = to->host.n ? to->host : str_of(call->node->conn->host);
    struct cluster_node *n = cluster_node_for(c, host, to->port);
    n->used_us = clock_monotonic_us();
    if (!to->ask) {
        n->has_slots = true;
        c->owners[to->slot] = n;
        cluster_map_ask(c);
    }
    if (call->redirections++ >= REDIRECTIONS_AT_ONCE || !give(call, n, to->ask))
        wait(call, why);
}

static bool refused_for_now(const struct error *err)
{
    return err->code == -EIO && str_starts(str_of(err->text), STR_LIT("TRYAGAIN"));
}

static void on_reply(void *arg, const struct redis_value *v, const struct error *err)
{
    struct cluster_call *call = arg;
    struct redis_cluster *c = call->cluster;
    struct redis_conn *conn = call->node->conn;
    struct redis_redirection to;
    if (!err)
        call->node->written = true; // a WAIT that went before this answer was another's
    bool redirected = err && err->code == -EIO && redis_redirection_read(str_of(err->text), &to);
    if (c->closing || !err || (!redirected && !refused_for_now(err))) {
        redis_enter(c->r);
        cluster_order_answer(call, conn, v, err);
        redis_leave(c->r);
    } else if (redirected) {
        redirect(call, &to, err);
    } else {
        wait(call, err);
    }
}

// The master may have changed: it is found anew each time.
void cluster_calls_retry(struct redis_cluster *c)
{
    struct cluster_calls again;
    struct cluster_call *call;
    uint64_t now_us = clock_monotonic_us();
    TAILQ_INIT(&again);
    TAILQ_CONCAT(&again, &c->waiting, link);
    while ((call = TAILQ_FIRST(&again))) {
        TAILQ_REMOVE(&again, call, link);
        struct cluster_node *n = c->owners[call->slot];
        struct error why = call->err;
        if (c->closing || now_us - call->since_us > c->limit_us)
            cluster_order_answer(call, NULL, NULL, &why);
        else if (!n || !give(call, n, false))
            wait(call, &why);
    }
}

void cluster_calls_lost(struct cluster_node *n)
{
    n->cluster->wait_lost = n->cluster->wait_lost || n->written;
    n->written = false;
}

void cluster_calls_close(struct redis_cluster *c)
{
    struct cluster_call *call;
    struct error err;
    error_set(&err, -ENOTCONN, "the connection to Redis is being closed");
    while ((call = TAILQ_FIRST(&c->waiting))) {
        TAILQ_REMOVE(&c->waiting, call, link);
        cluster_order_answer(call, NULL, NULL, &err);
    }
}

// ---- a new one

struct cluster_call *cluster_call_new(struct redis_cluster *c, redis_fn *fn, void *arg)
{
    struct cluster_call *call = mem_alloc(sizeof(*call));
    call->cluster = c;
    call->fn = fn;
    call->arg = arg;
    call->since_us = clock_monotonic_us();
    cluster_order_add(call);
    return call;
}

bool redis_cluster_send(struct redis_cluster *c, const struct redis_script *script, redis_fn *fn, void *arg,
                        size_t argc, const struct str *argv)
{
    size_t key = script ? 3 : 1;
    if (c->closing || argc == 0)
        return false;
    if (!script && str_ieq_cstr(argv[0], "WAIT"))
        return cluster_wait(c, fn, arg, argc, argv);
    uint16_t slot = redis_slot(key < argc ? argv[key] : STR_NONE);
    struct cluster_node *n = c->owners[slot];
    if (!n || !redis_conn_is_up(n->conn))
        return false;
    struct cluster_call *call = cluster_call_new(c, fn, arg);
    call->script = script;
    call->slot = slot;
    call->argc = argc;
    call->wire = redis_format(argc, argv, &call->wire_bytes);
    (void)give(call, n, false);
    return true;
}
