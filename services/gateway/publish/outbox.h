// Drains each shard's stream of events to the events topic, in order, one gateway a shard at a time. At least
// once: an event leaves the stream when the broker has it, and keeps its ce_id.
#ifndef ROLLCALL_GATEWAY_PUBLISH_OUTBOX_H
#define ROLLCALL_GATEWAY_PUBLISH_OUTBOX_H

#include "services/gateway/publish/hub.h"

struct outbox *outbox_new(struct hub *h);
void outbox_free(struct outbox *o); // after the connection to Redis and the producer

void outbox_nudge(struct outbox *o, unsigned shard); // it has something new
void outbox_release(struct outbox *o);               // another gateway may go on at once
// The Redis that comes next may say that an outbox is another gateway's, so it is asked before anything is
// read.
void outbox_redis_lost(struct outbox *o);
bool outbox_is_idle(const struct outbox *o); // nothing given to the producer is unacknowledged

#endif
