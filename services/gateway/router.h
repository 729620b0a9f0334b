// Which part of the gateway answers a path: a dialect, or the gateway itself (health, metrics, the API's
// description).
#ifndef ROLLCALL_GATEWAY_ROUTER_H
#define ROLLCALL_GATEWAY_ROUTER_H

#include "common/http/http.h"
#include "common/metrics/metrics.h"
#include "services/gateway/publish/bus.h"
#include "services/gateway/yeti/yeti.h"

struct router {
    struct bus *bus;
    struct metrics *metrics;
    const struct store_gate *gate;
    struct yeti *yeti;
};

// on_request of the HTTP server; arg is the struct router.
void router_handle(void *arg, struct http_request *r);

#endif
