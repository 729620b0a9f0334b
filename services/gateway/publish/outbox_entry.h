// One entry of an outbox stream as the record that goes to the events topic (proto/redis-keys.md, outbox;
// proto/topics.md, events). Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_OUTBOX_ENTRY_H
#define ROLLCALL_GATEWAY_PUBLISH_OUTBOX_ENTRY_H

#include "services/gateway/publish/message.h"

struct redis_value;

struct outbox_entry {
    char *stream_id;
    uint64_t id; // of the registration
    char *type, *source, *traceparent, *ce_id;
    uint64_t wall_ms;
    struct buf value;
};
// v: {entry id, {field, value, …}}, of shard K. NULL when it has no entry id. Where it cannot be an event,
// its value is empty.
struct outbox_entry *outbox_entry_read(const struct redis_value *v, unsigned shard);
void outbox_entry_free(struct outbox_entry *e);
bool outbox_entry_is_whole(const struct outbox_entry *e);
struct cloud_event outbox_entry_attributes(const struct outbox_entry *e); // borrows

#endif
