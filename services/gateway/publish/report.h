// One record of a status topic, read and judged, as the arguments of report.lua. Pure but for the wall clock
// that tells whether what it shows is still alive.
#ifndef ROLLCALL_GATEWAY_PUBLISH_REPORT_H
#define ROLLCALL_GATEWAY_PUBLISH_REPORT_H

#include "common/base/buf.h"
#include "common/kafka/kafka.h"
#include "common/registration/status.h"
#include "services/gateway/store/keys.h"

// In the order of the label values of BUS_REPORTS; report.lua says what each means.
enum report_verdict {
    REPORT_OK,
    REPORT_MOVING,
    REPORT_REMOVED,
    REPORT_STALE,
    REPORT_ELSEWHERE,
    REPORT_BURIED,
    REPORT_TWIN,
    REPORT_PAST,
    REPORT_ORPHAN,
    REPORT_STRAY,
};
must_use int report_verdict_parse(struct str name, enum report_verdict *ret);

#define REPORT_ARGS 20 // key not counted

struct report {
    struct status status;
    char *value;                       // the record's, as it goes into Redis
    struct buf public_value, contacts; // what the world may see; URIs of the contacts, sorted
    char digest[STORE_DIGEST_BYTES];   // of what is bound; "" where nothing is
    bool alive;                        // it may still be bound, or asked for
    int64_t recorded_ms;               // of the record
    char numbers[10][24];              // arguments as text
};

// 0, or -EINVAL with what is wrong: to be skipped.
must_use int report_read(const struct kafka_record *r, struct str topic_place, uint64_t now_wall_ms,
                         struct report **ret, struct error *err);
void report_free(struct report *r);

struct report_waits {
    uint32_t grace_ms, ack_wait_ms;
    const char *source; // of the events
};
// Borrows from the report and from `waits`.
void report_args(struct report *r, const struct report_waits *waits, struct str ret[REPORT_ARGS]);
// (epoch, seq) of a above that of b.
bool report_is_above(const struct report *a, const struct report *b);

#endif
