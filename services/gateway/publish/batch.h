// What one poll of the status topics gave: the newest report of each registration, place and owner, and the
// offsets to commit once all of them are applied. What a former owner says beside its successor is not
// dropped for that one's word: it may show what is still bound. Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_BATCH_H
#define ROLLCALL_GATEWAY_PUBLISH_BATCH_H

#include "services/gateway/publish/report.h"

#include <sys/queue.h>
#include <uthash.h>

struct batch_key {
    uint64_t id, epoch;
    char place[REGISTRATION_PLACE_BYTES]; // zero to its end: it is hashed
};

struct batch_item {
    UT_hash_handle hh;
    struct batch_key key;
    struct batch *batch;
    struct report *report;
    bool sent; // with Redis
};

struct batch_offset {
    char *topic;
    int32_t partition;
    int64_t next;
};

struct batch {
    TAILQ_ENTRY(batch) link;
    void *owner;
    struct batch_item *items;
    struct batch_offset *offsets;
    size_t offset_count;
    uint64_t oldest_ms; // of its records; UINT64_MAX: none
};

struct batch *batch_new(void *owner);
void batch_free(struct batch *b);
void batch_note_offset(struct batch *b, const struct kafka_record *r);
// True when it replaced an older report of the same owner, or was itself older.
bool batch_add(struct batch *b, struct report *take_report);
size_t batch_count(const struct batch *b);
void batch_item_done(struct batch_item *i);

#endif
