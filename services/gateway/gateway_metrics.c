#include "services/gateway/gateway_metrics.h"

#include "common/http/http.h"
#include "services/gateway/publish/bus_metrics.h"

// In the order of enum http_method.
static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT", "PATCH",
                                      "DELETE", "OPTIONS", "other", NULL};

static const struct metric rows[] = {{.name = "rollcall_http_requests_total",
                                      .type = METRIC_COUNTER,
                                      .help = "Requests taken, by method",
                                      .label = "method",
                                      .label_values = methods},
                                     BUS_METRIC_ROWS};

struct metrics *gateway_metrics_new(void)
{
    return metrics_new(rows, ARRAY_LEN(rows));
}
