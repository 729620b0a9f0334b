// Which part of the gateway answers a path: a dialect, or the gateway itself (health, metrics, the API's
// description).
#ifndef ROLLCALL_GATEWAY_ROUTER_H
#define ROLLCALL_GATEWAY_ROUTER_H

#include "common/http/http.h"
#include "common/metrics/metrics.h"
#include "services/gateway/publish/bus.h"

// A dialect answers all that is below its prefix, in its own forms.
struct dialect {
    const char *prefix;
    void *object;
    void (*handle)(void *object, struct http_request *r);
    void (*free)(void *object);
    // Whether the body of such a request goes to http_upload_begin piece by piece (http.h); the path is the
    // whole one, without doubled slashes in front. NULL: never.
    bool (*takes_upload)(void *object, enum http_method method, struct str path);
};
#define ROUTER_DIALECTS_MAX 8

struct router {
    struct bus *bus;
    struct metrics *metrics;
    const struct store_gate *gate;
    struct dialect dialects[ROUTER_DIALECTS_MAX];
    size_t dialect_count;
};

// on_request of the HTTP server; arg is the struct router.
void router_handle(void *arg, struct http_request *r);
void router_limited(void *arg, enum http_limit what); // on_limit, likewise
// takes_upload of the HTTP server, likewise.
bool router_takes_upload(void *arg, enum http_method method, struct str path);

#endif
