// See gateway.h. Start: keys, principals, bus, loops. Stop: loops finish what is in flight, then the bus
// flushes what they published, then the rest is freed.
#include "services/gateway/gateway.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/loop.h"

#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct gateway {
    const struct gateway_settings *settings;
    struct key_ring_box *keys;
    struct store_gate gate;
    struct loop_shared shared;
    struct loop **loops;
    size_t loop_count;
    atomic_size_t http_buffered, http_unsent;
};

#define DESCRIPTORS_KEPT    256
#define DEFAULT_HTTP_LISTEN "127.0.0.1:8080"
#define WRITE_BACK_RECORDS  20000
#define SNAPSHOT_WAIT_MS    5000 // of the 20 s that a take-over has, 10 s are the dead registrant's session

static const char *http_address(const struct gateway_settings *s)
{
    return s->http_listen || s->https_listen ? s->http_listen : DEFAULT_HTTP_LISTEN;
}

static int start_bus(struct gateway *g, struct error *err)
{
    const struct gateway_settings *s = g->settings;
    const struct bus_params params = {
        .kafka_bootstrap = s->kafka_bootstrap,
        .kafka_extra = s->kafka_extra,
        .kafka_password = s->kafka_password,
        .topic_prefix = s->topic_prefix,
        .partitions_any = (int32_t)s->partitions_any,
        .partitions_pop = (int32_t)s->partitions_pop,
        .partitions_node = (int32_t)s->partitions_node,
        .replication = (int32_t)s->kafka_replication,
        .redis_url = s->redis_url,
        .redis_password = s->redis_password,
        .redis_options = gateway_settings_redis(s),
        .node = s->node,
        .snapshot_listen = s->snapshot_listen,
        .snapshot_token = s->snapshot_token,
        .gate = &g->gate,
        .metrics = g->shared.metrics,
        .metrics_base = GATEWAY_BUS_METRICS,
        .ack_wait_ms = (uint32_t)s->ack_wait_ms,
        .report_wait_ms = (uint32_t)s->report_wait_ms,
        .grace_ms = (uint32_t)s->grace_ms,
        .sweep_interval_ms = (uint32_t)s->sweep_interval_ms,
        .session_timeout_ms = (uint32_t)s->session_timeout_ms,
        .snapshot_wait_ms = SNAPSHOT_WAIT_MS,
        .write_back_records = WRITE_BACK_RECORDS,
    };
    return bus_start(&params, &g->shared.bus, err);
}

static int listen_on(const char *address, bool shared, int *ret_fd, struct error *err)
{
    *ret_fd = -1;
    return address ? http_listen(address, shared, ret_fd, NULL, err) : 0;
}

// Every loop accepts on its own sockets of the ports, so that the kernel spreads the connections.
static int start_loops(struct gateway *g, struct error *err)
{
    size_t count = (size_t)g->settings->http_threads;
    g->loops = mem_array(count, sizeof(struct loop *));
    for (size_t i = 0; i < count; i++) {
        struct loop_sockets sockets = {.leads = i == 0};
        int rc = listen_on(http_address(g->settings), count > 1, &sockets.http_fd, err);
        if (!rc)
            rc = listen_on(g->settings->https_listen, count > 1, &sockets.https_fd, err);
        if (!rc)
            rc = loop_start(&g->shared, &sockets, &g->loops[i], err);
        if (rc)
            return rc;
        g->loop_count++;
    }
    return 0;
}

static int load_tls(struct gateway *g, struct http_tls **ret, struct error *err)
{
    const struct gateway_settings *s = g->settings;
    *ret = NULL;
    if (!s->https_listen)
        return 0;
    if (!s->tls_certificate_file || !s->tls_key_file)
        return error_set(err, -1,
                         "ROLLCALL_HTTPS_LISTEN needs ROLLCALL_TLS_CERTIFICATE_FILE and "
                         "ROLLCALL_TLS_KEY_FILE");
    return http_tls_new(s->tls_certificate_file, s->tls_key_file, ret, err);
}

static void say_keys(const struct key_ring *ring)
{
    struct buf names cleanup(buf_done) = BUF_INIT;
    key_ring_names(ring, &names);
    log_line(LOG_INFO, "gateway", 0, "key ring: " STR_FMT "; the first one seals, all open",
             STR_ARG(buf_str(&names)));
}

static int load_keys(struct gateway *g, struct error *err)
{
    struct key_ring *ring;
    int rc = key_ring_load(g->settings->key_ring_file, &ring, err);
    if (rc)
        return rc;
    say_keys(ring);
    g->keys = key_ring_box_new(ring);
    return 0;
}

// As many connections as there are descriptors for, and some left for Redis, Kafka, the internal listener and
// files: a flood of clients takes none of those away.
static size_t connections_of(const struct gateway_settings *s)
{
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    size_t servers = (size_t)s->http_threads * (http_address(s) && s->https_listen ? 2 : 1);
    size_t all = files.rlim_cur > 2 * DESCRIPTORS_KEPT ? (size_t)files.rlim_cur - DESCRIPTORS_KEPT
                                                       : (size_t)files.rlim_cur / 2;
    size_t most = all / servers ? all / servers : 1;
    if (most >= (size_t)s->http_connections)
        return (size_t)s->http_connections;
    log_line(LOG_WARNING, "gateway", 0,
             "only %zu connections of one thread at each listener: the process may have %zu descriptors",
             most, (size_t)files.rlim_cur);
    return most;
}

