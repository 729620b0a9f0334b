// See loop.h. Everything of a loop is built and freed on its own thread; other threads only wake it to drain.
#include "services/gateway/loop.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/base_end.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/jobs/jobs.h"
#include "services/gateway/jobs/reindex.h"
#include "services/gateway/jobs/reseal.h"
#include "services/gateway/kazoo/kazoo.h"
#include "services/gateway/ribbon/ribbon.h"
#include "services/gateway/router.h"
#include "services/gateway/voximplant/voximplant.h"
#include "services/gateway/yeti/yeti.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define JOB_KINDS_MAX    8
#define JOBS_INTERVAL_MS 200
#define REINDEX_RETRY_MS 1000
#define RESEAL_LOOK_MS   1000
#define RESEAL_IDLE_MS   15000
#define DRAIN_LOOK_MS    10 // between two looks whether the last request is answered
#define CROWD_AT_ONCE    4
#define LATE_MS          100 // who asks too much hears ten refusals a second over each connection

struct loop {
    const struct loop_shared *shared;
    pthread_t thread;
    int wake_fd;
    struct event_base *base;
    struct event *wake;
    struct event *drain_check;
    uint64_t drain_until_us;
    struct store *store;
    struct password_client *passwords;
    struct fair *fair;
    struct dialect_shared dialect;
    struct job_kind job_kinds[JOB_KINDS_MAX]; // of the dialects
    size_t job_kind_count;
    struct reindex *reindex;
    struct reseal_job *reseal_job;
    struct reseal *reseal; // NULL: another loop leads
    struct router router;
    struct http_server *servers[2]; // without and with TLS; NULL: not served
};

static void written(void *arg, struct store_change *take_change)
{
    struct loop *l = arg;
    bus_post(l->shared->bus, take_change);
}

static void events(void *arg, unsigned shard)
{
    struct loop *l = arg;
    bus_events(l->shared->bus, shard);
}

static void damaged(void *arg)
{
    const struct loop *l = arg;
    metrics_add(l->shared->metrics, GATEWAY_DAMAGED, 0, 1);
}

static int open_store(struct loop *l, struct error *err)
{
    const struct gateway_settings *s = l->shared->settings;
    const struct store_params params = {
        .base = l->base,
        .redis_url = s->redis_url,
        .redis_password = s->redis_password,
        .redis_options = gateway_settings_redis(s),
        .wait_replicas = (uint32_t)s->redis_wait,
        .wait_timeout_ms = (uint32_t)s->redis_wait_timeout_ms,
        .keys = l->shared->keys,
        .gate = l->shared->gate,
        .fair = l->fair,
        .source = s->node,
        .arg = l,
        .on_written = written,
        .on_events = events,
        .on_damaged = damaged,
    };
    return store_new(&params, &l->store, err);
}

static void add_dialect(struct loop *l, struct dialect d)
{
    l->router.dialects[l->router.dialect_count++] = d;
}

static void add_job_kind(struct loop *l, struct job_kind kind)
{
    l->job_kinds[l->job_kind_count++] = kind;
}

static void open_yeti(struct loop *l)
{
    const struct gateway_settings *s = l->shared->settings;
    const struct yeti_params yeti = {
        .shared = &l->dialect,
        .base = l->base,
        .token_lifetime_s = s->token_lifetime_s,
        .clear_passwords = s->yeti_passwords == 1,
        .strict = s->yeti_strict,
        .operations_bytes = (size_t)s->yeti_operations_bytes,
        .import_patience_us = (uint64_t)s->yeti_import_patience_s * 1000000,
    };
    add_dialect(l, (struct dialect){.prefix = YETI_PREFIX,
                                    .object = yeti_new(&yeti),
                                    .handle = yeti_handle,
                                    .free = yeti_free,
                                    .takes_upload = yeti_takes_upload});
}

