// What the files of the cluster share. cluster_map.c knows who has which slot, cluster_calls.c brings each
// command there, cluster_wait.c waits for the replicas of all, cluster_order.c keeps the
// order of the answers, cluster.c is the life of it all.
#ifndef ROLLCALL_REDIS_CLUSTER_H
#define ROLLCALL_REDIS_CLUSTER_H

#include "common/redis/internal.h"
#include "common/redis/slots.h"

#include <sys/queue.h>

struct cluster_order;

// A server that has slots, or to which one is being moved.
struct cluster_node {
    TAILQ_ENTRY(cluster_node) link;
    struct redis_cluster *cluster;
    struct redis_conn *conn;
    uint64_t number;  // of the connection, among those of all servers
    bool has_slots;   // by the last map
    bool written;     // commands went to it since the last WAIT
    uint64_t used_us; // when a command or a slot was last sent to it
};
TAILQ_HEAD(cluster_nodes, cluster_node);

// A command until its callback has run.
struct cluster_call {
    TAILQ_ENTRY(cluster_call) link; // of those that wait for their server
    STAILQ_ENTRY(cluster_call) in_order;
    struct cluster_order *order;
    struct redis_cluster *cluster;
    struct cluster_node *node; // it is with this one; NULL: it waits
    redis_fn *fn;
    void *arg;
    const struct redis_script *script;
    char *wire; // of hiredis
    size_t wire_bytes, argc;
    uint16_t slot;
    unsigned redirections; // without a pause between them
    uint64_t since_us;
    uint64_t answered_by;      // node->number when it was
    bool done;                 // answered, but another is to be answered first
    struct redis_value *value; // kept until then; NULL: err
    struct error err;
};
TAILQ_HEAD(cluster_calls, cluster_call);

struct redis_cluster {
    struct redis *r;
    struct cluster_nodes nodes;
    struct cluster_node *owners[REDIS_SLOTS]; // NULL: nobody knows

    struct redis_conn *scout; // to any node: asks for the map
    size_t scout_at;          // which address is tried next
    bool asking, ask_again;
    bool sound;     // what the scout's node said of itself before its map
    uint64_t epoch; // of the map held
    uint64_t asked_epoch;
    char *digest; // of the masters that were told as up; NULL

    struct cluster_order *orders; // by arg
    struct cluster_calls waiting;
    size_t pending;
    uint64_t limit_us;   // how long a command may wait
    bool wait_lost;      // a master that took writes since the last WAIT is gone
    struct event *turn;  // asks for the map
    struct event *retry; // sends those that wait
    bool closing;
};

// cluster_map.c
struct cluster_node *cluster_node_for(struct redis_cluster *c, struct str host, uint16_t port); // made if new
void cluster_map_begin(struct redis_cluster *c);
void cluster_map_ask(struct redis_cluster *c);
void cluster_map_turn(struct redis_cluster *c); // asks, and lets servers go that are no longer needed
void cluster_map_close(struct redis_cluster *c);

// cluster_calls.c
void cluster_calls_retry(struct redis_cluster *c);
void cluster_calls_lost(struct cluster_node *node); // its connection is gone
void cluster_calls_close(struct redis_cluster *c);

struct cluster_call *cluster_call_new(struct redis_cluster *c, redis_fn *fn, void *arg); // in its order

// cluster_wait.c: as redis_cluster_send.
must_use bool cluster_wait(struct redis_cluster *c, redis_fn *fn, void *arg, size_t argc,
                           const struct str *argv);

// cluster_order.c: answers to calls with one arg come in the order of cluster_order_add.
void cluster_order_add(struct cluster_call *call);
// Takes the call. v is of the running callback of `conn`, or the call's own value, or NULL.
void cluster_order_answer(struct cluster_call *take_call, struct redis_conn *conn,
                          const struct redis_value *v, const struct error *err);

#endif
