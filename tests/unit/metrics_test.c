// common/metrics: the exposition text byte for byte, and that no update is lost between threads.
#include "common/metrics/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs setjmp.h, stdarg.h and stdlib.h
#include <cmocka.h>

enum { REQUESTS, DEPTH, WAIT, PLAIN, METRICS };

static const char *const methods[] = {"GET", "a\"b\\c\nd", NULL};
static const char *const paths[] = {"redis", "kafka", NULL};
static const double bounds[] = {0.005, 0.5, 2, 0};

static const struct metric table[METRICS] = {
    [REQUESTS] = {"rollcall_requests_total", METRIC_COUNTER, "Requests, \\ and\nlines.", "method", methods,
                  NULL},
    [DEPTH] = {"rollcall_queue_depth", METRIC_GAUGE, "Waiting.", NULL, NULL, NULL},
    [WAIT] = {"rollcall_wait_seconds", METRIC_HISTOGRAM, "Waited.", "path", paths, bounds},
    [PLAIN] = {"rollcall_plain_seconds", METRIC_HISTOGRAM, "Plain.", NULL, NULL, bounds},
};

static void renders_counters_and_gauges(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 2);
    metrics_add(m, REQUESTS, 0, 2);
    metrics_add(m, REQUESTS, 0, 40);
    metrics_add(m, REQUESTS, 1, UINT64_MAX);
    metrics_set(m, DEPTH, 0, 5);
    metrics_set(m, DEPTH, 0, -3);
    struct buf out = BUF_INIT;
    metrics_render(m, &out);
    assert_string_equal(out.p, "# HELP rollcall_requests_total Requests, \\\\ and\\nlines.\n"
                               "# TYPE rollcall_requests_total counter\n"
                               "rollcall_requests_total{method=\"GET\"} 42\n"
                               "rollcall_requests_total{method=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n"
                               "# HELP rollcall_queue_depth Waiting.\n"
                               "# TYPE rollcall_queue_depth gauge\n"
                               "rollcall_queue_depth -3\n");
    buf_done(&out);
    metrics_free(m);
}

static void renders_cumulative_histograms(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, METRICS);
    metrics_observe_us(m, WAIT, 1, 5000); // a bound belongs to its bucket
    metrics_observe_us(m, WAIT, 1, 5001);
    metrics_observe_us(m, WAIT, 1, 2000001);
    metrics_observe_us(m, PLAIN, 0, 0);
    struct buf out = BUF_INIT;
    metrics_render(m, &out);
    const char *histograms = strstr(out.p, "# HELP rollcall_wait_seconds");
    assert_non_null(histograms);
    assert_string_equal(histograms, "# HELP rollcall_wait_seconds Waited.\n"
                                    "# TYPE rollcall_wait_seconds histogram\n"
                                    "rollcall_wait_seconds_bucket{path=\"redis\",le=\"0.005\"} 0\n"
                                    "rollcall_wait_seconds_bucket{path=\"redis\",le=\"0.5\"} 0\n"
                                    "rollcall_wait_seconds_bucket{path=\"redis\",le=\"2\"} 0\n"
                                    "rollcall_wait_seconds_bucket{path=\"redis\",le=\"+Inf\"} 0\n"
                                    "rollcall_wait_seconds_sum{path=\"redis\"} 0.000000\n"
                                    "rollcall_wait_seconds_count{path=\"redis\"} 0\n"
                                    "rollcall_wait_seconds_bucket{path=\"kafka\",le=\"0.005\"} 1\n"
                                    "rollcall_wait_seconds_bucket{path=\"kafka\",le=\"0.5\"} 2\n"
                                    "rollcall_wait_seconds_bucket{path=\"kafka\",le=\"2\"} 2\n"
                                    "rollcall_wait_seconds_bucket{path=\"kafka\",le=\"+Inf\"} 3\n"
                                    "rollcall_wait_seconds_sum{path=\"kafka\"} 2.010002\n"
                                    "rollcall_wait_seconds_count{path=\"kafka\"} 3\n"
                                    "# HELP rollcall_plain_seconds Plain.\n"
                                    "# TYPE rollcall_plain_seconds histogram\n"
                                    "rollcall_plain_seconds_bucket{le=\"0.005\"} 1\n"
                                    "rollcall_plain_seconds_bucket{le=\"0.5\"} 1\n"
                                    "rollcall_plain_seconds_bucket{le=\"2\"} 1\n"
                                    "rollcall_plain_seconds_bucket{le=\"+Inf\"} 1\n"
                                    "rollcall_plain_seconds_sum 0.000000\n"
                                    "rollcall_plain_seconds_count 1\n");
    buf_done(&out);
    metrics_free(m);
}

