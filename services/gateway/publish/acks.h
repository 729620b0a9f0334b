// Tells Redis which revisions the broker acknowledged, in batches by shard, so that `due` waits for the
// reports. What is lost on the way only brings a second publishing.
#ifndef ROLLCALL_GATEWAY_PUBLISH_ACKS_H
#define ROLLCALL_GATEWAY_PUBLISH_ACKS_H

#include "services/gateway/publish/hub.h"

struct acks *acks_new(struct hub *h);
void acks_free(struct acks *a);
void acks_add(struct acks *a, const struct store_change *c); // sent with what else comes in this loop turn
void acks_flush(struct acks *a);

#endif
