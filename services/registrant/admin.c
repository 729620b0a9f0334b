// See admin.h.
#include "services/registrant/admin.h"

#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

struct admin {
    struct admin_params params;
    struct http_server *http;
    struct metrics *metrics;
};

enum admin_metric {
    REGISTRATIONS, // label: state
    BOUND,
    IN_FLIGHT,
    WAITING,
    REQUESTS,
    ANSWERS, // label: class
    TIMEOUTS,
    CHALLENGES,
    PARTITIONS, // label: state
    RECORDS,
    POISON,
    REJOINS,
    RECOUNTS,
    REPORTS, // label: outcome
    LEASE_FRESH_GAUGE,
    ENGINE_BYTES,
    OVERCOMMITTED,
    RATES_RAISED,
    LAPSED,
    ANSWER_SECONDS,
    LATENESS_SECONDS,
    TAKEOVER_SECONDS,
    TRANSACTIONS,
    RETRANSMISSIONS,
    STRAY,
    MALFORMED,
    INCOMING,
    MESSAGES, // label: direction
    CONNECTIONS,
    CONNECTIONS_TOTAL, // label: outcome
    KEEP_ALIVES,       // label: kind
    DNS_NAMES,
    DNS_STALE,
    DNS_QUESTIONS,
    DNS_FAILURES,
    DNS_CHANGES,
};

static const char *const state_labels[] = {"disabled",     "pending",  "registering", "registered",
                                           "retrying",     "rejected", "given_up",    "unregistering",
                                           "unregistered", NULL};
static const char *const answer_labels[] = {"2xx", "4xx", "5xx", "other", NULL};
static const char *const partition_labels[] = {"owned", "loading", "parked", NULL};
static const char *const report_labels[] = {"delivered", "failed", NULL};

static const char *const direction_labels[] = {"sent", "received", NULL};
static const char *const connection_labels[] = {"established", "lost", "failed", "accepted", NULL};
static const char *const keep_alive_labels[] = {"ping", "pong", NULL};

static const double bounds_s[] = OBSERVE_BOUNDS_S;

