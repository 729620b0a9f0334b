// One request under way: what was read of it, who asks, and what it still waits for. Loop thread only. Freed
// by its answer.
#ifndef ROLLCALL_GATEWAY_KAZOO_CALL_H
#define ROLLCALL_GATEWAY_KAZOO_CALL_H

#include "services/gateway/auth/token.h"
#include "services/gateway/kazoo/kazoo.h"

struct resource;

struct kazoo {
    const struct dialect_shared *shared;
    struct dialect_calls calls;
    char node[23]; // of the envelope: URL-safe base64 of an MD5
};

// What was presented to say who asks (contract 2).
enum presented { PRESENTED_NONE, PRESENTED_TOKEN, PRESENTED_BASIC, PRESENTED_UNKNOWN };

struct call {
    struct dialect_call call; // whose http, principal and account these are
    struct kazoo *kazoo;
    struct buf request_id;
    bool is_cors, is_pretty;

    // the path
    const struct resource *resource; // NULL: nobody knows it
    bool names_account;              // below /accounts/{ID}
    struct buf account_id, username; // decoded

    // query and body
    enum http_method verb; // after tunnelling
    struct http_pairs query;
    struct buf body;
    struct json *envelope;   // NULL: none
    const struct json *data; // of it

    // who asks
    enum presented presented;
    struct buf token; // as presented, without its scheme
    struct session_token session;
    bool has_session; // signature and time are good, and nobody revoked it
    bool is_authenticated;
    const struct throttle_answer *tokens; // NULL: no rate limit was asked
    struct throttle_answer tokens_held;
    uint32_t cost;

    void *work; // the handler's own, freed by work_free
    void (*work_free)(void *work);
};

typedef void call_fn(struct call *c);

void kazoo_call_free(struct call *c); // for those who answer
struct store *kazoo_call_store(const struct call *c);

// A member of the envelope.
const struct json *kazoo_call_member(const struct call *c, const char *name);
// A request value (contract 2): searched in the body's data, the query, the body's top level. STR_NONE:
// absent or no text. Borrows from the call.
struct str kazoo_call_value(const struct call *c, const char *name);

#endif
