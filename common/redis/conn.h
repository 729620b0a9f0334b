// One connection to one server, for the files of this folder: connects, logs in, connects again with
// back-off, and answers commands in the order in which they were sent. Where the server is, others decide.
//
// hiredis gives the protocol (its formatter and its reader); the socket is a libevent bufferevent. hiredis's
// own asynchronous context is not used: it aborts the process on a reply that nobody asked for, resolves
// names blocking, frees itself under its user and has no time-outs.
#ifndef ROLLCALL_REDIS_CONN_H
#define ROLLCALL_REDIS_CONN_H

#include "common/base/buf.h"
#include "common/base/rng.h"
#include "common/redis/redis.h"
#include "common/redis/tls.h"

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
    bool asking;                       // ASKING goes before it, also where it is repeated
    const struct redis_script *script; // an EVALSHA, repeated as EVAL if Redis does not know it
    char *script_tail;                 // what follows the digest on the wire
    size_t script_tail_bytes;
    size_t script_argc; // of the whole command
};
STAILQ_HEAD(redis_calls, redis_call);

struct redis_conn_params {
    struct event_base *base;
    // Borrowed for the connection's life; NULL: none.
    const char *user, *password;
    const struct redis_tls *tls;
    uint32_t db;
    // False: a master that has loaded its data is wanted, as redis_params.on_up tells. True: any server that
    // answers (a Sentinel; a node of a cluster that is asked for the map alone); replication_id is empty
    // then.
    bool any_role;
    uint32_t timeout_ms; // of an attempt, and of each command
    void *arg;
    void (*on_attempt)(void *arg); // before each; may say where to. NULL
    void (*on_up)(void *arg, struct str replication_id);
    void (*on_down)(void *arg, const struct error *why); // also the first of attempts that fail alike
};

enum { REDIS_KNOWN_SCRIPTS = 32 };

struct redis_conn {
    struct redis_conn_params params;
    char *host, *path; // where to; both NULL: nobody said yet
    uint16_t port;
    enum redis_state state;
    struct redis_calls sent; // in the order of their replies; while greeting, the greeting's own
    size_t sent_count;

    struct evdns_base *dns; // NULL where no name was to be resolved yet
    struct redis_lookup *lookup;
    struct bufferevent *socket;
    struct redisReader *reader;
    bool reply_kept;   // the reply that is being answered has another owner now
    uint64_t attempts; // also turns through the addresses of a name
    uint32_t pause_ms; // back-off before the next attempt
    struct rng rng;
    struct error told; // what on_down last said
    struct error greeting;
    struct buf replication_id;
    const struct redis_script *known[REDIS_KNOWN_SCRIPTS]; // that this connection has sent whole
    size_t known_count;

    struct event *retry;    // next attempt
    struct event *deadline; // of the attempt, or of the oldest command sent
    unsigned depth;         // callbacks on the stack: the object outlives them
    bool freed;
};

// ---- conn.c: life and commands

struct redis_conn *redis_conn_new(const struct redis_conn_params *params);
void redis_conn_free(struct redis_conn *c); // commands under way get -ENOTCONN, from within; NULL is allowed

// Where the next attempt goes; the first of these makes it, on the next loop turn.
void redis_conn_target(struct redis_conn *c, const char *host, uint16_t port);
void redis_conn_target_path(struct redis_conn *c, const char *path);
// The same at once: what there is of a connection is lost for the reason given.
void redis_conn_go(struct redis_conn *c, const char *host, uint16_t port, const struct error *why);
bool redis_conn_is_up(const struct redis_conn *c);

struct redis_call *redis_call_new(redis_fn *fn, void *arg);
void redis_call_free(struct redis_call *call);
void redis_call_answer(struct redis_call *take_call, const struct redis_value *v, const struct error *err);
// A command as it goes over the wire. Caller frees.
char *redis_format(size_t argc, const struct str *argv, size_t *ret_bytes);
// False, and the call stays the caller's: the connection is not up.
must_use bool redis_conn_send(struct redis_conn *c, struct redis_call *take_call, size_t argc,
                              const struct str *argv);
must_use bool redis_conn_send_wire(struct redis_conn *c, struct redis_call *take_call, size_t argc,
                                   struct str wire);
// Within a callback: its value stays valid until redis_value_free, or NULL where it has none.
struct redis_value *redis_conn_keep(struct redis_conn *c, const struct redis_value *v);
struct redis_value *redis_value_integer(int64_t number);
void redis_value_free(struct redis_value *v); // NULL is allowed

// ---- among conn.c, link.c, session.c and script.c

// Brackets of every entry from the loop: the last one out frees what redis_conn_free could not.
void redis_conn_enter(struct redis_conn *c);
void redis_conn_leave(struct redis_conn *c);
void redis_conn_write(struct redis_conn *c, struct redis_call *take_call, size_t argc,
                      const struct str *argv);
void redis_conn_queue(struct redis_conn *c, struct redis_call *take_call); // its bytes were just written
void redis_conn_asking(struct redis_conn *c, const struct redis_call *before);
void redis_take_reply(struct redis_conn *c, const struct redis_value *v); // of the oldest command sent

// script.c. Writes a call with the text of its script where this connection has not sent that yet: a refused
// digest would be repeated behind what was asked for after it. False: nothing was written, the digest will
// do.
bool redis_script_send_whole(struct redis_conn *c, struct redis_call *call);
// True when the call was sent again as EVAL and keeps waiting.
bool redis_script_resend(struct redis_conn *c, struct redis_call *call, const struct redis_value *v);

// link.c: the socket. Ends with redis_greet or redis_drop.
void redis_link_open(struct redis_conn *c);
void redis_link_close(struct redis_conn *c);

// session.c: from open socket to on_up, and what follows a loss.
void redis_greet(struct redis_conn *c);
void redis_drop(struct redis_conn *c, const struct error *why); // all that were sent are answered with `why`

#endif
