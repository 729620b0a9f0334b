// See driver.h. Refuses to know what any of it means.
#include "services/registrant/sip/driver.h"

#include "services/registrant/sip/agent.h"
#include "services/registrant/sip/rules_file.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/log/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_A_TURN 256
#define MAX_WAIT_MS     1000   // a turn at least this often, so that standing still shows
#define RETRY_US        10000u // how soon a full outbox is tried again
#define STOP_GRACE_S    5      // over close_wait_s

struct driver {
    struct sip_thread_params params;
    struct mailbox *inbox;
    struct outbox *outbox;
    struct event_base *base;
    struct event *commands, *timer, *beat;
    struct agent *agent;
    struct engine *engine;
    struct rules *rules;
    struct key_ring *ring;
    int timer_fd;
    bool touched;      // the engine was called since its last tick
    uint64_t armed_us; // what timer_fd is set to; 0: nothing
    uint64_t alive_us; // when the loop last moved
    bool stalled;
    uint64_t stalled_us;     // monotonic
    uint64_t lease_until_us; // monotonic: when the last proof runs out; 0: it does not, or there is none
    uint32_t *shards;        // those that the engine holds
    size_t shard_count;
    uint64_t stop_by_us; // 0: not stopping
    bool stopped;
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

// Standing still first: what merely ran out would still let it send.
static void watch_the_clock(struct driver *d, struct moment m)
{
    uint64_t alive = alive_clock_us();
    if (d->params.stall_ms && alive - d->alive_us > (uint64_t)d->params.stall_ms * 1000) {
        d->stalled = true;
        d->stalled_us = m.us;
        engine_lease(d->engine, LEASE_STALLED, m);
        agent_hush(d->agent);
    }
    d->alive_us = alive;
    if (d->lease_until_us && m.us >= d->lease_until_us) { // main would have told of a newer proof
        d->lease_until_us = 0;
        if (!d->stalled)
            engine_lease(d->engine, LEASE_EXPIRED, m);
    }
}

// Before every call of the engine: what it is told first after standing still must not make it send.
static struct moment enter(struct driver *d)
{
    struct moment m = now();
    watch_the_clock(d, m);
    d->touched = true;
    return m;
}

// ---- what the engine asks for

static int op_send(void *arg, const struct sip_request *request, uint64_t token)
{
    struct driver *d = arg;
    return agent_send(d->agent, request, token);
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
    struct driver *d = arg;
    struct buf value = BUF_INIT;
    status_write(&value, status);
    struct sip_notice *n = notice_new(SIP_REPORT, shard);
    n->id = status->id;
    n->account = mem_dup_cstr(status->account);
    n->value_bytes = value.n;
    n->value = buf_steal(&value);
    outbox_put(d->outbox, n);
}

static void op_closed(void *arg, uint32_t shard)
{
    struct driver *d = arg;
    size_t at = 0;
    while (at < d->shard_count && d->shards[at] != shard)
        at++;
    if (at < d->shard_count)
        d->shards[at] = d->shards[--d->shard_count];
    outbox_put(d->outbox, notice_new(SIP_CLOSED, shard));
}

static struct str op_local_hostport(void *arg, enum registration_transport transport, struct str interface,
                                    struct str host)
{
    const struct driver *d = arg;
    return agent_hostport(d->agent, transport, interface, host);
}

static uint32_t op_keep_alive(void *arg, uint64_t token, uint32_t flow_timer_s)
{
    struct driver *d = arg;
    return agent_keep_alive(d->agent, token, flow_timer_s);
}

static void op_forget(void *arg, uint64_t token)
{
    struct driver *d = arg;
    agent_forget(d->agent, token);
}

static const struct engine_ops ops = {.send = op_send,
                                      .forget = op_forget,
                                      .report = op_report,
                                      .closed = op_closed,
                                      .local_hostport = op_local_hostport,
                                      .keep_alive = op_keep_alive};

// ---- what the agent tells

static void on_answered(void *arg, uint64_t token, const struct sip_answer *answer)
{
    struct driver *d = arg;
    engine_answer(d->engine, token, answer, enter(d));
}

static void on_flow_lost(void *arg, uint32_t flow)
{
    struct driver *d = arg;
    engine_flow_lost(d->engine, flow, enter(d));
}

static void on_targets_changed(void *arg, struct str registrar, const struct str *targets, size_t count)
{
    struct driver *d = arg;
    engine_targets_changed(d->engine, registrar, targets, count, enter(d));
}

static bool may_send(void *arg)
{
    struct driver *d = arg;
    (void)enter(d);
    return !d->stalled;
}

static const struct agent_ops agent_ops = {.answered = on_answered,
                                           .flow_lost = on_flow_lost,
                                           .targets_changed = on_targets_changed,
                                           .may_send = may_send};

// ---- commands

static void note_shard(struct driver *d, uint32_t shard)
{
    for (size_t i = 0; i < d->shard_count; i++)
        if (d->shards[i] == shard)
            return;
    d->shards = mem_resize(d->shards, d->shard_count + 1, sizeof(d->shards[0]));
    d->shards[d->shard_count++] = shard;
}

static void desire(struct driver *d, const struct sip_command *c, struct moment m)
{
    struct desired wanted = {.op = c->op,
                             .reg = c->has_reg ? &c->reg : NULL,
                             .id = c->has_reg ? c->reg.id : c->id,
                             .revision = c->revision,
                             .last = c->has_last ? &c->last : NULL,
                             .twin = c->twin,
                             .snapshot = c->snapshot,
                             .replayed = c->replayed,
                             .stray = c->stray};
    engine_desired(d->engine, c->shard, &wanted, m);
}

static void lease(struct driver *d, const struct sip_command *c, struct moment m)
{
    if (d->stalled && (c->lease != LEASE_FRESH || c->proved_us <= d->stalled_us))
        return;
    d->stalled = false;
    d->lease_until_us = c->lease == LEASE_FRESH ? c->until_us : 0;
    bool over = d->lease_until_us && m.us >= d->lease_until_us; // it waited too long in the queue
    engine_lease(d->engine, over ? LEASE_EXPIRED : c->lease, m);
}

static void stop(struct driver *d, struct moment m)
{
    if (d->stop_by_us)
        return;
    d->stop_by_us = m.us + (uint64_t)(d->params.policy.close_wait_s + STOP_GRACE_S) * 1000000;
    engine_stop(d->engine, m);
}

static void keep_old(const struct driver *d, const struct error *err)
{
    log_line(LOG_ERROR, "sip", 0, "thread %u goes on with what it read before: %s", d->params.index,
             err->text);
}

static void reload(struct driver *d, struct moment m)
{
    struct error err = {0};
    struct rules *rules;
    bool whole = agent_reload(d->agent, &err) == 0;
    if (!whole)
        keep_old(d, &err);
    if (rules_file_read(d->params.rules_file, &rules, &err) == 0) {
        engine_rules(d->engine, rules, m);
        rules_free(d->rules);
        d->rules = rules;
    } else {
        whole = false;
        keep_old(d, &err);
    }
    if (whole)
        log_line(LOG_INFO, "sip", 0, "thread %u has read its files again", d->params.index);
}

static void go_over_to(struct driver *d, struct key_ring *ring, struct moment m)
{
    struct key_ring *old = d->ring;
    d->ring = key_ring_ref(ring);
    engine_keys(d->engine, d->ring, m);
    key_ring_free(old);
}

static void obey(struct driver *d, const struct sip_command *c)
{
    struct moment m = enter(d);
    switch (c->kind) {
    case SIP_SHARD_LOAD:
        note_shard(d, c->shard);
        engine_shard_load(d->engine, c->shard, c->place);
        break;
    case SIP_SHARD_OPEN:
        engine_shard_open(d->engine, c->shard, c->epoch, c->share, m);
        break;
    case SIP_SHARD_CLOSE:
        engine_shard_close(d->engine, c->shard, m);
        break;
    case SIP_SHARD_PARK:
        engine_shard_park(d->engine, c->shard, m);
        break;
    case SIP_SHARD_UNPARK:
        engine_shard_unpark(d->engine, c->shard, c->epoch, c->share, m);
        break;
    case SIP_SHARD_DROP:
        engine_shard_drop(d->engine, c->shard, m);
        break;
    case SIP_DESIRED:
        desire(d, c, m);
        break;
    case SIP_LEASE:
        lease(d, c, m);
        break;
    case SIP_CREDIT:
        engine_credit(d->engine, outbox_credit(d->outbox, c->credit), m);
        break;
    case SIP_REPORT_FAILED:
        engine_report_failed(d->engine, c->id, m);
        break;
    case SIP_RELOAD:
        reload(d, m);
        break;
    case SIP_KEYS:
        go_over_to(d, c->ring, m);
        break;
    case SIP_STOP:
        stop(d, m);
        break;
    }
}

// A batch a turn, so that SIP is not starved by a snapshot; the descriptor stays readable for the rest.
static void on_inbox(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct driver *d = arg;
    void *items[COMMANDS_A_TURN];
    size_t n = mailbox_pop(d->inbox, items, ARRAY_LEN(items));
    for (size_t i = 0; i < n; i++) {
        obey(d, items[i]);
        sip_command_free(items[i]);
    }
}

// ---- time

// Nothing to do but to have a turn, so that standing still shows.
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct driver *d = arg;
    uint64_t expirations;
    (void)!read(fd, &expirations, sizeof(expirations));
    d->armed_us = 0;
    (void)enter(d);
}

