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
// A histogram that is kept elsewhere and copied here. counts: one for each bound and one for what is above
// all of them, not summed up.
void metrics_set_histogram(struct metrics *m, size_t metric, size_t label_index, const uint64_t *counts,
                           uint64_t sum_us);
void metrics_observe_us(struct metrics *m, size_t metric, size_t label_index, uint64_t us);
uint64_t metrics_get(const struct metrics *m, size_t metric, size_t label_index); // counter or gauge
void metrics_render(const struct metrics *m, struct buf *out);

// Series whose labels are known only when they are rendered: the caller bounds how many there are. The
// family once, and then all its samples.
struct metric_label {
    const char *name;
    struct str value; // any text: it is escaped
};
void metrics_add_family(struct buf *out, const char *name, enum metric_type type, const char *help);
void metrics_add_sample(struct buf *out, const char *name, const struct metric_label *labels, size_t count,
                        double value);

#endif