static void open_kazoo(struct loop *l)
{
    static const char *const prefixes[] = {KAZOO_PREFIX, KAZOO_PREFIX_V1};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        add_dialect(l, (struct dialect){.prefix = prefixes[i],
                                        .object = kazoo_new(&l->dialect),
                                        .handle = kazoo_handle,
                                        .free = kazoo_free,
                                        .takes_upload = kazoo_takes_upload});
    add_job_kind(l, kazoo_flush_kind(&l->dialect));
}

static void open_ribbon(struct loop *l)
{
    const struct gateway_settings *s = l->shared->settings;
    const struct ribbon_params params = {
        .shared = &l->dialect,
        .keys = l->shared->keys,
        .layout = s->ribbon_xml == 1 ? XML_CLEAN : XML_LEGACY,
        .csrf = s->ribbon_csrf,
        .status_200 = s->ribbon_status_200,
        .session_idle_ms = s->ribbon_session_idle_s * 1000,
        .delete_absent = s->ribbon_delete_absent == 1 ? 404 : 500,
        .limits = {.aor_ttl = s->ribbon_aor_ttl,
                   .ttl = s->ribbon_ttl,
                   .table_ids = s->ribbon_table_ids,
                   .entry_ids = s->ribbon_entry_ids,
                   .tables = s->ribbon_tables,
                   .entries = s->ribbon_entries},
    };
    struct ribbon *ribbon = ribbon_new(&params);
    add_dialect(l,
                (struct dialect){
                    .prefix = RIBBON_PREFIX, .object = ribbon, .handle = ribbon_handle, .free = ribbon_free});
    add_job_kind(l, ribbon_job_kind(ribbon));
}

// Accounts that come into the file later have no registrations from before.
static void open_reindex(struct loop *l)
{
    struct principals *p = principals_box_get(l->shared->principals);
    size_t count = principals_account_count(p);
    const char **accounts = mem_array(count + 1, sizeof *accounts);
    for (size_t i = 0; i < count; i++)
        accounts[i] = principals_account_at(p, i)->name;
    const struct reindex_params params = {.base = l->base,
                                          .store = l->store,
                                          .jobs = l->dialect.jobs,
                                          .accounts = accounts,
                                          .count = count,
                                          .retry_ms = REINDEX_RETRY_MS};
    l->reindex = reindex_new(&params);
    free(accounts);
    principals_unref(p);
}

