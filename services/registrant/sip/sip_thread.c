// See sip_thread.h. Drives one engine with one agent: commands, answers and time in, requests and notices
// out. Refuses to know what any of it means.
#include "services/registrant/sip/sip_thread.h"

#include "services/registrant/sip/agent.h"
#include "services/registrant/sip/outbox.h"

#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_A_TURN 256
#define DEFAULT_QUEUE   4096
#define MAX_WAIT_MS     1000   // a turn at least this often, so that standing still shows
#define RETRY_US        10000u // how soon a full outbox is tried again
#define STOP_GRACE_S    5      // over close_wait_s

struct sip_thread {
    pthread_t thread;
    struct sip_thread_params params;
    char *listen, *resolv_conf, *hosts_file, *node, *user_agent;
    struct mailbox *inbox;
    struct outbox *outbox;
    int timer_fd;
    _Atomic bool quit; // join without SIP_STOP

    // Only while starting: the thread's answer to sip_thread_start.
    sem_t started;
    int start_rc;
    struct error *start_error;
    char *listens_on;

    // The SIP thread's own.
    struct agent *agent;
    struct engine *engine;
    bool touched;      // the engine was called since its last tick
    uint64_t armed_us; // what timer_fd is set to; 0: nothing
    uint64_t alive_us; // when the loop last moved (CLOCK_BOOTTIME)
    bool stalled;
    uint64_t stalled_us;
    uint32_t *shards; // those that the engine holds
    size_t shard_count;
    uint64_t stop_by_us; // 0: not stopping
    bool stopped;

    pthread_mutex_t stats_lock;
    struct engine_stats stats;
    size_t engine_bytes;
};

// ---- clocks

// Goes on while the machine is suspended, which for a lease is standing still like any other.
static uint64_t alive_clock_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static struct moment now(void)
{
    return (struct moment){.us = clock_monotonic_us(), .wall_ms = clock_wall_ms()};
}

static void watch_for_stall(struct sip_thread *t, struct moment m)
{
    uint64_t alive = alive_clock_us();
    if (t->params.stall_ms && alive - t->alive_us > (uint64_t)t->params.stall_ms * 1000) {
        t->stalled = true;
        t->stalled_us = alive;
        engine_lease(t->engine, LEASE_STALLED, m);
    }
    t->alive_us = alive;
}

// Before every call of the engine: what it is told first after standing still must not make it send.
static struct moment enter(struct sip_thread *t)
{
    struct moment m = now();
    watch_for_stall(t, m);
    t->touched = true;
    return m;
}

// ---- what the engine asks for

static int op_send(void *arg, const struct sip_request *request, uint64_t token)
{
    struct sip_thread *t = arg;
    return agent_send(t->agent, request, token);
}

static struct sip_notice *notice_new(enum sip_notice_kind kind, uint32_t shard)
{
    struct sip_notice *n = mem_alloc(sizeof(*n));
    n->kind = kind;
    n->shard = shard;
    return n;
}

static void op_report(void *arg, uint32_t shard, const struct status *status)
{
    struct sip_thread *t = arg;
    struct buf value = BUF_INIT;
    status_write(&value, status);
    struct sip_notice *n = notice_new(SIP_REPORT, shard);
    n->id = status->id;
    n->account = mem_dup_cstr(status->account);
    n->value_bytes = value.n;
    n->value = buf_steal(&value);
    outbox_put(t->outbox, n);
}

static void op_closed(void *arg, uint32_t shard)
{
    struct sip_thread *t = arg;
    for (size_t i = 0; i < t->shard_count; i++)
        if (t->shards[i] == shard)
            t->shards[i--] = t->shards[--t->shard_count];
    outbox_put(t->outbox, notice_new(SIP_CLOSED, shard));
}

static struct str op_local_hostport(void *arg, enum registration_transport transport, struct str interface)
{
    const struct sip_thread *t = arg;
    return agent_hostport(t->agent, transport, interface);
}

static const struct engine_ops ops = {
    .send = op_send, .report = op_report, .closed = op_closed, .local_hostport = op_local_hostport};

