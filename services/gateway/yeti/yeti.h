// The Yeti admin dialect: JSON:API documents under /api/rest/admin. A codec over the store: holds no state of
// its own but the requests under way. One object for each loop thread.
#ifndef ROLLCALL_GATEWAY_YETI_YETI_H
#define ROLLCALL_GATEWAY_YETI_YETI_H

#include "services/gateway/dialect/dialect.h"

#define YETI_PREFIX "/api/rest/admin"

struct yeti;

struct yeti_params {
    const struct dialect_shared *shared;
    struct event_base *base;
    int64_t token_lifetime_s;    // 0: tokens do not expire
    bool clear_passwords;        // reads show auth-password in clear, as Yeti does; else the fixed mask
    bool strict;                 // no additions: what a Yeti does not know is refused or ignored as there
    size_t operations_bytes;     // longest body of POST /operations
    uint64_t import_patience_us; // how long an import waits for a store that is away
};
struct yeti *yeti_new(const struct yeti_params *p);
void yeti_free(void *yeti);

// Takes every request whose path is below YETI_PREFIX and answers it exactly once.
void yeti_handle(void *yeti, struct http_request *r);

// The bodies that are read while they come: imports and operations.
bool yeti_takes_upload(void *yeti, enum http_method method, struct str path);

#endif