static char **present_accounts(void *arg, size_t *ret_count)
{
    struct loop *l = arg;
    struct principals *p = principals_box_get(l->shared->principals);
    size_t count = principals_account_count(p);
    char **names = mem_array(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = mem_dup_cstr(principals_account_at(p, i)->name);
    principals_unref(p);
    *ret_count = count;
    return names;
}

static void open_reseal(struct loop *l)
{
    const struct reseal_params params = {.base = l->base,
                                         .store = l->store,
                                         .jobs = l->dialect.jobs,
                                         .keys = l->shared->keys,
                                         .arg = l,
                                         .accounts = present_accounts,
                                         .metrics = l->shared->metrics,
                                         .left_metric = GATEWAY_TO_SEAL_ANEW,
                                         .interval_ms = RESEAL_LOOK_MS,
                                         .idle_ms = RESEAL_IDLE_MS};
    l->reseal = reseal_new(&params);
}

static void add_reseal_kind(struct loop *l)
{
    const struct reseal_job_params params = {.store = l->store,
                                             .keys = l->shared->keys,
                                             .part = ribbon_reseal_part(l->store),
                                             .metrics = l->shared->metrics,
                                             .sealed_metric = GATEWAY_SEALED_ANEW};
    l->reseal_job = reseal_job_new(&params);
    add_job_kind(l, reseal_kind(l->reseal_job));
}

// Every loop works off jobs, whoever accepted them.
static void open_jobs(struct loop *l, bool leads)
{
    add_job_kind(l, reindex_kind(l->store));
    add_reseal_kind(l);
    const struct jobs_params params = {
        .base = l->base,
        .store = l->store,
        .node = l->shared->settings->node,
        .kinds = l->job_kinds,
        .kind_count = l->job_kind_count,
        .interval_ms = JOBS_INTERVAL_MS,
    };
    l->dialect.jobs = jobs_new(&params);
    open_reindex(l);
    if (leads)
        open_reseal(l);
}

static void on_wait(void *arg, enum fair_lane lane, int change)
{
    const struct loop *l = arg;
    struct metrics *m = l->shared->metrics;
    if (lane == FAIR_SLICES || lane == FAIR_LINES)
        return; // of requests that were begun
    if (!change)
        metrics_add(m, GATEWAY_HTTP_LIMITED, (size_t)GATEWAY_LIMITED_REQUESTS + lane, 1);
    else
        metrics_add(m, GATEWAY_HTTP_WAITING, lane, (uint64_t)change);
    if (change > 0)
        metrics_add(m, GATEWAY_HTTP_WAITED, lane, 1);
}

// Shares are small: what an account has under way is what the next one's request waits behind, here and in
// Redis. Rests are longer the more loops there are, which share Redis: however many, on the average an
// account of which something waits has less than two reads or one write under way while others ask.
static void open_fair(struct loop *l)
{
    struct company *accounts = l->shared->accounts;
    unsigned rest = 50 * (unsigned)l->shared->settings->http_threads;
    const struct fair_params params = {
        .base = l->base,
        .limits = {[FAIR_REQUESTS] = {.share = 2,
                                      .alone = 64,
                                      .all = 128,
                                      .queue = 1024,
                                      .rest_percent = rest,
                                      .company = accounts},
                   [FAIR_LOGINS] =
                       {.share = 4, .alone = 8, .all = 16, .queue = 256, .company = l->shared->addresses},
                   [FAIR_BULK] = {.share = 4, .alone = 8, .all = 64, .queue = 64, .company = accounts},
                   [FAIR_LINES] = {.share = 4,
                                   .alone = 512,
                                   .all = 1024,
                                   .queue = UINT_MAX,
                                   .rest_percent = rest,
                                   .company = accounts},
                   [FAIR_SLICES] = {.share = 1,
                                    .alone = 8,
                                    .all = 8,
                                    .queue = UINT_MAX,
                                    .rest_percent = rest,
                                    .company = accounts}},
        .now_us = clock_monotonic_us,
        .arg = l,
        .on_wait = on_wait,
    };
    l->fair = fair_new(&params);
}

static void open_dialects(struct loop *l, bool leads)
{
    const struct gateway_settings *s = l->shared->settings;
    l->passwords = password_client_new(l->shared->passwords, l->base);
    l->dialect = (struct dialect_shared){
        .store = l->store,
        .principals = l->shared->principals,
        .passwords = l->passwords,
        .throttle = l->shared->throttle,
        .fair = l->fair,
        .token_secret = str_of(s->token_secret),
        .node = str_of(s->node),
        .contact = str_of(s->contact),
        .trust_forwarded = s->trust_forwarded,
    };
    l->router =
        (struct router){.bus = l->shared->bus, .metrics = l->shared->metrics, .gate = l->shared->gate};
    open_yeti(l);
    add_dialect(l, (struct dialect){.prefix = VOXIMPLANT_PREFIX,
                                    .object = voximplant_new(&l->dialect),
                                    .handle = voximplant_handle,
                                    .free = voximplant_free});
    open_kazoo(l);
    open_ribbon(l);
    open_jobs(l, leads);
}

static struct http_server *open_server(struct loop *l, int listen_fd, struct http_tls *tls)
{
    if (listen_fd < 0)
        return NULL;
    const struct gateway_settings *s = l->shared->settings;
    const struct http_server_params params = {
        .base = l->base,
        .listen_fd = listen_fd,
        .limits = {.header_bytes = (size_t)s->http_header_bytes,
                   .body_bytes = (size_t)s->http_body_bytes,
                   .header_timeout_ms = (uint32_t)s->http_header_timeout_ms,
                   .body_timeout_ms = (uint32_t)s->http_body_timeout_ms,
                   .idle_timeout_ms = (uint32_t)s->http_idle_timeout_ms,
                   .late_ms = LATE_MS,
                   .connections = l->shared->http_connections,
                   .buffered_bytes = (size_t)s->http_buffered_bytes},
        .arg = &l->router,
        .on_request = router_handle,
        .takes_upload = router_takes_upload,
        .tls = tls,
        .buffered = l->shared->http_buffered,
        .unsent = l->shared->http_unsent,
        .on_limit = router_limited,
        .crowd_at_once = CROWD_AT_ONCE,
    };
    return http_server_new(&params);
}

static size_t active_count(const struct loop *l)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(l->servers); i++)
        count += l->servers[i] ? http_server_active_count(l->servers[i]) : 0;
    return count;
}

