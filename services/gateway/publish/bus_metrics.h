// The bus thread's rows of the gateway's metrics table: BUS_METRIC_ROWS stands in it once, and
// bus_params.metrics_base is the number of its first row. One line here is one metric.
#ifndef ROLLCALL_GATEWAY_PUBLISH_BUS_METRICS_H
#define ROLLCALL_GATEWAY_PUBLISH_BUS_METRICS_H

#include "common/metrics/metrics.h"

// The label values stand in the order of the enums that index them: store_op, report_verdict, sweep_brake,
// bus_poison, snapshot_end, restore_verdict.
#define BUS_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BUS_OPS         BUS_LABELS("desired", "remove", "moved", "deleted")
#define BUS_VERDICTS                                                                                         \
    BUS_LABELS("ok", "moving", "removed", "stale", "elsewhere", "buried", "twin", "past", "orphan", "stray")
#define BUS_BRAKES         BUS_LABELS("redis", "kafka", "unacknowledged", "lag")
#define BUS_POISON_SOURCES BUS_LABELS("status", "changes", "outbox", "redis")
#define BUS_SNAPSHOT_ENDS  BUS_LABELS("complete", "broken", "left", "refused")
#define BUS_RESTORES       BUS_LABELS("restored", "held", "buried")
#define BUS_SECONDS        ((const double[]){0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 0})

// symbol, name, type, help, label, its values, buckets
#define BUS_METRICS(ROW)                                                                                     \
    ROW(BUS_PUBLISHED, "rollcall_changes_published_total", METRIC_COUNTER,                                   \
        "Changes given to the Kafka producer", "op", BUS_OPS, NULL)                                          \
    ROW(BUS_ACKED, "rollcall_changes_acknowledged_total", METRIC_COUNTER,                                    \
        "Changes that the broker acknowledged", NULL, NULL, NULL)                                            \
    ROW(BUS_FAILED, "rollcall_changes_failed_total", METRIC_COUNTER,                                         \
        "Changes that the broker did not take in time; the sweep publishes them again", NULL, NULL, NULL)    \
    ROW(BUS_LEFT, "rollcall_changes_left_to_sweep_total", METRIC_COUNTER,                                    \
        "Changes not given to the producer (queue full, topic unknown); the sweep publishes them", NULL,     \
        NULL, NULL)                                                                                          \
    ROW(BUS_ACK_SECONDS, "rollcall_change_acknowledge_seconds", METRIC_HISTOGRAM,                            \
        "From taking a change to the broker's acknowledgement", NULL, NULL, BUS_SECONDS)                     \
    ROW(BUS_UNDER_WAY, "rollcall_changes_under_way", METRIC_GAUGE, "Changes not acknowledged yet", NULL,     \
        NULL, NULL)                                                                                          \
    ROW(BUS_SWEPT, "rollcall_sweep_claimed_total", METRIC_COUNTER,                                           \
        "Late registrations that the sweep published again", NULL, NULL, NULL)                               \
    ROW(BUS_BRAKED, "rollcall_sweep_braked_total", METRIC_COUNTER, "Sweeps left out, by what held them",     \
        "brake", BUS_BRAKES, NULL)                                                                           \
    ROW(BUS_REPORTS, "rollcall_reports_total", METRIC_COUNTER, "Reports by what became of them", "verdict",  \
        BUS_VERDICTS, NULL)                                                                                  \
    ROW(BUS_REPORTS_MERGED, "rollcall_reports_merged_total", METRIC_COUNTER,                                 \
        "Reports left out because a newer one came in the same batch", NULL, NULL, NULL)                     \
    ROW(BUS_STATUS_LAG, "rollcall_status_lag_seconds", METRIC_HISTOGRAM,                                     \
        "Age of the oldest report of a batch when the batch was applied", NULL, NULL, BUS_SECONDS)           \
    ROW(BUS_TWINS_RAISED, "rollcall_twins_raised_total", METRIC_COUNTER,                                     \
        "Registrations sent again because a twin's binding was removed", NULL, NULL, NULL)                   \
    ROW(BUS_POISON, "rollcall_poison_records_total", METRIC_COUNTER, "Records that could not be read",       \
        "source", BUS_POISON_SOURCES, NULL)                                                                  \
    ROW(BUS_EVENTS, "rollcall_events_published_total", METRIC_COUNTER,                                       \
        "Events that the broker acknowledged", NULL, NULL, NULL)                                             \
    ROW(BUS_OUTBOX, "rollcall_outbox_events", METRIC_GAUGE,                                                  \
        "Events waiting in the outboxes that this gateway drains", NULL, NULL, NULL)                         \
    ROW(BUS_SNAPSHOTS, "rollcall_snapshots_total", METRIC_COUNTER, "Partition snapshots by how they ended",  \
        "end", BUS_SNAPSHOT_ENDS, NULL)                                                                      \
    ROW(BUS_SNAPSHOT_LINES, "rollcall_snapshot_lines_total", METRIC_COUNTER,                                 \
        "Registrations given out in snapshots", NULL, NULL, NULL)                                            \
    ROW(BUS_SNAPSHOT_WAIT, "rollcall_snapshot_wait_seconds", METRIC_HISTOGRAM,                               \
        "How long a snapshot waited until all that was reported was applied", NULL, NULL, BUS_SECONDS)       \
    ROW(BUS_SNAPSHOTS_STALE, "rollcall_snapshots_stale_total", METRIC_COUNTER,                               \
        "Snapshots given although reports may not be applied: nobody did for 5 s, or Kafka does not say",    \
        NULL, NULL, NULL)                                                                                    \
    ROW(BUS_WRITE_BACKS, "rollcall_write_backs_total", METRIC_COUNTER,                                       \
        "Re-readings of the changes topics after another Redis answered", NULL, NULL, NULL)                  \
    ROW(BUS_RESTORES_TOTAL, "rollcall_write_back_records_total", METRIC_COUNTER,                             \
        "Changes re-read, by what Redis held of them", "verdict", BUS_RESTORES, NULL)                        \
    ROW(BUS_REDIS_UP, "rollcall_bus_redis_up", METRIC_GAUGE, "1: the bus is connected to Redis", NULL, NULL, \
        NULL)                                                                                                \
    ROW(BUS_KAFKA_UP, "rollcall_bus_kafka_up", METRIC_GAUGE, "1: a broker answers and acknowledges", NULL,   \
        NULL, NULL)

#define BUS_METRIC_ENUM(symbol, metric_name, kind, help_text, label_name, values, buckets) symbol,
enum bus_metric { BUS_METRICS(BUS_METRIC_ENUM) BUS_METRIC_COUNT };

#define BUS_METRIC_ROW(symbol, metric_name, kind, help_text, label_name, values, buckets)                    \
    {.name = metric_name,                                                                                    \
     .type = kind,                                                                                           \
     .help = help_text,                                                                                      \
     .label = label_name,                                                                                    \
     .label_values = values,                                                                                 \
     .buckets_s = buckets},
#define BUS_METRIC_ROWS BUS_METRICS(BUS_METRIC_ROW)

#endif
