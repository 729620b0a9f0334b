// See metrics.h. All cells of a table lie in one block; a metric is the index of its first cell. Refuses to
// create a cell at run time: what a peer sends can therefore never grow the output of the table.
#include "common/metrics/metrics.h"

#include "common/base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

// A series of a counter or gauge is one cell; of a histogram one for each bucket, one for +Inf, one for the
// sum in microseconds.
struct layout {
    size_t first_cell;
    size_t series_count;
    size_t bucket_count; // without +Inf
    size_t cells_per_series;
};

struct metrics {
    const struct metric *table;
    size_t count;
    struct layout *layouts;
    _Atomic uint64_t *cells;
};

static struct layout layout_of(const struct metric *metric, size_t first_cell)
{
    struct layout l = {
        .first_cell = first_cell, .series_count = metric->label ? 0 : 1, .cells_per_series = 1};
    if (metric->label) {
        assert(metric->label_values && metric->label_values[0]);
        while (metric->label_values[l.series_count])
            l.series_count++;
    }
    if (metric->type == METRIC_HISTOGRAM) {
        assert(metric->buckets_s);
        while (metric->buckets_s[l.bucket_count] > 0)
            l.bucket_count++;
        l.cells_per_series = l.bucket_count + 2;
    }
    return l;
}

struct metrics *metrics_new(const struct metric *table, size_t count)
{
    struct metrics *m = mem_alloc(sizeof(*m));
    *m = (struct metrics){.table = table, .count = count, .layouts = mem_array(count, sizeof(struct layout))};
    size_t cells = 0;
    for (size_t i = 0; i < count; i++) {
        m->layouts[i] = layout_of(&table[i], cells);
        cells += m->layouts[i].series_count * m->layouts[i].cells_per_series;
    }
    m->cells = mem_array(cells, sizeof(*m->cells));
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    free(m->layouts);
    free(m->cells);
    free(m);
}

static _Atomic uint64_t *cells_of(const struct metrics *m, size_t metric, size_t label_index)
{
    assert(metric < m->count);
    const struct layout *l = &m->layouts[metric];
    assert(label_index < l->series_count);
    return m->cells + l->first_cell + label_index * l->cells_per_series;
}

static uint64_t load(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static void add(_Atomic uint64_t *cell, uint64_t delta)
{
    atomic_fetch_add_explicit(cell, delta, memory_order_relaxed);
}

void metrics_add(struct metrics *m, size_t metric, size_t label_index, uint64_t delta)
{
    _Atomic uint64_t *cell = cells_of(m, metric, label_index);
    assert(m->table[metric].type != METRIC_HISTOGRAM);
    add(cell, delta);
}

void metrics_set(struct metrics *m, size_t metric, size_t label_index, int64_t value)
{
    _Atomic uint64_t *cell = cells_of(m, metric, label_index);
    assert(m->table[metric].type != METRIC_HISTOGRAM);
    atomic_store_explicit(cell, (uint64_t)value, memory_order_relaxed);
}

void metrics_observe_us(struct metrics *m, size_t metric, size_t label_index, uint64_t us)
{
    _Atomic uint64_t *cells = cells_of(m, metric, label_index);
    assert(m->table[metric].type == METRIC_HISTOGRAM);
    const double *bounds = m->table[metric].buckets_s;
    size_t buckets = m->layouts[metric].bucket_count;
    size_t bucket = 0;
    while (bucket < buckets && (double)us > bounds[bucket] * 1e6)
        bucket++;
    add(&cells[bucket], 1);
    add(&cells[buckets + 1], us);
}

void metrics_set_histogram(struct metrics *m, size_t metric, size_t label_index, const uint64_t *counts,
                           uint64_t sum_us)
{
    _Atomic uint64_t *cells = cells_of(m, metric, label_index);
    assert(m->table[metric].type == METRIC_HISTOGRAM);
    size_t buckets = m->layouts[metric].bucket_count;
    for (size_t i = 0; i <= buckets; i++)
        atomic_store_explicit(&cells[i], counts[i], memory_order_relaxed);
    atomic_store_explicit(&cells[buckets + 1], sum_us, memory_order_relaxed);
}

uint64_t metrics_get(const struct metrics *m, size_t metric, size_t label_index)
{
    const _Atomic uint64_t *cell = cells_of(m, metric, label_index);
    assert(m->table[metric].type != METRIC_HISTOGRAM);
    return load(cell);
}

// HELP text escapes \ and newline, label values the quote as well.
static void add_escaped(struct buf *out, struct str text, bool quoted)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n') {
            buf_add_cstr(out, "\\n");
            continue;
        }
        if (text.p[i] == '\\' || (quoted && text.p[i] == '"'))
            buf_add_char(out, '\\');
        buf_add_char(out, text.p[i]);
    }
}