static const struct metric rows[] = {
    [REGISTRATIONS] = {"rollcall_registrant_registrations", METRIC_GAUGE, "Registrations held, by state",
                       "state", state_labels, NULL},
    [BOUND] = {"rollcall_registrant_bound", METRIC_GAUGE, "Registrations with a live binding", NULL, NULL,
               NULL},
    [IN_FLIGHT] = {"rollcall_registrant_in_flight", METRIC_GAUGE, "REGISTER transactions under way", NULL,
                   NULL, NULL},
    [WAITING] = {"rollcall_registrant_waiting", METRIC_GAUGE, "Registrations held back by pacing", NULL, NULL,
                 NULL},
    [REQUESTS] = {"rollcall_registrant_requests_total", METRIC_COUNTER,
                  "REGISTERs sent, without retransmissions", NULL, NULL, NULL},
    [ANSWERS] = {"rollcall_registrant_answers_total", METRIC_COUNTER, "Final answers by class", "class",
                 answer_labels, NULL},
    [TIMEOUTS] = {"rollcall_registrant_timeouts_total", METRIC_COUNTER, "REGISTERs without an answer", NULL,
                  NULL, NULL},
    [CHALLENGES] = {"rollcall_registrant_challenges_total", METRIC_COUNTER, "401 and 407 answers", NULL, NULL,
                    NULL},
    [PARTITIONS] = {"rollcall_registrant_partitions", METRIC_GAUGE, "Partitions held, by state", "state",
                    partition_labels, NULL},
    [RECORDS] = {"rollcall_registrant_records_total", METRIC_COUNTER, "Change records read", NULL, NULL,
                 NULL},
    [POISON] = {"rollcall_registrant_poison_total", METRIC_COUNTER, "Change records skipped as unreadable",
                NULL, NULL, NULL},
    [REJOINS] =
        {"rollcall_registrant_rejoins_total", METRIC_COUNTER,
         "Consumers made anew: the group put the last one out, or its session ended with commits under way",
         NULL, NULL, NULL},
    [RECOUNTS] = {"rollcall_registrant_recounts_total", METRIC_COUNTER,
                  "Times that a topic was found with another number of partitions", NULL, NULL, NULL},
    [REPORTS] = {"rollcall_registrant_reports_total", METRIC_COUNTER, "Reports by outcome", "outcome",
                 report_labels, NULL},
    [LEASE_FRESH_GAUGE] = {"rollcall_registrant_lease_fresh", METRIC_GAUGE, "1 while membership is proved",
                           NULL, NULL, NULL},
    [ENGINE_BYTES] = {"rollcall_registrant_engine_bytes", METRIC_GAUGE, "Memory asked for by registrations",
                      NULL, NULL, NULL},
    [OVERCOMMITTED] = {"rollcall_registrant_overcommitted", METRIC_GAUGE,
                       "Registrars whose live refreshes need more than their rate allows", NULL, NULL, NULL},
    [RATES_RAISED] = {"rollcall_registrant_rates_raised", METRIC_GAUGE,
                      "Of these, the ones whose rate is raised to what is needed", NULL, NULL, NULL},
    [LAPSED] = {"rollcall_registrant_lapsed_total", METRIC_COUNTER,
                "Bindings that ran out while they waited for their turn", NULL, NULL, NULL},
    [ANSWER_SECONDS] = {"rollcall_registrant_answer_seconds", METRIC_HISTOGRAM,
                        "From a REGISTER to its final answer", NULL, NULL, bounds_s},
    [LATENESS_SECONDS] = {"rollcall_registrant_lateness_seconds", METRIC_HISTOGRAM,
                          "From the time at which a refresh or another try was due to its sending", NULL,
                          NULL, bounds_s},
    [TAKEOVER_SECONDS] = {"rollcall_registrant_takeover_seconds", METRIC_HISTOGRAM,
                          "From the assignment of a partition until its registrations may be acted on", NULL,
                          NULL, bounds_s},
    [TRANSACTIONS] = {"rollcall_registrant_transactions", METRIC_GAUGE, "SIP client transactions under way",
                      NULL, NULL, NULL},
    [RETRANSMISSIONS] = {"rollcall_registrant_retransmissions_total", METRIC_COUNTER,
                         "REGISTERs sent once more over UDP", NULL, NULL, NULL},
    [STRAY] = {"rollcall_registrant_stray_total", METRIC_COUNTER,
               "Answers to nothing that waits: late, repeated or forged", NULL, NULL, NULL},
    [MALFORMED] = {"rollcall_registrant_malformed_total", METRIC_COUNTER,
                   "Messages that could not be read, and changed nothing", NULL, NULL, NULL},
    [INCOMING] = {"rollcall_registrant_incoming_total", METRIC_COUNTER, "Requests of others", NULL, NULL,
                  NULL},
    [MESSAGES] = {"rollcall_registrant_messages_total", METRIC_COUNTER, "SIP messages on the wire",
                  "direction", direction_labels, NULL},
    [CONNECTIONS] = {"rollcall_registrant_connections", METRIC_GAUGE, "Connections to registrars", NULL, NULL,
                     NULL},
    [CONNECTIONS_TOTAL] = {"rollcall_registrant_connections_total", METRIC_COUNTER,
                           "Connections that were established, lost after that, never came about, or were "
                           "made by others",
                           "outcome", connection_labels, NULL},
    [KEEP_ALIVES] = {"rollcall_registrant_keep_alives_total", METRIC_COUNTER,
                     "Keep-alives sent and answered (CRLF, STUN)", "kind", keep_alive_labels, NULL},
    [DNS_NAMES] = {"rollcall_registrant_dns_names", METRIC_GAUGE,
                   "Next hops whose addresses are kept current", NULL, NULL, NULL},
    [DNS_STALE] = {"rollcall_registrant_dns_stale", METRIC_GAUGE,
                   "Next hops served by an answer that has run out, because DNS fails", NULL, NULL, NULL},
    [DNS_QUESTIONS] = {"rollcall_registrant_dns_questions_total", METRIC_COUNTER, "Questions asked of DNS",
                       NULL, NULL, NULL},
    [DNS_FAILURES] = {"rollcall_registrant_dns_failures_total", METRIC_COUNTER,
                      "Questions that DNS could not answer", NULL, NULL, NULL},
    [DNS_CHANGES] = {"rollcall_registrant_dns_changes_total", METRIC_COUNTER,
                     "Next hops whose addresses became others", NULL, NULL, NULL},
};

static void set_histogram(struct metrics *m, enum admin_metric metric, const struct histogram *h)
{
    metrics_set_histogram(m, metric, 0, h->counts, h->sum_us);
}

