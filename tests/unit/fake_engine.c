// See fake_engine.h. Refuses to be an engine: no schedule, no state.
#include "tests/unit/fake_engine.h"

#include "common/base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sent {
    uint64_t id;
    uint32_t cseq;
    struct registration reg;
    struct sent *next;
};

struct engine {
    const struct engine_ops *ops;
    void *arg;
    uint64_t credit, epoch_shard;
    uint32_t shards[64];
    size_t shard_count;
    struct sent *all;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_seen seen;
static uint32_t stand_still_ms;
static size_t repeat_until;

void fake_reset(void)
{
    (void)pthread_mutex_lock(&lock);
    memset(&seen, 0, sizeof(seen));
    stand_still_ms = 0;
    repeat_until = 0;
    (void)pthread_mutex_unlock(&lock);
}

void fake_seen(struct fake_seen *ret)
{
    (void)pthread_mutex_lock(&lock);
    *ret = seen;
    (void)pthread_mutex_unlock(&lock);
}

void fake_stand_still_once(uint32_t ms)
{
    (void)pthread_mutex_lock(&lock);
    stand_still_ms = ms;
    (void)pthread_mutex_unlock(&lock);
}

void fake_repeat_until(size_t answers)
{
    (void)pthread_mutex_lock(&lock);
    repeat_until = answers;
    (void)pthread_mutex_unlock(&lock);
}

struct engine_policy engine_policy_default(void)
{
    return (struct engine_policy){
        .transaction_timeout_s = 32, .close_wait_s = 1, .node = "test", .user_agent = "Rollcall test"};
}

struct engine *engine_new(const struct engine_params *p, struct moment now)
{
    struct engine *e = mem_alloc(sizeof(*e));
    e->ops = p->ops;
    e->arg = p->ops_arg;
    return e;
}

void engine_free(struct engine *e)
{
    for (struct sent *s; e && (s = e->all);) {
        e->all = s->next;
        registration_done(&s->reg);
        free(s);
    }
    free(e);
}

// ---- requests

static void send_register(struct engine *e, struct sent *s, bool authorized)
{
    const struct registration *r = &s->reg;
    char uri[256], to[320], from[320], call_id[64];
    struct str contact = str_of(r->contact_count ? r->contacts[0].uri : "");
    struct str authorization = str_of(r->name), routes[REGISTRATION_MAX_ROUTES];
    for (size_t i = 0; i < r->route_count; i++)
        routes[i] = str_of(r->route_set[i]);
    (void)snprintf(uri, sizeof(uri), "sip:%s", r->domain);
    (void)snprintf(to, sizeof(to), "<sip:%s@%s>", r->username, r->domain);
    (void)snprintf(from, sizeof(from), "<sip:%s@%s>;tag=f%llu", r->username, r->domain,
                   (unsigned long long)s->id);
    (void)snprintf(call_id, sizeof(call_id), "call-%llu", (unsigned long long)s->id);
    struct sip_request request = {.request_uri = str_of(uri),
                                  .to = str_of(to),
                                  .from = str_of(from),
                                  .call_id = str_of(call_id),
                                  .cseq = ++s->cseq,
                                  .contacts = &contact,
                                  .contact_count = r->contact_count,
                                  .expires = 300,
                                  .routes = routes,
                                  .route_count = r->route_count,
                                  .next_hop = str_of(r->registrar ? r->registrar : uri),
                                  .transport = r->transport,
                                  .interface = str_of(r->interface),
                                  .supported = STR_LIT("path"),
                                  .registrar = str_of(r->registrar),
                                  .affinity = s->id,
                                  .authorizations = &authorization,
                                  .authorization_count = authorized && r->name ? 1 : 0};
    int rc = e->ops->send(e->arg, &request, (uint64_t)(uintptr_t)s);
    (void)pthread_mutex_lock(&lock);
    seen.last_send_rc = rc;
    seen.sent_count += rc == 0;
    seen.refused_count += rc != 0;
    (void)pthread_mutex_unlock(&lock);
}

void engine_desired(struct engine *e, uint32_t shard, const struct desired *d, struct moment now)
{
    (void)pthread_mutex_lock(&lock);
    seen.desired_count++;
    uint32_t pause_ms = stand_still_ms;
    stand_still_ms = 0;
    (void)pthread_mutex_unlock(&lock);
    struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = (long)(pause_ms % 1000) * 1000000};
    if (pause_ms)
        (void)nanosleep(&pause, NULL);
    if (!d->reg)
        return;
    struct sent *s = mem_alloc(sizeof(*s));
    s->id = d->id;
    s->next = e->all;
    e->all = s;
    registration_copy(&s->reg, d->reg);
    send_register(e, s, false);
}

// ---- answers

#define COPY(to, from) (void)snprintf((to), sizeof(to), STR_FMT, STR_ARG(from))