static void on_answered(void *arg, uint64_t token, const struct sip_answer *answer)
{
    struct sip_thread *t = arg;
    engine_answer(t->engine, token, answer, enter(t));
}

// ---- commands

static void note_shard(struct sip_thread *t, uint32_t shard)
{
    for (size_t i = 0; i < t->shard_count; i++)
        if (t->shards[i] == shard)
            return;
    t->shards = mem_resize(t->shards, t->shard_count + 1, sizeof(t->shards[0]));
    t->shards[t->shard_count++] = shard;
}

static void desire(struct sip_thread *t, const struct sip_command *c, struct moment m)
{
    struct desired d = {.op = c->op,
                        .reg = c->has_reg ? &c->reg : NULL,
                        .id = c->has_reg ? c->reg.id : c->id,
                        .revision = c->revision,
                        .last = c->has_last ? &c->last : NULL,
                        .twin = c->twin,
                        .snapshot = c->snapshot};
    engine_desired(t->engine, c->shard, &d, m);
}

static void lease(struct sip_thread *t, const struct sip_command *c, struct moment m)
{
    if (t->stalled && c->posted_us <= t->stalled_us)
        return;
    t->stalled = false;
    engine_lease(t->engine, c->lease, m);
}

static void stop(struct sip_thread *t, struct moment m)
{
    if (t->stop_by_us)
        return;
    t->stop_by_us = m.us + (uint64_t)(t->params.policy.close_wait_s + STOP_GRACE_S) * 1000000;
    engine_stop(t->engine, m);
}

static void obey(struct sip_thread *t, const struct sip_command *c)
{
    struct moment m = enter(t);
    switch (c->kind) {
    case SIP_SHARD_LOAD:
        note_shard(t, c->shard);
        engine_shard_load(t->engine, c->shard, c->place);
        break;
    case SIP_SHARD_OPEN:
        engine_shard_open(t->engine, c->shard, c->epoch, c->share, m);
        break;
    case SIP_SHARD_CLOSE:
        engine_shard_close(t->engine, c->shard, m);
        break;
    case SIP_SHARD_PARK:
        engine_shard_park(t->engine, c->shard, m);
        break;
    case SIP_SHARD_UNPARK:
        engine_shard_unpark(t->engine, c->shard, c->epoch, c->share, m);
        break;
    case SIP_SHARD_DROP:
        engine_shard_drop(t->engine, c->shard, m);
        break;
    case SIP_DESIRED:
        desire(t, c, m);
        break;
    case SIP_LEASE:
        lease(t, c, m);
        break;
    case SIP_CREDIT:
        engine_credit(t->engine, outbox_credit(t->outbox, c->credit), m);
        break;
    case SIP_REPORT_FAILED:
        engine_report_failed(t->engine, c->id, m);
        break;
    case SIP_STOP:
        stop(t, m);
        break;
    }
}

// A batch a turn, so that SIP is not starved by a snapshot; the descriptor stays readable for the rest.
static void on_inbox(void *arg)
{
    struct sip_thread *t = arg;
    void *items[COMMANDS_A_TURN];
    size_t n = mailbox_pop(t->inbox, items, ARRAY_LEN(items));
    for (size_t i = 0; i < n; i++) {
        obey(t, items[i]);
        sip_command_free(items[i]);
    }
}

// ---- time

static void on_timer(void *arg)
{
    struct sip_thread *t = arg;
    uint64_t expirations;
    (void)!read(t->timer_fd, &expirations, sizeof(expirations));
    t->armed_us = 0;
    (void)enter(t);
}

// The descriptor is set only when something is due earlier than it is set to: an early wake-up costs less
// than a system call a turn.
static void wake_at(struct sip_thread *t, uint64_t at_us)
{
    if (at_us == UINT64_MAX || (t->armed_us && t->armed_us <= at_us))
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000}};
    (void)timerfd_settime(t->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    t->armed_us = at_us;
}

