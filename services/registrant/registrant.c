// See registrant.h. Start: keys, Kafka producer, SIP threads, places. Stop: SIP threads hand over, their last
// reports are flushed, the groups are left, then the rest is freed.
#include "services/registrant/registrant.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/registrant/admin.h"
#include "services/registrant/shard/place.h"
#include "services/registrant/sip/rules_file.h"
#include "services/registrant/transport/networks.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_PLACES = 64, RETENTION_DAYS = 7, TOPIC_RETRY_MS = 1000 };
// Of ROLLCALL_DRAIN: for leaving the groups, and before that for the last reports.
enum { LEAVE_MS = 500, FLUSH_MS = 1500 };

struct registrant {
    const struct registrant_settings *settings;
    struct event_base *base;
    struct event *term, *interrupt, *hang_up, *stop_deadline, *topics_again;
    struct key_ring *ring;
    struct networks *networks;
    struct kafka_params kafka;
    struct reporter *reporter;
    struct workers *workers;
    struct admin *admin;
    char *place_names[MAX_PLACES];
    struct place *places[MAX_PLACES]; // NULL until its topic of changes is known
    bool status_known[MAX_PLACES];    // its topic of reports
    size_t place_count;
    enum engine_lease lease_told;
    uint64_t proof_told_us;
    uint64_t stop_by_us;
    bool kafka_seen, kafka_up, stopping, failed;
};

// ---- what the parts ask of the root

static const char *place_of(void *arg, uint32_t shard)
{
    struct registrant *r = arg;
    return r->place_names[shard >> 16];
}

static void on_report(void *arg, unsigned thread, struct sip_notice *take)
{
    struct registrant *r = arg;
    reporter_send(r->reporter, thread, take);
}

static void on_closed(void *arg, uint32_t shard)
{
    struct registrant *r = arg;
    if (r->places[shard >> 16])
        place_closed(r->places[shard >> 16], shard);
}

static void on_stopped(void *arg)
{
    struct registrant *r = arg;
    (void)event_base_loopbreak(r->base);
}

static void on_congestion(void *arg, bool congested)
{
    struct registrant *r = arg;
    for (size_t i = 0; i < r->place_count; i++)
        if (r->places[i])
            place_congestion(r->places[i], congested);
}

// Fresh only while every group that gave us partitions vouches for us; the oldest proof counts.
static void on_lease(void *arg)
{
    struct registrant *r = arg;
    uint64_t now_us = clock_monotonic_us(), proof_us = UINT64_MAX;
    bool fresh = true, any = false;
    for (size_t i = 0; i < r->place_count; i++) {
        if (!r->places[i] || !place_has_partitions(r->places[i]))
            continue;
        const struct lease *l = place_lease(r->places[i]);
        any = true;
        fresh = fresh && lease_is_fresh(l, now_us);
        proof_us = l->proved_us < proof_us ? l->proved_us : proof_us;
    }
    enum engine_lease lease = any && fresh ? LEASE_FRESH : LEASE_EXPIRED;
    if (lease == r->lease_told && (lease == LEASE_EXPIRED || proof_us <= r->proof_told_us))
        return;
    if (lease != r->lease_told)
        log_line(lease == LEASE_FRESH ? LOG_INFO : LOG_WARNING, "registrant", 0, "lease is %s",
                 lease == LEASE_FRESH ? "fresh" : "over: only live bindings are refreshed");
    r->lease_told = lease;
    r->proof_told_us = lease == LEASE_FRESH ? proof_us : r->proof_told_us;
    const struct sip_command c = {.kind = SIP_LEASE,
                                  .lease = lease,
                                  .proved_us = proof_us,
                                  .until_us = proof_us + (uint64_t)r->settings->session_timeout_ms * 1000u};
    workers_tell_all(r->workers, &c);
}

static void hand_over(struct registrant *r);

// Two processes of one name: the newer one has our partitions. Crash-only, but with the last reports said.
static void on_fatal(void *arg)
{
    struct registrant *r = arg;
    log_line(LOG_ERROR, "registrant", 0, "is ROLLCALL_NODE %s used twice? stopping", r->settings->node);
    r->failed = true;
    hand_over(r);
}

