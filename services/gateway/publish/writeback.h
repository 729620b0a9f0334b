// Finds out whether the Redis that answers may have lost writes, and if so re-reads all changes topics from
// ten minutes before the last sweep that it knows of, writes back what it lost and raises the id sequence.
// What this gateway had on its way to Kafka when Redis was lost is written back, too: the topics may not have
// it yet. Until then writes are refused (the gate). Without Kafka nothing can be known: it waits.
#ifndef ROLLCALL_GATEWAY_PUBLISH_WRITEBACK_H
#define ROLLCALL_GATEWAY_PUBLISH_WRITEBACK_H

#include "services/gateway/publish/hub.h"

struct writeback *writeback_new(struct hub *h);
void writeback_free(struct writeback *w); // after the connection to Redis

void writeback_redis_up(struct writeback *w, struct str replication_id); // hub_approve follows some time
// The same Redis is there but lost something that it held: as if another one had come.
void writeback_lost(struct writeback *w);
void writeback_redis_down(struct writeback *w);
// A change that a thread of this gateway posted: Redis may lose it before Kafka has it, so that no reading
// would find it. Until Redis is approved again.
void writeback_note(struct writeback *w, const struct store_change *c);
// A re-reading is under way, and calls back; writeback_free cuts it short.
bool writeback_is_reading(const struct writeback *w);

#endif
