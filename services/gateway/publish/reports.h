// Reads the status topics of all places as one group with the other gateways and applies each report to Redis
// by report.lua; offsets are committed only after Redis took the batch. Redis away: the partitions pause, the
// polling goes on.
#ifndef ROLLCALL_GATEWAY_PUBLISH_REPORTS_H
#define ROLLCALL_GATEWAY_PUBLISH_REPORTS_H

#include "services/gateway/publish/hub.h"

#define REPORTS_GROUP_BYTES 128

struct reports *reports_new(struct hub *h);
void reports_free(struct reports *r);                       // after the connection to Redis
void reports_leave(struct reports *r, uint32_t timeout_ms); // leaves the group

void reports_follow(struct reports *r);       // a place became ready: its status topic is to be read, too
void reports_redis_usable(struct reports *r); // what waits is applied, the partitions flow
void reports_hold(struct reports *r);         // Redis went away, or the bus stops: the partitions pause

// How old what was just applied was, or what still waits is. 0: all is applied. UINT64_MAX: nobody knows,
// because Kafka was away, or its group took our partitions away or has only just given us some.
uint64_t reports_lag_us(const struct reports *r);

// The group of all gateways: what it has committed of a status topic is applied.
void reports_group(const struct hub *h, char ret[REPORTS_GROUP_BYTES]);
// Up to where this gateway has applied a partition that is its own, which may be further than is committed
// yet; -1: not known.
int64_t reports_applied(const struct reports *r, const char *topic, int32_t partition);

#endif