static void on_kafka_health(void *arg, bool up)
{
    struct registrant *r = arg;
    r->kafka_up = up;
    r->kafka_seen = r->kafka_seen || up;
    log_line(up ? LOG_INFO : LOG_WARNING, "registrant", 0, "Kafka is %s", up ? "reached" : "away");
}

static struct admin_view view(void *arg)
{
    struct registrant *r = arg;
    struct admin_view v = {.engine = workers_stats(r->workers),
                           .sip = workers_sip_stats(r->workers),
                           .engine_bytes = workers_engine_bytes(r->workers),
                           .reports = reporter_counts(r->reporter),
                           .kafka_seen = r->kafka_seen,
                           .kafka_up = r->kafka_up,
                           .lease_fresh = r->lease_told == LEASE_FRESH,
                           .stopping = r->stopping,
                           .places = {.settled = true}};
    for (size_t i = 0; i < r->place_count; i++) {
        if (!r->places[i]) {
            v.places.loading++; // its group is not joined yet
            continue;
        }
        struct place_counts c = place_counts(r->places[i]);
        v.places.settled = v.places.settled && c.settled;
        v.places.owned += c.owned;
        v.places.loading += c.loading;
        v.places.parked += c.parked;
        v.places.records += c.records;
        v.places.poison += c.poison;
        v.places.rejoins += c.rejoins;
        v.places.recounts += c.recounts;
        histogram_merge(&v.places.takeovers, &c.takeovers);
    }
    return v;
}

static void view_registrars(void *arg, struct registrars *ret_sum)
{
    struct registrant *r = arg;
    struct registrar_view *views = mem_array(REGISTRARS_SHOWN, sizeof(*views)), rest;
    for (unsigned i = 0; i < workers_count(r->workers); i++) {
        size_t count = workers_registrars(r->workers, i, views, REGISTRARS_SHOWN, &rest);
        registrars_merge(ret_sum, views, count, &rest);
    }
    free(views);
}

// ---- places: joined once their topics are known, since a group on an unknown topic waits for nothing

static struct kafka_topic_settings topic_settings(const struct registrant *r, const char *place,
                                                  const char *topic)
{
    const struct registrant_settings *s = r->settings;
    int64_t partitions = s->partitions_any;
    if (strncmp(place, "pop-", 4) == 0)
        partitions = s->partitions_pop;
    else if (strncmp(place, "node-", 5) == 0)
        partitions = s->partitions_node;
    return (struct kafka_topic_settings){.topic = topic,
                                         .partitions = (int32_t)partitions,
                                         .replication = (int32_t)s->kafka_replication,
                                         .retention_ms = (int64_t)RETENTION_DAYS * 86400000};
}

static int join(struct registrant *r, size_t index, struct error *err)
{
    const struct registrant_settings *s = r->settings;
    const struct place_params params = {
        .base = r->base,
        .kafka = r->kafka,
        .name = r->place_names[index],
        .index = (uint32_t)index,
        .topic_prefix = s->topic_prefix,
        .node = s->node,
        .session_timeout_ms = (uint32_t)s->session_timeout_ms,
        .snapshot_urls = s->snapshot_urls,
        .snapshot_token = s->snapshot_token,
        .workers = r->workers,
        .reporter = r->reporter,
        .arg = r,
        .on_lease = on_lease,
        .on_fatal = on_fatal,
    };
    return place_start(&params, &r->places[index], err);
}

static void on_topic(void *arg, const char *topic, int32_t partitions_or_error)
{
    struct registrant *r = arg;
    if (partitions_or_error <= 0) {
        log_limited(LOG_WARNING, "registrant", 0, "%s is not known yet (%d)", topic, partitions_or_error);
        timer_in_ms(r->topics_again, TOPIC_RETRY_MS);
        return;
    }
    r->kafka_seen = r->kafka_up = true;
    const char *place = strrchr(topic, '.') + 1;
    size_t i = 0;
    while (strcmp(place, r->place_names[i]) != 0)
        i++;
    if (strncmp(topic + strlen(r->settings->topic_prefix), ".status.", 8) == 0) {
        r->status_known[i] = true;
        return;
    }
    struct error err = {0};
    if (r->stopping || r->places[i] || join(r, i, &err) == 0)
        return;
    log_line(LOG_ERROR, "registrant", 0, "cannot join the group of %s: %s", place, err.text);
    (void)event_base_loopbreak(r->base);
}

