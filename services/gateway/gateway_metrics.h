// The gateway's metrics: one row each, the bus's own rows behind them.
#ifndef ROLLCALL_GATEWAY_GATEWAY_METRICS_H
#define ROLLCALL_GATEWAY_GATEWAY_METRICS_H

#include "common/http/http.h"
#include "common/metrics/metrics.h"

enum gateway_metric {
    GATEWAY_TO_SEAL_ANEW,
    GATEWAY_SEALED_ANEW,
    GATEWAY_HTTP_REQUESTS, // label: method
    GATEWAY_HTTP_WAITING,  // label: enum fair_lane
    GATEWAY_HTTP_WAITED,   // the same
    GATEWAY_HTTP_LIMITED,  // label: enum gateway_limited
    GATEWAY_DAMAGED,
    GATEWAY_BUS_METRICS, // first row of services/gateway/publish/bus_metrics.h
};

// Why a request or a connection was turned away, or had to go: those of enum http_limit, and then ours.
enum gateway_limited {
    GATEWAY_LIMITED_REQUESTS = HTTP_LIMIT_COUNT, // too many of its account waited
    GATEWAY_LIMITED_BULK,                        // … exports, imports, lists that are streamed
    GATEWAY_LIMITED_LOGINS,                      // … logins, of its address
};

struct metrics *gateway_metrics_new(void);

#endif