static void copy_stats(struct sip_thread *t)
{
    struct engine_stats stats = engine_stats(t->engine);
    size_t bytes = engine_bytes(t->engine);
    (void)pthread_mutex_lock(&t->stats_lock);
    t->stats = stats;
    t->engine_bytes = bytes;
    (void)pthread_mutex_unlock(&t->stats_lock);
}

static void check_stopped(struct sip_thread *t, uint64_t now_us)
{
    if (t->stopped || !t->stop_by_us || (t->shard_count && now_us < t->stop_by_us))
        return;
    t->stopped = true;
    outbox_put(t->outbox, notice_new(SIP_STOPPED, 0));
}

static void end_turn(struct sip_thread *t)
{
    bool blocked = outbox_is_blocked(t->outbox);
    if (blocked) {
        uint32_t credit = outbox_credit(t->outbox, 0);
        if (credit)
            engine_credit(t->engine, credit, enter(t));
    }
    struct moment m = now();
    watch_for_stall(t, m);
    if (t->touched) {
        // At least a millisecond on: an engine that always has more to do must let the sockets have a turn.
        uint64_t next_us = engine_tick(t->engine, m);
        t->touched = false;
        wake_at(t, next_us > m.us + 1000 ? next_us : m.us + 1000);
        copy_stats(t);
    }
    check_stopped(t, m.us);
    if (blocked)
        wake_at(t, m.us + RETRY_US);
    if (t->stop_by_us && !t->stopped)
        wake_at(t, t->stop_by_us);
}

static bool is_done(struct sip_thread *t)
{
    return atomic_load_explicit(&t->quit, memory_order_relaxed) ||
           (t->stopped && !outbox_is_blocked(t->outbox));
}

// ---- life

static int open_agent(struct sip_thread *t, struct error *err)
{
    struct agent_params p = {.listen = t->listen,
                             .resolv_conf = t->resolv_conf,
                             .hosts_file = t->hosts_file,
                             .user_agent = t->user_agent,
                             .transaction_timeout_s = t->params.policy.transaction_timeout_s,
                             .answered = on_answered,
                             .arg = t};
    int rc = agent_new(&p, &t->agent, err);
    if (rc)
        return rc;
    struct str at = agent_hostport(t->agent, TRANSPORT_UDP, STR_NONE);
    t->listens_on = str_dup(at);
    if (agent_watch(t->agent, mailbox_fd(t->inbox), on_inbox, t) != 0 ||
        agent_watch(t->agent, t->timer_fd, on_timer, t) != 0)
        return error_set(err, -ENOMEM, "the SIP stack takes no descriptors");
    return 0;
}

static void open_engine(struct sip_thread *t)
{
    struct engine_params p = {.ops = &ops, .ops_arg = t, .policy = t->params.policy, .ring = t->params.ring};
    random_bytes(&p.seed, sizeof(p.seed));
    t->engine = engine_new(&p, now());
    t->alive_us = alive_clock_us();
    copy_stats(t);
}

static void loop(struct sip_thread *t)
{
    uint32_t wait_ms = MAX_WAIT_MS;
    if (t->params.stall_ms && t->params.stall_ms / 4 < wait_ms)
        wait_ms = t->params.stall_ms / 4 + 1;
    while (!is_done(t)) {
        agent_step(t->agent, wait_ms);
        end_turn(t);
    }
}

static void *run(void *arg)
{
    struct sip_thread *t = arg;
    int rc = open_agent(t, t->start_error);
    if (rc == 0)
        open_engine(t);
    t->start_rc = rc;
    (void)sem_post(&t->started); // from here on start_error is gone
    if (rc == 0) {
        loop(t);
        engine_free(t->engine);
    }
    agent_free(t->agent);
    return NULL;
}

static void thread_free(struct sip_thread *t)
{
    mailbox_free(t->inbox);
    outbox_free(t->outbox);
    if (t->timer_fd >= 0)
        (void)close(t->timer_fd);
    (void)sem_destroy(&t->started);
    (void)pthread_mutex_destroy(&t->stats_lock);
    char *texts[] = {t->listen, t->resolv_conf, t->hosts_file, t->node, t->user_agent, t->listens_on};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    free(t->shards);
    free(t);
}