static void ensure_topic(struct registrant *r, const char *place, const char *kind)
{
    struct buf topic = BUF_INIT;
    buf_addf(&topic, "%s.%s.%s", r->settings->topic_prefix, kind, place);
    struct kafka_topic_settings t = topic_settings(r, place, topic.p);
    kafka_topic_ensure(reporter_producer(r->reporter), &t, on_topic, r);
    buf_done(&topic);
}

static void ensure_topics(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct registrant *r = arg;
    for (size_t i = 0; i < r->place_count && !r->stopping; i++) {
        if (!r->status_known[i])
            ensure_topic(r, r->place_names[i], "status");
        if (!r->places[i])
            ensure_topic(r, r->place_names[i], "changes");
    }
}

static bool place_name_is_good(struct str name)
{
    uint64_t number;
    if (str_eq_cstr(name, "any"))
        return true;
    if (str_starts(name, STR_LIT("pop-")))
        return str_to_u64(str_slice(name, 4, name.n), &number) == 0;
    return str_starts(name, STR_LIT("node-")) && str_to_u64(str_slice(name, 5, name.n), &number) == 0;
}

static bool place_is_named(const struct registrant *r, struct str name)
{
    for (size_t i = 0; i < r->place_count; i++)
        if (str_eq_cstr(name, r->place_names[i]))
            return true;
    return false;
}

static int read_places(struct registrant *r, struct error *err)
{
    struct str rest = str_of(r->settings->places), name;
    while (str_split(&rest, ',', &name)) {
        name = str_trim(name);
        if (!place_name_is_good(name) || name.n >= REGISTRATION_PLACE_BYTES || r->place_count == MAX_PLACES)
            return error_set(err, -EINVAL,
                             "ROLLCALL_PLACES takes any, pop-<id>, node-<id>, comma-separated, not \"" STR_FMT
                             "\"",
                             STR_ARG(name));
        if (place_is_named(r, name)) // two members of one name in one group
            return error_set(err, -EINVAL, "ROLLCALL_PLACES names " STR_FMT " twice", STR_ARG(name));
        r->place_names[r->place_count++] = str_dup(name);
    }
    return r->place_count ? 0 : error_set(err, -EINVAL, "ROLLCALL_PLACES names no place");
}

// ---- start and stop

static struct engine_policy policy_of(const struct registrant_settings *s)
{
    struct engine_policy policy = engine_policy_default();
    policy.rejected_retry_s = (uint32_t)s->rejected_retry_s;
    policy.backoff_cap_s = (uint32_t)s->backoff_cap_s;
    policy.registrar_rate = (uint32_t)s->registrar_rate;
    policy.registrar_in_flight = (uint32_t)s->registrar_in_flight;
    policy.registrar_hard = s->registrar_hard;
    policy.aor_rate = (uint32_t)s->aor_rate;
    policy.move_over_s = (uint32_t)s->move_over_s;
    policy.max_in_flight = (uint32_t)s->max_in_flight;
    policy.transaction_timeout_s = (uint32_t)s->transaction_timeout_s;
    policy.nat_contact = s->sip_nat == 1;
    uint32_t drain_s = (uint32_t)s->drain_s, sending_s = drain_s > 2 ? (drain_s - 2) / 2 : 0;
    if (policy.close_wait_s > sending_s) // the rest is for what is to be said of it
        policy.close_wait_s = sending_s;
    policy.node = s->node;
    policy.user_agent = s->user_agent;
    return policy;
}

static struct tls_settings tls_of(const struct registrant_settings *s)
{
    return (struct tls_settings){.ca_file = s->tls_ca_file,
                                 .certificate_file = s->tls_certificate_file,
                                 .key_file = s->tls_key_file,
                                 .min_version = s->tls_min_version ? "1.3" : "1.2"};
}