static int start(struct gateway *g, struct error *err)
{
    const struct gateway_settings *s = g->settings;
    if (strlen(s->token_secret) < 32)
        return error_set(err, -1, "ROLLCALL_TOKEN_SECRET takes 32 bytes or more");
    if (strlen(s->snapshot_token) < 16)
        return error_set(err, -1, "ROLLCALL_SNAPSHOT_TOKEN takes 16 bytes or more");
    struct principals *first;
    struct http_tls *tls = NULL;
    int rc = load_tls(g, &tls, err);
    if (!rc)
        rc = load_keys(g, err);
    if (!rc)
        rc = principals_load(s->principals_file, &first, err);
    if (rc) {
        http_tls_free(tls);
        return rc;
    }
    const struct throttle_params limits = {.requests_per_s = (uint32_t)s->requests_per_s,
                                           .failed_logins_per_min = (uint32_t)s->failed_logins_per_min};
    g->shared = (struct loop_shared){.settings = s,
                                     .keys = g->keys,
                                     .principals = principals_box_new(first),
                                     .passwords = password_worker_start(),
                                     .metrics = gateway_metrics_new(),
                                     .gate = &g->gate,
                                     .throttle = throttle_new(&limits),
                                     .accounts = company_new(),
                                     .addresses = company_new(),
                                     .tls = tls,
                                     .http_buffered = &g->http_buffered,
                                     .http_unsent = &g->http_unsent,
                                     .http_connections = connections_of(s)};
    rc = start_bus(g, err);
    return rc ? rc : start_loops(g, err);
}

static void stop(struct gateway *g)
{
    for (size_t i = 0; i < g->loop_count; i++)
        loop_drain(g->loops[i]);
    for (size_t i = 0; i < g->loop_count; i++)
        loop_join(g->loops[i]);
    free(g->loops);
    if (g->shared.bus)
        bus_stop(g->shared.bus, (uint32_t)g->settings->drain_s * 1000u);
    if (g->shared.passwords)
        password_worker_stop(g->shared.passwords);
    if (g->shared.principals)
        principals_box_free(g->shared.principals);
    throttle_free(g->shared.throttle);
    company_free(g->shared.accounts);
    company_free(g->shared.addresses);
    http_tls_free(g->shared.tls);
    metrics_free(g->shared.metrics);
    key_ring_box_free(g->keys);
}

// Connections that exist keep the pair that they began with.
static void reload_tls(struct gateway *g)
{
    struct error err = {0};
    if (!g->shared.tls)
        return;
    if (http_tls_reload(g->shared.tls, &err))
        log_line(LOG_ERROR, "gateway", 0, "TLS pair not read again: %s", err.text);
    else
        log_line(LOG_INFO, "gateway", 0, "TLS pair read again from %s", g->settings->tls_certificate_file);
}

// A bad file is refused whole and the present principals stay.
static void reload_principals(struct gateway *g)
{
    struct principals *next;
    struct error err = {0};
    if (principals_load(g->settings->principals_file, &next, &err)) {
        log_line(LOG_ERROR, "gateway", 0, "principals not read again: %s", err.text);
        return;
    }
    principals_box_swap(g->shared.principals, next);
    log_line(LOG_INFO, "gateway", 0, "principals read again from %s", g->settings->principals_file);
}

// What is sealed already is sealed anew by a job (jobs/reseal.h) where another key seals from now on.
static void reload_keys(struct gateway *g)
{
    struct key_ring *present cleanup(key_ring_drop) = key_ring_box_get(g->keys), *next;
    struct error err = {0};
    if (key_ring_load_again(g->settings->key_ring_file, present, &next, &err)) {
        log_line(LOG_ERROR, "gateway", 0, "key ring not read again: %s", err.text);
        return;
    }
    say_keys(next);
    key_ring_box_swap(g->keys, next);
}

static void wait_for_the_end(struct gateway *g, const sigset_t *signals)
{
    for (;;) {
        int signal_number = 0;
        if (sigwait(signals, &signal_number) != 0)
            continue;
        if (signal_number != SIGHUP) {
            log_line(LOG_INFO, "gateway", 0, "stopping on signal %d", signal_number);
            return;
        }
        reload_principals(g);
        reload_tls(g);
        reload_keys(g);
    }
}

int gateway_run(const struct gateway_settings *settings)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)evthread_use_pthreads();

    struct gateway g = {.settings = settings};
    struct error err = {0};
    int rc = start(&g, &err);
    if (rc) {
        log_line(LOG_ERROR, "gateway", 0, "cannot start: %s", err.text);
    } else {
        const char *plain = http_address(settings), *tls = settings->https_listen;
        log_line(LOG_INFO, "gateway", 0, "serving on %s%s%s%s, snapshots on port %u", plain ? plain : "",
                 plain && tls ? " and " : "", tls ? "https://" : "", tls ? tls : "",
                 bus_snapshot_port(g.shared.bus));
        wait_for_the_end(&g, &signals);
    }
    stop(&g);
    return rc ? 1 : 0;
}
