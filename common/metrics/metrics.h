// Counters, gauges and histograms in a table of rows, rendered as Prometheus text. Updating is one relaxed
// atomic addition: any thread.
#ifndef ROLLCALL_METRICS_METRICS_H
#define ROLLCALL_METRICS_METRICS_H

#include "common/base/buf.h"

#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name; // "rollcall_…", with unit: "_total", "_seconds", "_bytes"
    enum metric_type type;
    const char *help;
    const char *label;               // one label at most; NULL for none
    const char *const *label_values; // NULL-terminated
    const double *buckets_s;         // METRIC_HISTOGRAM: upper bounds in seconds, rising, ended by 0
};

struct metrics;

// `table` must outlive the object; its index is the metric's number below.
struct metrics *metrics_new(const struct metric *table, size_t count);
void metrics_free(struct metrics *m);

void metrics_add(struct metrics *m, size_t metric, size_t label_index, uint64_t delta);
// A gauge, or a counter that is kept elsewhere and copied here.
void metrics_set(struct metrics *m, size_t metric, size_t label_index, int64_t value);
void metrics_observe_us(struct metrics *m, size_t metric, size_t label_index, uint64_t us);
uint64_t metrics_get(const struct metrics *m, size_t metric, size_t label_index); // counter or gauge
void metrics_render(const struct metrics *m, struct buf *out);

#endif
