// What the files of this folder share: the connection object and who may change what in it. hiredis gives the
// protocol (its formatter and its reader); the socket is a libevent bufferevent. hiredis's own asynchronous
// context is not used: it aborts the process on a reply that nobody asked for, resolves names blocking, frees
// itself under its user and has no time-outs.
#ifndef ROLLCALL_REDIS_INTERNAL_H
#define ROLLCALL_REDIS_INTERNAL_H

#include "common/base/buf.h"
#include "common/base/rng.h"
#include "common/redis/redis.h"
#include "common/redis/url.h"

#include <sys/queue.h>

struct bufferevent;
struct event;
struct evdns_base;
struct redisReader;
struct redis_lookup;

enum redis_state {
    REDIS_DOWN,       // waiting for the next attempt
    REDIS_CONNECTING, // resolving, or the socket is not open yet
    REDIS_GREETING,   // AUTH, SELECT, INFO are under way
    REDIS_UP,         // taking commands
};

// A command whose callback has not run yet.
struct redis_call {
    STAILQ_ENTRY(redis_call) link;
    redis_fn *fn;
    void *arg;
    uint64_t sent_us;
    const struct redis_script *script; // an EVALSHA, repeated as EVAL if Redis does not know it
    char *script_tail;                 // what follows the digest on the wire
    size_t script_tail_bytes;
    size_t script_argc; // of the whole command
};
STAILQ_HEAD(redis_calls, redis_call);

struct redis {
    struct redis_params params; // its strings are not valid after redis_new
    struct redis_url url;
    enum redis_state state;
    struct redis_calls sent;    // in the order of their replies; while greeting, the greeting's own
    struct redis_calls refused; // given while down: answered on the next loop turn
    size_t sent_count, refused_count;

    struct evdns_base *dns; // NULL where the URL needs no resolving
    struct redis_lookup *lookup;
    struct bufferevent *socket;
    struct redisReader *reader;
    uint64_t attempts; // also turns through the addresses of a name
    uint32_t pause_ms; // back-off before the next attempt
    struct rng rng;
    struct error told; // what on_down last said
    struct error greeting;
    struct buf replication_id;

    struct event *retry;    // next attempt
    struct event *deadline; // of the attempt, or of the oldest command sent
    struct event *answer;   // the refused
    unsigned depth;         // callbacks on the stack: the object outlives them
    bool freed;
};

// Brackets of every entry from the loop: the last one out frees what redis_free could not.
void redis_enter(struct redis *r);
void redis_leave(struct redis *r);

// redis.c: formatting, queueing and answering.
void redis_send(struct redis *r, struct redis_call *take_call, size_t argc, const struct str *argv);
struct redis_call *redis_call_new(redis_fn *fn, void *arg);
void redis_call_answer(struct redis_call *take_call, const struct redis_value *v, const struct error *err);
void redis_take_reply(struct redis *r, const struct redis_value *v); // of the oldest command sent
void redis_arm_deadline(struct redis *r);

// script.c: true when the call was sent again as EVAL and keeps waiting.
bool redis_script_resend(struct redis *r, struct redis_call *call, const struct redis_value *v);

// link.c: the socket. Ends with redis_greet or redis_drop.
void redis_link_open(struct redis *r);
void redis_link_close(struct redis *r);

// session.c: from open socket to on_up, and what follows a loss.
void redis_greet(struct redis *r);
void redis_drop(struct redis *r, const struct error *why); // all that were sent are answered with `why`
uint32_t redis_timeout_ms(const struct redis *r);

#endif
