// The gateway's metrics: one row each, the bus's own rows behind them.
#ifndef ROLLCALL_GATEWAY_GATEWAY_METRICS_H
#define ROLLCALL_GATEWAY_GATEWAY_METRICS_H

#include "common/metrics/metrics.h"

enum gateway_metric {
    GATEWAY_HTTP_REQUESTS, // label: method
    GATEWAY_TO_SEAL_ANEW,
    GATEWAY_SEALED_ANEW,
    GATEWAY_BUS_METRICS,   // first row of services/gateway/publish/bus_metrics.h
};

struct metrics *gateway_metrics_new(void);

#endif