// Ends the loop once nothing is in flight, or when the time for it is over.
static void check_drained(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    size_t active = active_count(l);
    bool late = clock_monotonic_us() >= l->drain_until_us;
    if (active && !late) {
        timer_in_ms(l->drain_check, DRAIN_LOOK_MS);
        return;
    }
    if (active)
        log_line(LOG_WARNING, "gateway", 0, "%zu requests were still in flight after ROLLCALL_DRAIN", active);
    (void)event_base_loopbreak(l->base);
}

static void begin_drain(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    l->drain_until_us = clock_monotonic_us() + (uint64_t)l->shared->settings->drain_s * 1000000u;
    for (size_t i = 0; i < ARRAY_LEN(l->servers); i++)
        if (l->servers[i])
            http_server_stop(l->servers[i]);
    check_drained(-1, 0, l);
}

static void close_all(struct loop *l)
{
    fair_close(l->fair);
    store_free(l->store); // answers what still waits for Redis, through the dialects and the server below
    password_client_free(l->passwords);
    for (size_t i = 0; i < ARRAY_LEN(l->servers); i++)
        http_server_free(l->servers[i]);
    for (size_t i = 0; i < l->router.dialect_count; i++)
        l->router.dialects[i].free(l->router.dialects[i].object);
    fair_free(l->fair);
    reindex_free(l->reindex);
    reseal_free(l->reseal);
    reseal_job_free(l->reseal_job);
    jobs_free(l->dialect.jobs);
    event_free(l->drain_check);
    event_free(l->wake);
    base_end(l->base);
}

static void *run(void *arg)
{
    struct loop *l = arg;
    (void)event_base_dispatch(l->base);
    close_all(l);
    return NULL;
}

// One epoll_ctl for what a turn changed of a descriptor saves a quarter of a request's CPU.
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int loop_start(const struct loop_shared *shared, const struct loop_sockets *take_sockets, struct loop **ret,
               struct error *err)
{
    struct loop *l = mem_alloc(sizeof(*l));
    l->shared = shared;
    l->base = new_base();
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!l->base || l->wake_fd < 0) {
        free(l);
        return error_set(err, -ENOMEM, "cannot make an event loop");
    }
    l->wake = event_new(l->base, l->wake_fd, EV_READ, begin_drain, l);
    l->drain_check = event_new(l->base, -1, 0, check_drained, l);
    (void)event_add(l->wake, NULL);
    open_fair(l);
    int rc = open_store(l, err);
    if (rc) {
        fair_free(l->fair);
        event_free(l->drain_check);
        event_free(l->wake);
        base_end(l->base);
        (void)close(l->wake_fd);
        free(l);
        return rc;
    }
    open_dialects(l, take_sockets->leads);
    l->servers[0] = open_server(l, take_sockets->http_fd, NULL);
    l->servers[1] = open_server(l, take_sockets->https_fd, shared->tls);
    if (pthread_create(&l->thread, NULL, run, l) != 0) {
        close_all(l);
        (void)close(l->wake_fd);
        free(l);
        return error_set(err, -EAGAIN, "cannot start a thread");
    }
    *ret = l;
    return 0;
}

void loop_drain(struct loop *l)
{
    uint64_t one = 1;
    (void)!write(l->wake_fd, &one, sizeof(one));
}

void loop_join(struct loop *l)
{
    (void)pthread_join(l->thread, NULL);
    (void)close(l->wake_fd); // not by its own thread, which may end while loop_drain still writes to it
    free(l);
}
