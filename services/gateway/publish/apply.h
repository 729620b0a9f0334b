// Applies one report to Redis and does what its verdict asks for: answers a report that is behind, removes
// what lives under a grave, tells the outbox of an event.
#ifndef ROLLCALL_GATEWAY_PUBLISH_APPLY_H
#define ROLLCALL_GATEWAY_PUBLISH_APPLY_H

#include "services/gateway/publish/hub.h"
#include "services/gateway/publish/report.h"

void apply_send(struct hub *h, struct report *r, redis_fn *fn, void *arg); // r lives until fn
// True when it is settled: taken, refused for good, or skipped as poison. False: to be sent again.
bool apply_answered(struct hub *h, const struct report *r, const struct redis_value *v,
                    const struct error *err);

#endif
