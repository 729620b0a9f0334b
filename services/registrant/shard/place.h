// One place that this registrant serves: its consumer group, the records of its partitions and the lease.
// What happens to a partition that is given or taken is partition.h's. Main thread only.
#ifndef ROLLCALL_REGISTRANT_SHARD_PLACE_H
#define ROLLCALL_REGISTRANT_SHARD_PLACE_H

#include "common/kafka/kafka.h"
#include "services/registrant/shard/lease.h"
#include "services/registrant/shard/reporter.h"
#include "services/registrant/shard/workers.h"

struct place;

struct place_params { // its strings are valid until place_leave
    struct event_base *base;
    struct kafka_params kafka;
    const char *name; // "any", "pop-3", "node-7"
    uint32_t index;   // of the place: shard = index << 16 | partition
    const char *topic_prefix;
    const char *node;
    uint32_t session_timeout_ms;
    struct kafka_topic_settings topic; // partitions, replication, retention
    const char *snapshot_urls, *snapshot_token;
    struct workers *workers;
    struct reporter *reporter;
    void *arg;
    void (*on_lease)(void *arg); // place_lease may have changed
    void (*on_fatal)(void *arg); // another process has our name in the group: this one must end (fence.h)
};
must_use int place_start(const struct place_params *p, struct place **ret, struct error *err);
void place_closed(struct place *p, uint32_t shard); // every SIP thread has let the shard go
void place_congestion(struct place *p, bool congested);
void place_stop(struct place *p); // the SIP threads will be: takes nothing over any more
void place_leave(struct place *p, uint32_t timeout_ms); // commits, leaves the group, frees

const struct lease *place_lease(const struct place *p);
bool place_has_partitions(const struct place *p);

struct place_counts {
    uint32_t owned, loading, parked; // partitions
    bool settled;                    // the group has said at least once what is ours
    uint64_t records, poison;
    uint64_t rejoins;           // consumers that another one followed: fenced, or of a session that was over
    uint64_t recounts;          // of the topic's partitions
    struct histogram takeovers; // of partitions, from their assignment until they were opened
};
struct place_counts place_counts(const struct place *p);

#endif