static void every_metric_has_cells_of_its_own(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, METRICS);
    metrics_observe_us(m, WAIT, 0, UINT32_MAX);
    metrics_observe_us(m, WAIT, 1, 1);
    metrics_add(m, REQUESTS, 1, 7);
    assert_true(metrics_get(m, REQUESTS, 0) == 0 && metrics_get(m, REQUESTS, 1) == 7);
    assert_true(metrics_get(m, DEPTH, 0) == 0);
    metrics_set(m, DEPTH, 0, 4);
    metrics_add(m, DEPTH, 0, (uint64_t)-1);
    assert_true(metrics_get(m, DEPTH, 0) == 3 && metrics_get(m, REQUESTS, 1) == 7);
    metrics_free(m);
    metrics_free(NULL);
}

#define ROUNDS 20000

static void *update(void *metrics)
{
    for (int i = 0; i < ROUNDS; i++) {
        metrics_add(metrics, REQUESTS, 0, 1);
        metrics_observe_us(metrics, PLAIN, 0, 1000);
    }
    return NULL;
}

static void threads_lose_no_update(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, METRICS);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update, m), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(metrics_get(m, REQUESTS, 0) == 4 * ROUNDS);
    struct buf out = BUF_INIT;
    metrics_render(m, &out);
    assert_non_null(
        strstr(out.p, "rollcall_plain_seconds_sum 80.000000\nrollcall_plain_seconds_count 80000\n"));
    buf_done(&out);
    metrics_free(m);
}

static void copies_a_histogram_that_is_kept_elsewhere(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, METRICS);
    const uint64_t counts[] = {3, 0, 2, 1};
    metrics_set_histogram(m, PLAIN, 0, counts, 7000001);
    struct buf out = BUF_INIT;
    metrics_render(m, &out);
    assert_non_null(strstr(out.p, "rollcall_plain_seconds_bucket{le=\"0.005\"} 3\n"
                                  "rollcall_plain_seconds_bucket{le=\"0.5\"} 3\n"
                                  "rollcall_plain_seconds_bucket{le=\"2\"} 5\n"
                                  "rollcall_plain_seconds_bucket{le=\"+Inf\"} 6\n"
                                  "rollcall_plain_seconds_sum 7.000001\n"
                                  "rollcall_plain_seconds_count 6\n"));
    buf_done(&out);
    metrics_free(m);
}

static void renders_series_whose_labels_come_from_outside(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct metric_label labels[] = {{"registrar", STR_LIT("udp:\"evil\"\n\\:0")},
                                          {"code", STR_LIT("200")}};
    metrics_add_family(&out, "rollcall_answers_total", METRIC_COUNTER, "By\nboth.");
    metrics_add_sample(&out, "rollcall_answers_total", labels, 2, 8007199254740991);
    metrics_add_sample(&out, "rollcall_answers_total", labels + 1, 1, 0.5);
    metrics_add_sample(&out, "rollcall_answers_total", NULL, 0, 3);
    assert_string_equal(out.p, "# HELP rollcall_answers_total By\\nboth.\n"
                               "# TYPE rollcall_answers_total counter\n"
                               "rollcall_answers_total{registrar=\"udp:\\\"evil\\\"\\n\\\\:0\",code=\"200\"} "
                               "8007199254740991\n"
                               "rollcall_answers_total{code=\"200\"} 0.5\n"
                               "rollcall_answers_total 3\n");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_counters_and_gauges),
        cmocka_unit_test(renders_cumulative_histograms),
        cmocka_unit_test(every_metric_has_cells_of_its_own),
        cmocka_unit_test(copies_a_histogram_that_is_kept_elsewhere),
        cmocka_unit_test(renders_series_whose_labels_come_from_outside),
        cmocka_unit_test(threads_lose_no_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