// Each thread reads these files for itself; what is wrong with them is said here, by the name of the setting.
static int check_files(const struct registrant_settings *s, struct error *err)
{
    struct tls_settings tls = tls_of(s);
    struct tls_store *store = NULL;
    struct rules *rules = NULL;
    int rc = tls_store_new(&tls, &store, err);
    tls_store_free(store);
    if (rc)
        return error_prefix(err, "ROLLCALL_SIP_TLS_…");
    rc = rules_file_read(s->registrars_file, &rules, err);
    rules_free(rules);
    return rc ? error_prefix(err, "ROLLCALL_REGISTRARS_FILE") : 0;
}

static int start_workers(struct registrant *r, struct error *err)
{
    const struct registrant_settings *s = r->settings;
    const struct workers_params params = {
        .base = r->base,
        .count = (unsigned)s->sip_threads,
        .thread = {.policy = policy_of(s),
                   .ring = r->ring,
                   .networks = r->networks,
                   .listen = s->sip_listen,
                   .interfaces = s->sip_interfaces,
                   .tls = tls_of(s),
                   .rules_file = s->registrars_file,
                   .resolv_conf = s->resolv_conf,
                   .stall_ms = (uint32_t)s->session_timeout_ms / 2,
                   .max_queue = 1024},
        .arg = r,
        .on_report = on_report,
        .on_closed = on_closed,
        .on_stopped = on_stopped,
        .on_congestion = on_congestion,
    };
    int rc = check_files(s, err);
    if (rc)
        return rc;
    rc = workers_start(&params, &r->workers, err);
    return rc ? error_prefix(err, "ROLLCALL_SIP_LISTEN, ROLLCALL_SIP_INTERFACES") : 0;
}

static void on_kafka_trouble(const char *why)
{
    log_line(LOG_WARNING, "registrant", 0, "Kafka: %s", why);
}

static int start_reporter(struct registrant *r, struct error *err)
{
    const struct registrant_settings *s = r->settings;
    r->kafka = (struct kafka_params){.base = r->base,
                                     .bootstrap = s->kafka_bootstrap,
                                     .client_id = s->node,
                                     .extra = s->kafka_extra,
                                     .password = s->kafka_password,
                                     .on_trouble = on_kafka_trouble};
    const struct reporter_params params = {.kafka = r->kafka,
                                           .topic_prefix = s->topic_prefix,
                                           .node = s->node,
                                           .arg = r,
                                           .place_of = place_of,
                                           .on_health = on_kafka_health};
    return reporter_new(&params, &r->reporter, err);
}

static int start(struct registrant *r, struct error *err)
{
    int rc = read_places(r, err);
    if (!rc)
        rc = key_ring_load(r->settings->key_ring_file, &r->ring, err);
    if (!rc)
        rc = networks_new(r->settings->sip_allow, r->settings->sip_deny, &r->networks, err);
    if (!rc)
        rc = start_reporter(r, err);
    if (!rc)
        rc = start_workers(r, err);
    if (rc)
        return rc;
    reporter_attach(r->reporter, r->workers);
    const struct admin_params admin = {.base = r->base,
                                       .listen = r->settings->admin_listen,
                                       .arg = r,
                                       .view = view,
                                       .registrars = view_registrars};
    rc = admin_start(&admin, &r->admin, err);
    if (!rc)
        ensure_topics(-1, 0, r);
    return rc;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct registrant *r = arg;
    log_line(LOG_WARNING, "registrant", 0, "not everything was handed over within ROLLCALL_DRAIN");
    (void)event_base_loopbreak(r->base);
}

// What is left of ROLLCALL_DRAIN but for so much; all of it where nobody asked for a stop.
static uint32_t left_ms(const struct registrant *r, uint32_t but_ms)
{
    uint64_t drain_ms = (uint64_t)r->settings->drain_s * 1000u, now_us = clock_monotonic_us();
    uint64_t ms = !r->stop_by_us ? drain_ms : r->stop_by_us > now_us ? (r->stop_by_us - now_us) / 1000 : 0;
    return ms > but_ms ? (uint32_t)(ms - but_ms) : 0;
}

