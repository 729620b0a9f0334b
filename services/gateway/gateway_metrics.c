// See gateway_metrics.h.
#include "services/gateway/gateway_metrics.h"

#include "services/gateway/publish/bus_metrics.h"

// In the order of enum http_method.
static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT", "PATCH",
                                      "DELETE", "OPTIONS", "other", NULL};

// In the order of enum fair_lane.
static const char *const lanes[] = {"requests", "bulk", "logins", NULL};

// In the order of enum http_limit and enum gateway_limited.
static const char *const limits[] = {"connections",  "idle_connections", "slow_client",
                                     "bodies",       "answers",          "waiting_requests",
                                     "waiting_bulk", "waiting_logins",   NULL};

static const struct metric rows[] = {
    {.name = "rollcall_accounts_to_seal_anew",
     .type = METRIC_GAUGE,
     .help = "Accounts of which it is not proved that every secret is sealed with the first key of this "
             "gateway's "
             "ring; 0: its other keys are not needed"},
    {.name = "rollcall_sealed_anew_total",
     .type = METRIC_COUNTER,
     .help = "Registrations whose secrets were sealed anew with the first key"},
    {.name = "rollcall_http_requests_total",
     .type = METRIC_COUNTER,
     .help = "Requests taken, by method",
     .label = "method",
     .label_values = methods},
    {.name = "rollcall_http_waiting_requests",
     .type = METRIC_GAUGE,
     .help = "Requests that wait for the turn of their account",
     .label = "lane",
     .label_values = lanes},
    {.name = "rollcall_http_waited_requests_total",
     .type = METRIC_COUNTER,
     .help = "Requests that had to wait for the turn of their account",
     .label = "lane",
     .label_values = lanes},
    {.name = "rollcall_http_limited_total",
     .type = METRIC_COUNTER,
     .help = "Requests turned away and connections closed, by the limit that was met",
     .label = "limit",
     .label_values = limits},
    {.name = "rollcall_damaged_registrations_total",
     .type = METRIC_COUNTER,
     .help = "Times that a registration in Redis could not be read"},
    BUS_METRIC_ROWS};

struct metrics *gateway_metrics_new(void)
{
    return metrics_new(rows, ARRAY_LEN(rows));
}
