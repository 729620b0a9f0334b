// The gateway's bus thread: publishes changes, sweeps `due`, applies reports, drains the event outbox, serves
// partition snapshots, writes back after a Redis fail-over. One for each process.
#ifndef ROLLCALL_GATEWAY_PUBLISH_BUS_H
#define ROLLCALL_GATEWAY_PUBLISH_BUS_H

#include "common/metrics/metrics.h"
#include "services/gateway/store/store.h"

struct bus;

struct bus_params {
    const char *kafka_bootstrap;
    const char *kafka_extra, *kafka_password;
    const char *topic_prefix;                                // "rollcall"
    int32_t partitions_any, partitions_pop, partitions_node; // wanted for new topics
    int32_t replication;
    const char *redis_url;
    const char *redis_password;
    struct redis_options redis_options;
    const char *node;            // this gateway's name: client id, event source
    const char *snapshot_listen; // "host:port" of the internal listener
    const char *snapshot_token;
    struct store_gate *gate;
    struct metrics *metrics;
    size_t metrics_base; // number of the first row of bus_metrics.h in the table of `metrics`
    // The pauses of delivery, settable for tests.
    uint32_t ack_wait_ms, report_wait_ms, grace_ms, sweep_interval_ms;
    uint32_t write_back_records; // that are read before they are written back: bounds its memory
    uint32_t snapshot_wait_ms;   // until it is given although reports may not be applied
    uint32_t session_timeout_ms;
};
must_use int bus_start(const struct bus_params *p, struct bus **ret, struct error *err);

// Any thread. Takes the change and publishes it at once. A full mailbox drops it: `due` carries it.
void bus_post(struct bus *b, struct store_change *take_change);
void bus_events(struct bus *b, unsigned shard); // any thread: the shard's outbox has something new

struct bus_health {
    bool redis_up, redis_approved, kafka_seen, kafka_up;
};
struct bus_health bus_health(const struct bus *b); // any thread
uint16_t bus_snapshot_port(const struct bus *b);

// Publishes what was posted, waits at most timeout_ms for the broker, leaves the group, joins the thread,
// frees.
void bus_stop(struct bus *b, uint32_t timeout_ms);

#endif
