// What redis.c, sentinel.c and cluster.c share: who the user is, and how he is told.
#ifndef ROLLCALL_REDIS_INTERNAL_H
#define ROLLCALL_REDIS_INTERNAL_H

#include "common/redis/conn.h"
#include "common/redis/redis.h"
#include "common/redis/url.h"

struct redis_sentinels;
struct redis_cluster;

struct redis {
    struct redis_params params; // its strings are not valid after redis_new
    struct redis_url url;
    struct redis_tls tls;
    char *sentinel_password;
    struct redis_conn *conn;           // of one server, or of the master; NULL for a cluster
    struct redis_sentinels *sentinels; // NULL: nobody is asked where it is
    struct redis_cluster *cluster;
    struct redis_calls refused; // given while down: answered on the next loop turn
    size_t refused_count;
    struct event *answer; // those
    struct error told;    // what on_down last said
    bool up;              // on_up was the last that was told
    uint64_t connections; // that were ever up
    uint64_t answered_by; // the one of these that the answer of the running callback came over
    unsigned depth;       // callbacks on the stack: the object outlives them
    bool freed;
};

// Brackets of every entry that may end in a callback of the user.
void redis_enter(struct redis *r);
void redis_leave(struct redis *r);
void redis_tell_up(struct redis *r, struct str replication_id);
void redis_tell_down(struct redis *r, const struct error *why);
// What connections to servers of this user have in common; any_role and the callbacks are the caller's.
struct redis_conn_params redis_conn_defaults(struct redis *r);

// sentinel.c: asks all sentinels again and again and sends r->conn where the master is.
struct redis_sentinels *redis_sentinels_new(struct redis *r);
void redis_sentinels_free(struct redis_sentinels *s); // NULL is allowed

// cluster.c
struct redis_cluster *redis_cluster_new(struct redis *r);
void redis_cluster_close(struct redis_cluster *c); // answers all that is under way; NULL is allowed
void redis_cluster_free(struct redis_cluster *c);  // after it; NULL is allowed
size_t redis_cluster_pending(const struct redis_cluster *c);
// False: whoever has the key is away. script NULL: a plain command.
must_use bool redis_cluster_send(struct redis_cluster *c, const struct redis_script *script, redis_fn *fn,
                                 void *arg, size_t argc, const struct str *argv);

#endif