static void write_down(const struct sip_answer *a, uint64_t id)
{
    size_t at = seen.answer_count++;
    if (at >= FAKE_MAX_ANSWERS)
        return;
    struct fake_answer *f = &seen.answers[at];
    *f = (struct fake_answer){.token = id,
                              .status = a->status,
                              .local = a->local,
                              .retry_after_s = a->retry_after_s,
                              .min_expires_s = a->min_expires_s,
                              .expires_s = a->expires_s,
                              .contact_count = a->contact_count,
                              .challenge_count = a->challenge_count,
                              .service_route_count = a->service_route_count,
                              .path_count = a->path_count,
                              .associated_count = a->associated_count,
                              .another_target = a->another_target,
                              .outbound = a->outbound,
                              .flow_timer_s = a->flow_timer_s,
                              .flow = a->flow};
    COPY(f->reason, a->reason);
    COPY(f->warning, a->warning);
    COPY(f->nextnonce, a->nextnonce);
    COPY(f->target, a->target);
    COPY(f->local_address, a->local_address);
    COPY(f->received, a->received);
    COPY(f->unsupported, a->unsupported);
    for (size_t i = 0; i < 4; i++) {
        if (i < a->contact_count)
            COPY(f->contacts[i], a->contacts[i].text);
        f->contact_expires[i] = i < a->contact_count ? a->contacts[i].expires : 0;
        if (i < a->challenge_count)
            COPY(f->challenges[i], a->challenges[i]);
        f->challenge_is_proxy[i] = i < a->challenge_count && a->challenge_is_proxy[i];
        if (i < a->service_route_count)
            COPY(f->service_routes[i], a->service_routes[i]);
        if (i < a->path_count)
            COPY(f->paths[i], a->paths[i]);
        if (i < a->associated_count)
            COPY(f->associated[i], a->associated[i]);
    }
}

void engine_answer(struct engine *e, uint64_t token, const struct sip_answer *a, struct moment now)
{
    struct sent *s = (struct sent *)(uintptr_t)token;
    uint32_t flow = a->outbound ? e->ops->keep_alive(e->arg, token, a->flow_timer_s) : 0;
    (void)pthread_mutex_lock(&lock);
    seen.kept_alive = a->outbound ? flow : seen.kept_alive;
    write_down(a, s->id);
    bool again = seen.answer_count < repeat_until;
    (void)pthread_mutex_unlock(&lock);
    if ((a->status == 401 || a->status == 407) && s->reg.name)
        send_register(e, s, true);
    else if (again || (a->another_target && s->cseq < 8))
        send_register(e, s, false);
    if (e->credit) {
        e->credit--;
        struct status status;
        status_init(&status);
        status.id = s->id;
        status.account = mem_dup_cstr("a");
        e->ops->report(e->arg, 0, &status);
        status_done(&status);
    }
}

// ---- the rest is written down only

void engine_shard_load(struct engine *e, uint32_t shard, const char *place)
{
    if (e->shard_count < ARRAY_LEN(e->shards))
        e->shards[e->shard_count++] = shard;
}

void engine_shard_open(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now)
{
}

void engine_shard_close(struct engine *e, uint32_t shard, struct moment now)
{
    (void)pthread_mutex_lock(&lock);
    seen.closed_count++;
    (void)pthread_mutex_unlock(&lock);
    e->ops->closed(e->arg, shard);
}

// What is under way is forgotten, as a partition does that is given away.
void engine_shard_park(struct engine *e, uint32_t shard, struct moment now)
{
    for (const struct sent *s = e->all; s; s = s->next)
        e->ops->forget(e->arg, (uint64_t)(uintptr_t)s);
    (void)pthread_mutex_lock(&lock);
    seen.parked_count++;
    (void)pthread_mutex_unlock(&lock);
}

void engine_shard_unpark(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now)
{
}

void engine_shard_drop(struct engine *e, uint32_t shard, struct moment now)
{
    engine_shard_close(e, shard, now);
}

void engine_lease(struct engine *e, enum engine_lease lease, struct moment now)
{
    (void)pthread_mutex_lock(&lock);
    if (seen.lease_count < ARRAY_LEN(seen.leases))
        seen.leases[seen.lease_count++] = lease;
    (void)pthread_mutex_unlock(&lock);
}

void engine_credit(struct engine *e, uint32_t more, struct moment now)
{
    e->credit += more;
    (void)pthread_mutex_lock(&lock);
    seen.credit += more;
    (void)pthread_mutex_unlock(&lock);
}

void engine_report_failed(struct engine *e, uint64_t id, struct moment now)
{
}

uint64_t engine_tick(struct engine *e, struct moment now)
{
    struct timespec cpu;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    (void)pthread_mutex_lock(&lock);
    seen.tick_count++;
    seen.cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    (void)pthread_mutex_unlock(&lock);
    return now.us + 100000;
}

void engine_flow_lost(struct engine *e, uint32_t flow, struct moment now)
{
    (void)pthread_mutex_lock(&lock);
    seen.flow_lost_count++;
    seen.flow_lost = flow;
    (void)pthread_mutex_unlock(&lock);
}

void engine_targets_changed(struct engine *e, struct str registrar, const struct str *targets, size_t count,
                            struct moment now)
{
    (void)pthread_mutex_lock(&lock);
    seen.targets_changed_count++;
    seen.target_count = count;
    COPY(seen.targets_of, registrar);
    for (size_t i = 0; i < count && i < ARRAY_LEN(seen.targets); i++)
        COPY(seen.targets[i], targets[i]);
    (void)pthread_mutex_unlock(&lock);
}

void engine_rules(struct engine *e, const struct rules *rules, struct moment now)
{
}

void engine_keys(struct engine *e, const struct key_ring *ring, struct moment now)
{
}

void engine_stop(struct engine *e, struct moment now)
{
    for (size_t i = 0; i < e->shard_count; i++)
        engine_shard_close(e, e->shards[i], now);
}

bool engine_registrars(struct engine *e, struct moment now, struct registrar_ranking *r)
{
    (void)e;
    (void)now;
    r->count = 0;
    return true;
}

void registrar_view_merge(struct registrar_view *sum, const struct registrar_view *more)
{
    (void)sum;
    (void)more;
}

struct engine_stats engine_stats(const struct engine *e)
{
    return (struct engine_stats){.registrations = seen.desired_count};
}

size_t engine_bytes(const struct engine *e)
{
    return e->shard_count;
}
