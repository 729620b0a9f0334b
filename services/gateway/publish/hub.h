// What the parts of the bus thread share: its loop, its connections, whether Redis may be trusted, and each
// other. Everything on the bus thread. The parts know each other only by the functions of their headers.
#ifndef ROLLCALL_GATEWAY_PUBLISH_HUB_H
#define ROLLCALL_GATEWAY_PUBLISH_HUB_H

#include "common/redis/redis.h"
#include "services/gateway/publish/bus.h"
#include "services/gateway/publish/bus_metrics.h"

struct event_base;
struct kafka_producer;
struct kafka_params;
struct cloud_event;

// In the order of the label values of BUS_POISON.
enum bus_poison { POISON_STATUS, POISON_CHANGES, POISON_OUTBOX, POISON_REDIS };

struct hub_scripts {
    struct redis_script acked, approve, claim, give_up, own, report, restore, snapshot;
};

struct hub {
    struct bus_params params; // its strings are the bus's own copies
    char *process;            // this run of this gateway: owner of outboxes, prefix of record ids
    struct event_base *base;
    struct redis *redis;
    struct kafka_producer *producer;
    struct hub_scripts scripts;

    struct places *places;
    struct publisher *publisher;
    struct sweep *sweep;
    struct reports *reports;
    struct outbox *outbox;
    struct snapshots *snapshots;
    struct writeback *writeback;
    struct marks_watch *marks_watch;

    uint64_t records; // record ids given so far
    // Written by the bus thread, read by any.
    _Atomic bool redis_up;
    _Atomic bool approved;   // what this Redis may have lost is written back
    _Atomic bool kafka_up;   // a broker answered, and none said since that all are away
    _Atomic bool kafka_late; // ... but what it is given is not acknowledged: too few of several are there
    _Atomic bool kafka_seen; // once since the start
    bool stopping;
};

// Redis answers and holds all it ever acknowledged.
bool hub_redis_usable(const struct hub *h);
// Nothing that this Redis acknowledged is missing: writes and reports may go on.
void hub_approve(struct hub *h, struct str replication_id);
// Something is missing after all: they wait for hub_approve again.
void hub_hold(struct hub *h);
void hub_kafka_health(struct hub *h, bool up);
void hub_kafka_late(struct hub *h, bool late);
struct kafka_params hub_kafka_params(const struct hub *h);
void hub_count(struct hub *h, enum bus_metric metric, size_t label, uint64_t delta);
void hub_gauge(struct hub *h, enum bus_metric metric, int64_t value);
void hub_observe(struct hub *h, enum bus_metric metric, uint64_t us);

// What a producer's token points to: whoever produces embeds it.
struct delivery {
    void (*done)(struct delivery *d, const struct error *err); // err NULL: the broker has it
};
// As kafka_produce; d->done follows exactly once if it returns 0.
must_use int hub_produce(struct hub *h, const char *topic, struct str key, struct str value,
                         const struct cloud_event *e, struct delivery *d);

#endif
