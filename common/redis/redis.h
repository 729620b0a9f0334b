// Redis on a libevent loop, asynchronously: one server, the master that Sentinel names, or a cluster. Finds
// it, authenticates, connects again with back-off, follows fail-overs and slots that move, runs commands and
// scripts by SHA. The only place that includes hiredis. Everything on the loop's thread.
#ifndef ROLLCALL_REDIS_REDIS_H
#define ROLLCALL_REDIS_REDIS_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

struct event_base;
struct redis;
struct redis_value; // a reply; borrowed during the callback

enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_INTEGER, REDIS_ARRAY, REDIS_STATUS, REDIS_FAIL };

enum redis_type redis_type(const struct redis_value *v);
struct str redis_str(const struct redis_value *v); // string, status or error text; else STR_NONE
int64_t redis_int(const struct redis_value *v);    // integer, or a string that is one; else 0
size_t redis_count(const struct redis_value *v);   // of an array
const struct redis_value *redis_at(const struct redis_value *v, size_t index); // NULL past the end

// Exactly once for each command. v is NULL when the connection was lost before the answer (err: -ENOTCONN:
// the command may have been carried out; -ETIMEDOUT), and for error replies (err: -EIO, with Redis's text).
// Else err is NULL.
typedef void redis_fn(void *arg, const struct redis_value *v, const struct error *err);

// Whether an error may pass by itself, or once somebody repairs Redis (fail-over, loading, a full disk or
// memory, a changed password): the command is to be given again. Any other is about the command.
bool redis_error_passes(const struct error *err);

// How to get in where the URL does not say it. Paths are of PEM files, read at each connection; all NULL:
// none, and the system's trust store.
struct redis_options {
    const char *sentinel_password; // of the sentinels themselves
    const char *tls_ca_file;
    const char *tls_certificate_file, *tls_key_file; // ours, where the server asks for one; both or none
};

struct redis_params {
    struct event_base *base;
    const char *url;      // common/redis/url.h
    const char *password; // instead of the URL's; NULL
    struct redis_options options;
    uint32_t
        command_timeout_ms; // of an attempt to connect too; what overruns it ends the connection. 0: 5 000
    void *arg;
    // All is usable: logged in, and a master that has loaded its data (a replica is refused and tried again,
    // so a fail-over is followed); of a cluster the masters of all slots. replication_id is INFO's
    // run_id (master_replid where it says none), of a cluster a digest over those of its masters: it changes
    // after a fail-over and a restart, and at no other time.
    void (*on_up)(void *arg, struct str replication_id);
    // That is so no longer, or an attempt failed for another reason than the one told last. What of a cluster
    // is still there goes on answering.
    void (*on_down)(void *arg, const struct error *why);
};

// 0; -EINVAL where the URL or the options are wrong. Copies what it keeps of the strings.
must_use int redis_new(const struct redis_params *params, struct redis **ret, struct error *err);
void redis_free(struct redis *r); // callbacks under way get -ENOTCONN, from within
bool redis_is_up(const struct redis *r);
size_t redis_pending_count(const struct redis *r);

// Within a callback: the connection that the answer came over, by a number that no other of this `r` has had;
// 0: over none. A cursor (SSCAN and its like) is good for the server that gave it and no other, and a slot of
// a cluster moves without on_down.
uint64_t redis_answered_by(const struct redis *r);

// argv[i] are copied before it returns. While down the callback gets -ENOTCONN on the next loop turn.
// Answers to commands with the same `arg` come in the order of the commands, but those refused while down may
// overtake; with one server all do. In a cluster a command is WAIT, or has its key as its first argument and
// all its keys in one slot. WAIT waits for every write that was answered since the last WAIT, whichever
// masters took them, and gives the fewest replicas.
void redis_command(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct str *argv);
// redis_commandl(r, fn, arg, STR_LIT("HGET"), key, field): the same from a list of struct str.
#define redis_commandl(r, fn, arg, ...)                                                                      \
    redis_command((r), (fn), (arg), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str),                \
                  (struct str[]){__VA_ARGS__})

// A script built into the binary.
struct redis_script {
    const char *name;
    struct str text;
    char sha1_hex[41]; // filled by redis_script_init
};
void redis_script_init(struct redis_script *s, const char *name, struct str text);
// EVAL the first time on a connection, EVALSHA after, and EVAL again when Redis has forgotten it. Keys first
// in argv. of the same slot. While a cluster moves that slot it is held back, since it would find only some
// of them; when that takes longer than a command may, it gets Redis's TRYAGAIN.
void redis_script(struct redis *r, const struct redis_script *s, redis_fn *fn, void *arg, size_t key_count,
                  size_t argc, const struct str *argv);

#endif