// The descriptor is set only when something is due earlier than it is set to: an early wake-up costs less
// than a system call a turn.
static void wake_at(struct driver *d, uint64_t at_us)
{
    if (at_us == UINT64_MAX || (d->armed_us && d->armed_us <= at_us))
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000}};
    (void)timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    d->armed_us = at_us;
}

static void check_stopped(struct driver *d, uint64_t now_us)
{
    if (d->stopped || !d->stop_by_us || (d->shard_count && now_us < d->stop_by_us))
        return;
    d->stopped = true;
    outbox_put(d->outbox, notice_new(SIP_STOPPED, 0));
}

// At least a millisecond on: an engine that always has more to do must let the sockets have a turn.
static void wake_after(struct driver *d, uint64_t next_us, uint64_t now_us)
{
    wake_at(d, next_us > now_us + 1000 ? next_us : now_us + 1000);
}

// True when the engine was called.
static bool end_turn(struct driver *d)
{
    bool blocked = outbox_is_blocked(d->outbox);
    uint32_t credit = blocked ? outbox_credit(d->outbox, 0) : 0;
    if (credit)
        engine_credit(d->engine, credit, enter(d));
    struct moment m = now();
    watch_the_clock(d, m);
    agent_tick(d->agent, m.us);
    bool touched = d->touched;
    if (touched) {
        wake_after(d, engine_tick(d->engine, m), m.us);
        d->touched = false;
    }
    uint64_t next_us = agent_flush(d->agent);
    if (next_us != UINT64_MAX)
        wake_after(d, next_us, m.us);
    check_stopped(d, m.us);
    if (blocked)
        wake_at(d, m.us + RETRY_US);
    if (d->stop_by_us && !d->stopped)
        wake_at(d, d->stop_by_us);
    return touched;
}