// name suffix {label="value",le="bound"}, each brace and label only where there is one
static void add_series(struct buf *out, const struct metric *metric, const char *suffix, size_t label_index,
                       const char *le)
{
    buf_add_cstr(out, metric->name);
    buf_add_cstr(out, suffix);
    if (metric->label || le) {
        buf_add_char(out, '{');
        if (metric->label) {
            buf_addf(out, "%s=\"", metric->label);
            add_escaped(out, str_of(metric->label_values[label_index]), true);
            buf_add_cstr(out, le ? "\"," : "\"");
        }
        if (le)
            buf_addf(out, "le=\"%s\"", le);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
}

static void add_histogram(struct buf *out, const struct metric *metric, const struct layout *l,
                          size_t label_index, const _Atomic uint64_t *cells)
{
    uint64_t below = 0; // buckets are cumulative, and the last one is the count
    for (size_t i = 0; i < l->bucket_count; i++) {
        char le[32];
        (void)snprintf(le, sizeof(le), "%g", metric->buckets_s[i]);
        below += load(&cells[i]);
        add_series(out, metric, "_bucket", label_index, le);
        buf_addf(out, "%" PRIu64 "\n", below);
    }
    below += load(&cells[l->bucket_count]);
    uint64_t sum_us = load(&cells[l->bucket_count + 1]);
    add_series(out, metric, "_bucket", label_index, "+Inf");
    buf_addf(out, "%" PRIu64 "\n", below);
    add_series(out, metric, "_sum", label_index, NULL);
    buf_addf(out, "%" PRIu64 ".%06" PRIu64 "\n", sum_us / 1000000, sum_us % 1000000);
    add_series(out, metric, "_count", label_index, NULL);
    buf_addf(out, "%" PRIu64 "\n", below);
}

static void add_number(struct buf *out, const struct metric *metric, size_t label_index, uint64_t value)
{
    add_series(out, metric, "", label_index, NULL);
    if (metric->type == METRIC_GAUGE)
        buf_addf(out, "%" PRId64 "\n", (int64_t)value);
    else
        buf_addf(out, "%" PRIu64 "\n", value);
}

void metrics_add_family(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_addf(out, "# HELP %s ", name);
    add_escaped(out, str_of(help), false);
    buf_addf(out, "\n# TYPE %s %s\n", name, types[type]);
}

void metrics_add_sample(struct buf *out, const char *name, const struct metric_label *labels, size_t count,
                        double value)
{
    buf_add_cstr(out, name);
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "%c%s=\"", i ? ',' : '{', labels[i].name);
        add_escaped(out, labels[i].value, true);
        buf_add_char(out, '"');
    }
    bool whole = value > -9e15 && value < 9e15 && (double)(int64_t)value == value;
    buf_add_cstr(out, count ? "} " : " ");
    buf_addf(out, whole ? "%.0f\n" : "%.9g\n", value);
}

void metrics_render(const struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct metric *metric = &m->table[i];
        metrics_add_family(out, metric->name, metric->type, metric->help);
        for (size_t label = 0; label < m->layouts[i].series_count; label++) {
            const _Atomic uint64_t *cells = cells_of(m, i, label);
            if (metric->type == METRIC_HISTOGRAM)
                add_histogram(out, metric, &m->layouts[i], label, cells);
            else
                add_number(out, metric, label, load(cells));
        }
    }
}