static void fill_sip(struct metrics *m, const struct sip_stats *s)
{
    const struct transport_stats *t = &s->transport;
    metrics_set(m, TRANSACTIONS, 0, (int64_t)s->transactions);
    metrics_set(m, RETRANSMISSIONS, 0, (int64_t)s->retransmissions);
    metrics_set(m, STRAY, 0, (int64_t)s->stray);
    metrics_set(m, MALFORMED, 0, (int64_t)s->malformed);
    metrics_set(m, INCOMING, 0, (int64_t)s->incoming);
    metrics_set(m, MESSAGES, 0, (int64_t)t->sent);
    metrics_set(m, MESSAGES, 1, (int64_t)t->received);
    metrics_set(m, CONNECTIONS, 0, (int64_t)t->connections);
    metrics_set(m, CONNECTIONS_TOTAL, 0, (int64_t)t->connected);
    metrics_set(m, CONNECTIONS_TOTAL, 1, (int64_t)t->lost);
    metrics_set(m, CONNECTIONS_TOTAL, 2, (int64_t)t->failed);
    metrics_set(m, CONNECTIONS_TOTAL, 3, (int64_t)t->accepted);
    metrics_set(m, KEEP_ALIVES, 0, (int64_t)t->pings);
    metrics_set(m, KEEP_ALIVES, 1, (int64_t)t->pongs);
    metrics_set(m, DNS_NAMES, 0, (int64_t)s->resolver.names);
    metrics_set(m, DNS_STALE, 0, (int64_t)s->resolver.stale);
    metrics_set(m, DNS_QUESTIONS, 0, (int64_t)s->resolver.questions);
    metrics_set(m, DNS_FAILURES, 0, (int64_t)s->resolver.failures);
    metrics_set(m, DNS_CHANGES, 0, (int64_t)s->resolver.changes);
}

// The engine counts on its own thread; these are copies of its last turn's figures.
static void fill(struct metrics *m, const struct admin_view *v)
{
    for (size_t i = 0; state_labels[i]; i++)
        metrics_set(m, REGISTRATIONS, i, (int64_t)v->engine.states[i]);
    metrics_set(m, BOUND, 0, (int64_t)v->engine.bound);
    metrics_set(m, IN_FLIGHT, 0, (int64_t)v->engine.in_flight);
    metrics_set(m, WAITING, 0, (int64_t)v->engine.waiting);
    metrics_set(m, REQUESTS, 0, (int64_t)v->engine.requests);
    metrics_set(m, ANSWERS, 0, (int64_t)v->engine.answers_2xx);
    metrics_set(m, ANSWERS, 1, (int64_t)v->engine.answers_4xx);
    metrics_set(m, ANSWERS, 2, (int64_t)v->engine.answers_5xx);
    metrics_set(m, ANSWERS, 3, (int64_t)v->engine.answers_other);
    metrics_set(m, TIMEOUTS, 0, (int64_t)v->engine.timeouts);
    metrics_set(m, CHALLENGES, 0, (int64_t)v->engine.challenges);
    metrics_set(m, PARTITIONS, 0, v->places.owned);
    metrics_set(m, PARTITIONS, 1, v->places.loading);
    metrics_set(m, PARTITIONS, 2, v->places.parked);
    metrics_set(m, RECORDS, 0, (int64_t)v->places.records);
    metrics_set(m, POISON, 0, (int64_t)v->places.poison);
    metrics_set(m, REJOINS, 0, (int64_t)v->places.rejoins);
    metrics_set(m, RECOUNTS, 0, (int64_t)v->places.recounts);
    metrics_set(m, REPORTS, 0, (int64_t)v->reports.delivered);
    metrics_set(m, REPORTS, 1, (int64_t)v->reports.failed);
    metrics_set(m, LEASE_FRESH_GAUGE, 0, v->lease_fresh);
    metrics_set(m, ENGINE_BYTES, 0, (int64_t)v->engine_bytes);
    metrics_set(m, OVERCOMMITTED, 0, (int64_t)v->engine.overcommitted);
    metrics_set(m, RATES_RAISED, 0, (int64_t)v->engine.rates_raised);
    metrics_set(m, LAPSED, 0, (int64_t)v->engine.lapsed);
    fill_sip(m, &v->sip);
    set_histogram(m, ANSWER_SECONDS, &v->engine.answer_times);
    set_histogram(m, LATENESS_SECONDS, &v->engine.lateness);
    set_histogram(m, TAKEOVER_SECONDS, &v->places.takeovers);
}

static void reply_text(struct http_request *r, int status, const char *type, struct str body)
{
    http_reply_header(r, "content-type", str_of(type));
    http_reply(r, status, body);
}