int driver_turn(struct driver *d)
{
    (void)event_base_loop(d->base, EVLOOP_ONCE);
    bool touched = end_turn(d);
    return d->stopped && !outbox_is_blocked(d->outbox) ? -1 : touched;
}

// ---- life

static int open_agent(struct driver *d, struct error *err)
{
    const struct sip_thread_params *t = &d->params;
    struct agent_params p = {.base = d->base,
                             .listen = t->listen,
                             .interfaces = t->interfaces,
                             .tls = &t->tls,
                             .resolv_conf = t->resolv_conf,
                             .hosts_file = t->hosts_file,
                             .user_agent = t->policy.user_agent,
                             .networks = t->networks,
                             .transaction_timeout_s = t->policy.transaction_timeout_s,
                             .ops = &agent_ops,
                             .arg = d};
    return agent_new(&p, &d->agent, err);
}

// Its base is this thread's alone and needs no locks.
static void open_loop(struct driver *d)
{
    struct event_config *config = event_config_new();
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    d->base = event_base_new_with_config(config);
    event_config_free(config);
    uint32_t beat_ms = MAX_WAIT_MS;
    if (d->params.stall_ms && d->params.stall_ms / 4 < beat_ms)
        beat_ms = d->params.stall_ms / 4 + 1;
    d->commands = event_new(d->base, mailbox_fd(d->inbox), EV_READ | EV_PERSIST, on_inbox, d);
    d->timer = event_new(d->base, d->timer_fd, EV_READ | EV_PERSIST, on_timer, d);
    d->beat = event_new(d->base, -1, EV_PERSIST, on_beat, NULL);
    (void)event_add(d->commands, NULL);
    (void)event_add(d->timer, NULL);
    timer_in_ms(d->beat, beat_ms);
}

static void open_engine(struct driver *d)
{
    struct engine_params p = {.ops = &ops, .ops_arg = d, .policy = d->params.policy, .ring = d->ring};
    p.policy.rules = d->rules;
    random_bytes(&p.seed, sizeof(p.seed));
    struct moment m = now();
    d->engine = engine_new(&p, m);
    if (d->params.stall_ms)
        engine_lease(d->engine, LEASE_EXPIRED, m);
    d->alive_us = alive_clock_us();
}

int driver_new(const struct driver_params *p, struct driver **ret, struct error *err)
{
    struct driver *d = mem_alloc(sizeof(*d));
    d->params = p->thread;
    d->ring = key_ring_ref(p->thread.ring);
    d->inbox = p->inbox;
    d->outbox = p->outbox;
    d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int rc = d->timer_fd < 0 ? error_set(err, -errno, "cannot make a timer: %s", strerror(errno)) : 0;
    if (rc == 0)
        rc = rules_file_read(d->params.rules_file, &d->rules, err);
    if (rc == 0) {
        open_loop(d);
        rc = open_agent(d, err);
    }
    if (rc) {
        driver_free(d);
        return rc;
    }
    open_engine(d);
    *ret = d;
    return 0;
}

void driver_free(struct driver *d)
{
    if (!d)
        return;
    if (d->engine)
        engine_free(d->engine);
    key_ring_free(d->ring);
    rules_free(d->rules);
    agent_free(d->agent);
    struct event *const events[] = {d->commands, d->timer, d->beat};
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i])
            event_free(events[i]);
    if (d->base)
        event_base_free(d->base);
    if (d->timer_fd >= 0)
        (void)close(d->timer_fd);
    free(d->shards);
    free(d);
}

struct engine_stats driver_stats(const struct driver *d)
{
    return engine_stats(d->engine);
}

struct engine *driver_engine(struct driver *d)
{
    return d->engine;
}

size_t driver_engine_bytes(const struct driver *d)
{
    return engine_bytes(d->engine);
}

struct sip_stats driver_sip_stats(const struct driver *d)
{
    return agent_stats(d->agent);
}

struct str driver_listens_on(const struct driver *d)
{
    return agent_hostport(d->agent, TRANSPORT_UDP, STR_NONE, STR_NONE);
}