static void hand_over(struct registrant *r)
{
    if (r->stopping)
        return;
    r->stopping = true;
    r->stop_by_us = clock_monotonic_us() + (uint64_t)r->settings->drain_s * 1000000u;
    timer_in_ms(r->stop_deadline, left_ms(r, LEAVE_MS + FLUSH_MS));
    for (size_t i = 0; i < r->place_count; i++)
        if (r->places[i])
            place_stop(r->places[i]);
    workers_tell_all(r->workers, &(struct sip_command){.kind = SIP_STOP});
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct registrant *r = arg;
    log_line(LOG_INFO, "registrant", 0, "handing over and stopping on signal %d", (int)number);
    hand_over(r);
}

static void say_keys(const struct key_ring *ring)
{
    struct buf names cleanup(buf_done) = BUF_INIT;
    key_ring_names(ring, &names);
    log_line(LOG_INFO, "registrant", 0, "key ring: " STR_FMT, STR_ARG(buf_str(&names)));
}

// A bad file is refused whole and the present ring stays. Each thread has a reference of its own.
static void reload_keys(struct registrant *r)
{
    struct key_ring *next;
    struct error err = {0};
    if (key_ring_load_again(r->settings->key_ring_file, r->ring, &next, &err)) {
        log_line(LOG_ERROR, "registrant", 0, "key ring not read again: %s", err.text);
        return;
    }
    say_keys(next);
    workers_tell_all(r->workers, &(struct sip_command){.kind = SIP_KEYS, .ring = next});
    key_ring_free(r->ring);
    r->ring = next;
}

static void on_hang_up(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct registrant *r = arg;
    log_line(LOG_INFO, "registrant", 0, "reading certificates, keys, hosts, resolver and rules again");
    reload_keys(r);
    workers_tell_all(r->workers, &(struct sip_command){.kind = SIP_RELOAD});
}

static void take_down(struct registrant *r)
{
    // Flushes the last reports first, so that the next owner sees them.
    reporter_free(r->reporter, left_ms(r, LEAVE_MS));
    for (size_t i = 0; i < r->place_count; i++)
        if (r->places[i])
            place_leave(r->places[i], left_ms(r, 0));
    admin_stop(r->admin);
    workers_free(r->workers);
}

// Each connection to a registrar needs one; the soft limit is for programs that use select().
static void allow_all_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int registrant_run(const struct registrant_settings *settings)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)evthread_use_pthreads();
    allow_all_descriptors();
    struct registrant r = {.settings = settings, .lease_told = LEASE_EXPIRED};
    struct error err = {0};
    r.base = event_base_new();
    r.term = evsignal_new(r.base, SIGTERM, on_signal, &r);
    r.interrupt = evsignal_new(r.base, SIGINT, on_signal, &r);
    r.hang_up = evsignal_new(r.base, SIGHUP, on_hang_up, &r);
    r.stop_deadline = event_new(r.base, -1, 0, on_deadline, &r);
    r.topics_again = event_new(r.base, -1, 0, ensure_topics, &r);
    (void)event_add(r.term, NULL);
    (void)event_add(r.interrupt, NULL);
    (void)event_add(r.hang_up, NULL);
    if (start(&r, &err)) {
        log_line(LOG_ERROR, "registrant", 0, "cannot start: %s", err.text);
        r.failed = true;
    } else {
        log_line(LOG_INFO, "registrant", 0, "serving %s, health on %s", settings->places,
                 settings->admin_listen);
        (void)event_base_dispatch(r.base);
    }
    int status = r.stopping && !r.failed ? 0 : 1;
    take_down(&r);
    for (size_t i = 0; i < r.place_count; i++)
        free(r.place_names[i]);
    struct event *events[] = {r.term, r.interrupt, r.hang_up, r.stop_deadline, r.topics_again};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        event_free(events[i]);
    base_end(r.base);
    networks_free(r.networks);
    key_ring_free(r.ring);
    return status;
}