// Each thread needs a port of its own: a fixed one is the first thread's.
static int own_listen(struct sip_thread *t, struct error *err)
{
    const char *given = t->params.listen;
    struct sip_uri at;
    if (!given || sip_hostport_parse(str_of(given), &at, err) != 0)
        return error_prefix(err, "listen address \"%s\"", given ? given : "");
    unsigned port = at.port ? at.port + t->params.index : 0;
    if (port > UINT16_MAX)
        return error_set(err, -ERANGE, "listen address \"%s\": no port for thread %u", given,
                         t->params.index);
    struct buf b = BUF_INIT;
    buf_addf(&b, at.ipv6 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(at.host));
    if (port)
        buf_addf(&b, ":%u", port);
    t->listen = buf_steal(&b);
    return 0;
}

static struct sip_thread *thread_new(const struct sip_thread_params *p)
{
    struct sip_thread *t = mem_alloc(sizeof(*t));
    size_t queue = p->max_queue ? p->max_queue : DEFAULT_QUEUE;
    t->params = *p;
    t->resolv_conf = mem_dup_cstr(p->resolv_conf);
    t->hosts_file = mem_dup_cstr(p->hosts_file);
    t->params.policy.node = t->node = mem_dup_cstr(p->policy.node);
    t->params.policy.user_agent = t->user_agent = mem_dup_cstr(p->policy.user_agent);
    t->inbox = mailbox_new(queue);
    t->outbox = outbox_new(queue);
    t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->timer_fd < 0 || sem_init(&t->started, 0, 0) != 0 || pthread_mutex_init(&t->stats_lock, NULL) != 0)
        abort();
    return t;
}

// Signals are the main thread's.
static int create_thread(struct sip_thread *t, struct error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, run, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return error_set(err, -rc, "cannot start a SIP thread: %s", strerror(rc));
    while (sem_wait(&t->started) != 0 && errno == EINTR)
        ;
    if (t->start_rc)
        (void)pthread_join(t->thread, NULL);
    return t->start_rc;
}

int sip_thread_start(const struct sip_thread_params *p, struct sip_thread **ret, struct error *err)
{
    struct sip_thread *t = thread_new(p);
    t->start_error = err;
    int rc = own_listen(t, err);
    if (rc == 0)
        rc = create_thread(t, err);
    if (rc) {
        thread_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void sip_thread_join(struct sip_thread *t)
{
    if (!t)
        return;
    atomic_store_explicit(&t->quit, true, memory_order_relaxed);
    (void)pthread_join(t->thread, NULL);
    void *item;
    while (mailbox_pop(t->inbox, &item, 1))
        sip_command_free(item);
    thread_free(t);
}

// ---- main thread's side

int sip_thread_post(struct sip_thread *t, struct sip_command *take)
{
    take->posted_us = alive_clock_us();
    return mailbox_push(t->inbox, take);
}

int sip_thread_fd(const struct sip_thread *t)
{
    return outbox_fd(t->outbox);
}

size_t sip_thread_notices(struct sip_thread *t, struct sip_notice **ret, size_t max)
{
    return outbox_take(t->outbox, ret, max);
}

struct engine_stats sip_thread_stats(const struct sip_thread *t)
{
    struct sip_thread *unlocked = (struct sip_thread *)(uintptr_t)t; // the lock is no part of its value
    (void)pthread_mutex_lock(&unlocked->stats_lock);
    struct engine_stats stats = t->stats;
    (void)pthread_mutex_unlock(&unlocked->stats_lock);
    return stats;
}

size_t sip_thread_engine_bytes(const struct sip_thread *t)
{
    struct sip_thread *unlocked = (struct sip_thread *)(uintptr_t)t;
    (void)pthread_mutex_lock(&unlocked->stats_lock);
    size_t bytes = t->engine_bytes;
    (void)pthread_mutex_unlock(&unlocked->stats_lock);
    return bytes;
}

const char *sip_thread_listens_on(const struct sip_thread *t)
{
    return t->listens_on;
}