static void reply_error(struct http_request *r, int status, const char *title, const char *detail)
{
    struct buf body = BUF_INIT;
    struct json_writer w = json_writer(&body);
    char code[8];
    (void)snprintf(code, sizeof(code), "%d", status);
    json_begin_object(&w);
    json_key(&w, "errors");
    json_begin_array(&w);
    json_begin_object(&w);
    json_kv_cstr(&w, "title", title);
    json_kv_cstr(&w, "detail", detail);
    json_kv_cstr(&w, "code", code);
    json_kv_cstr(&w, "status", code);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    reply_text(r, status, "application/json", buf_str(&body));
    buf_done(&body);
}

// Ready: it owns partitions and every one of them is open. A stand-by without partitions is ready once Kafka
// was seen and its membership is as proved as it can be.
static void readyz(const struct admin_view *v, struct http_request *r)
{
    bool ready = v->kafka_seen && !v->stopping && v->places.settled && v->places.loading == 0;
    struct buf body = BUF_INIT;
    struct json_writer w = json_writer(&body);
    json_begin_object(&w);
    json_kv_cstr(&w, "status", v->stopping ? "stopping" : ready ? "ready" : "not ready");
    json_kv_cstr(&w, "kafka", v->kafka_up ? "up" : v->kafka_seen ? "degraded" : "not seen yet");
    json_kv_bool(&w, "lease", v->lease_fresh);
    json_kv_u64(&w, "partitions", v->places.owned);
    json_kv_u64(&w, "loading", v->places.loading);
    json_kv_u64(&w, "parked", v->places.parked);
    json_end_object(&w);
    reply_text(r, ready ? 200 : 503, "application/json", buf_str(&body));
    buf_done(&body);
}

static struct registrars *see_registrars(const struct admin *a)
{
    struct registrars *r = mem_alloc(sizeof(*r));
    a->params.registrars(a->params.arg, r);
    return r;
}

static void metrics_page(struct admin *a, const struct admin_view *v, struct http_request *r)
{
    struct buf body = BUF_INIT;
    struct registrars *registrars = see_registrars(a);
    fill(a->metrics, v);
    metrics_render(a->metrics, &body);
    registrars_metrics(registrars, &body);
    reply_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&body));
    free(registrars);
    buf_done(&body);
}

// GET /registrars[?name=prefix]
static void registrars_page(const struct admin *a, struct http_request *r)
{
    struct http_pairs query = {0};
    struct error err = {0};
    struct buf body = BUF_INIT;
    if (http_pairs_parse(http_query(r), &query, &err)) {
        reply_error(r, 400, "Bad request", err.text);
        return;
    }
    struct registrars *registrars = see_registrars(a);
    registrars_json(registrars, str_of(http_pairs_get(&query, "name")), &body);
    reply_text(r, 200, "application/json", buf_str(&body));
    free(registrars);
    http_pairs_done(&query);
    buf_done(&body);
}

static void on_request(void *arg, struct http_request *r)
{
    struct admin *a = arg;
    struct admin_view view = a->params.view(a->params.arg);
    struct str path = http_path(r);
    if (str_eq_cstr(path, "/healthz")) {
        reply_text(r, 200, "application/json", STR_LIT("{\"status\":\"ok\"}"));
    } else if (str_eq_cstr(path, "/readyz")) {
        readyz(&view, r);
    } else if (str_eq_cstr(path, "/metrics")) {
        metrics_page(a, &view, r);
    } else if (str_eq_cstr(path, "/registrars")) {
        registrars_page(a, r);
    } else {
        reply_error(r, 404, "Not found", "There is nothing at this path.");
    }
}

int admin_start(const struct admin_params *p, struct admin **ret, struct error *err)
{
    int fd;
    int rc = http_listen(p->listen, false, &fd, NULL, err);
    if (rc)
        return rc;
    struct admin *a = mem_alloc(sizeof(*a));
    a->params = *p;
    a->metrics = metrics_new(rows, ARRAY_LEN(rows));
    const struct http_server_params server = {
        .base = p->base, .listen_fd = fd, .limits = HTTP_LIMITS_DEFAULT, .arg = a, .on_request = on_request};
    a->http = http_server_new(&server);
    *ret = a;
    return 0;
}

void admin_stop(struct admin *a)
{
    if (!a)
        return;
    http_server_free(a->http);
    metrics_free(a->metrics);
    free(a);
}
