// Claims what is late from each shard's `due` and publishes it again, braked so that an outage does not
// become a storm: no sweep while our own oldest message waits 2 s for the broker, reports lag by 1 s, Redis
// or Kafka is away.
#ifndef ROLLCALL_GATEWAY_PUBLISH_SWEEP_H
#define ROLLCALL_GATEWAY_PUBLISH_SWEEP_H

#include "services/gateway/publish/hub.h"

struct sweep *sweep_new(struct hub *h);
void sweep_free(struct sweep *s); // after the connection to Redis

#endif
