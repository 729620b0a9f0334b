// One partition of a place, from its assignment until the SIP threads have forgotten it.
// Refuses to know the group: place.c says what the group gave and took. Main thread only.
#ifndef ROLLCALL_REGISTRANT_SHARD_PARTITION_H
#define ROLLCALL_REGISTRANT_SHARD_PARTITION_H

#include "common/kafka/kafka.h"
#include "services/registrant/shard/reporter.h"
#include "services/registrant/shard/snapshot.h"
#include "services/registrant/shard/workers.h"

enum partition_state {
    PARTITION_NONE,     // another registrant's
    PARTITION_LOADING,  // ours: its snapshot is on the way
    PARTITION_OPEN,     // ours: acted on
    PARTITION_CLOSING,  // being taken: the SIP threads finish what is in flight
    PARTITION_FLUSHING, // being taken: its last reports are on their way
    PARTITION_PARKED,   // lost with the session: refreshed until it is known whose it is
    PARTITION_REJOINED, // parked and assigned again: its snapshot tells whether another had it in between
    PARTITION_DROPPING, // not ours, or to be loaded anew: the SIP threads let it go
};

// What the partitions of a place have in common.
struct partition_home {
    struct event_base *base;
    struct kafka_consumer *consumer;
    const char *topic, *place; // the place's name
    uint32_t index;            // of the place
    int32_t partition_count;
    const char *snapshot_urls, *snapshot_token;
    struct workers *workers;
    struct reporter *reporter;
    bool congested;             // the SIP threads' queues are full
    bool stopping;              // nothing is taken over any more
    struct histogram takeovers; // from an assignment until the SIP threads may act on it
};

struct partition {
    struct partition_home *home;
    int32_t number;
    enum partition_state state;
    struct snapshot *snapshot;
    uint64_t epoch;         // ours, once open
    uint64_t assigned_us;   // when it was given to us last
    uint64_t highest_epoch; // in the snapshot
    uint64_t end_by_us;     // CLOSING, FLUSHING: when the group is not kept waiting any longer
    int64_t next_offset;    // of the next record to handle; -1: none seen
    int64_t known_offset;   // what was written before has a lower one, and is in the snapshot; -1: unknown
    bool reload;            // DROPPING: ours again, to be loaded anew afterwards
};

uint32_t partition_shard(const struct partition *p);
bool partition_is_ours(const struct partition *p); // to the group: assigned and not released

void partition_assigned(struct partition *p);
void partition_lost(struct partition *p);      // the session is over; the group has given it away already
void partition_revoked(struct partition *p);   // by a working group: released when its reports are delivered
void partition_hand_over(struct partition *p); // to ourselves or to another, whatever the group says
void partition_kept_from_us(struct partition *p); // parked, and the group that works again gave it to another
void partition_outdo(struct partition *p, uint64_t epoch); // somebody reported with that one
void partition_closed(struct partition *p);                // every SIP thread has let it go
// Goes on with what ends. True while that is not over, so it is to be called again soon.
bool partition_end(struct partition *p, uint64_t now_us);
void partition_push_back(const struct partition *p); // home->congested has changed
void partition_stop_loading(struct partition *p);

#endif
