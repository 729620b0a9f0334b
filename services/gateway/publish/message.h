// The records that gateways write, as proto/topics.md says: headers of a CloudEvent in binary mode, the value
// of a change. Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_MESSAGE_H
#define ROLLCALL_GATEWAY_PUBLISH_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/kafka/kafka.h"
#include "services/gateway/store/store.h"

#define MESSAGE_ID_BYTES 24

const char *message_op_name(enum store_op op); // "desired", …
// {"v":1,"id":…,"account":…,"revision":…,"op":…,…}
void message_write_change(struct buf *out, const struct store_change *c);

struct cloud_event {
    const char *type, *id, *source;
    uint64_t subject;
    uint64_t wall_ms;
    const char *traceparent; // NULL or empty: none
};
// The headers borrow from the event and from this struct.
struct message_headers {
    struct kafka_header items[8];
    size_t count;
    char subject[MESSAGE_ID_BYTES];
    char time[ENCODE_TIME_BYTES];
};
void message_headers(struct message_headers *ret, const struct cloud_event *e);

#endif
