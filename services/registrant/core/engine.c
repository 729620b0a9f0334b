// An engine's life, its clock and its counters.
#include "services/registrant/core/entry.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/registrant/core/rules.h"

#include <stdlib.h>

struct engine_policy engine_policy_default(void)
{
    return (struct engine_policy){
        .rejected_retry_s = 3600,
        .backoff_cap_s = 1800,
        .min_expires_cap_s = 86400,
        .granted_cap_s = 604800,
        .retry_after_cap_s = 86400,
        .max_in_flight = 1000,
        .registrar_rate = 0,
        .registrar_in_flight = 200,
        .aor_rate = 5,
        .move_over_s = 300,
        .max_redirects = 5,
        .transaction_timeout_s = 32,
        .close_wait_s = 5,
        .node = "registrant",
        .user_agent = "Rollcall",
    };
}

static struct pacer_limits limits_of_policy(const struct engine_policy *policy)
{
    return (struct pacer_limits){.rate = policy->registrar_rate,
                                 .in_flight = policy->registrar_in_flight,
                                 .aor_rate = policy->aor_rate,
                                 .hard = policy->registrar_hard};
}

static void limits_of_registrar(void *arg, struct str key, struct pacer_limits *limits)
{
    const struct engine *e = arg;
    const struct rule *rule = rules_find(e->policy.rules, rules_host_of(key));
    if (rule)
        rule_apply(rule, limits);
}

void engine_rules(struct engine *e, const struct rules *rules, struct moment now)
{
    e->policy.rules = rules;
    pacer_limits_changed(e->home.pacer);
    engine_turn(e, now);
}

void engine_keys(struct engine *e, const struct key_ring *ring, struct moment now)
{
    seal_opener_free(e->opener);
    e->ring = ring;
    e->opener = seal_opener_new(ring);
    sweep_for_keys(e, now);
}

struct engine *engine_new(const struct engine_params *p, struct moment now)
{
    struct engine *e = mem_alloc(sizeof(*e));
    e->ops = p->ops;
    e->ops_arg = p->ops_arg;
    e->policy = p->policy;
    e->ring = p->ring;
    e->opener = seal_opener_new(p->ring);
    e->rng.state = p->seed;
    e->secret = hash_u64(p->seed ^ UINT64_C(0x636e6f6e6365));
    e->lease = LEASE_FRESH;
    wheel_init(&e->wheel, now.us);
    e->sweep.timer.kind = TIMER_SWEEP;
    e->digest = digest_new();
    e->home.texts = intern_new();
    const struct pacer_params pacing = {
        .wheel = &e->wheel,
        .wheel_kind = TIMER_TARGET,
        .max_in_flight = p->policy.max_in_flight,
        .limits = limits_of_policy(&p->policy),
        .arg = e,
        .limits_of = limits_of_registrar,
        .retry_after_cap_s = p->policy.retry_after_cap_s,
    };
    e->home.pacer = pacer_new(&pacing);
    return e;
}

static void free_shard(struct engine *e, struct shard *s)
{
    shard_forget(e, s, NULL);
    shard_release(e, s);
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    sweep_done(e);
    for (size_t i = 0; i < e->shard_count; i++)
        if (e->shards[i])
            free_shard(e, e->shards[i]);
    free(e->shards);
    for (size_t i = 0; i < e->flight_count; i++)
        free(e->flights[i]);
    free(e->flights);
    free(e->free_flights);
    marks_done(&e->marks);
    marks_done(&e->deferred);
    for (size_t i = 0; i < ARRAY_LEN(e->scratch); i++)
        buf_done(&e->scratch[i]);
    pacer_free(e->home.pacer);
    intern_free(e->home.texts);
    digest_free(e->digest);
    seal_opener_free(e->opener);
    free(e);
}

static void on_entry_timer(struct engine *e, struct entry *r, struct moment now)
{
    if ((r->proof && r->proved_reported) || (r->moved && !r->dirty))
        entry_forget(e, r);
    else
        entry_update(e, r, now);
}

uint64_t engine_tick(struct engine *e, struct moment now)
{
    struct wheel_node *node;
    while ((node = wheel_pop(&e->wheel, now.us))) {
        switch ((enum timer_kind)node->kind) {
        case TIMER_ENTRY:
            on_entry_timer(e, container_of(node, struct entry, timer), now);
            break;
        case TIMER_FLIGHT:
            flight_timer(e, container_of(node, struct flight, timer), now);
            break;
        case TIMER_TARGET:
            pacer_wake(e->home.pacer, node, now.us);
            break;
        case TIMER_SWEEP:
            sweep_timer(e, now);
            break;
        case TIMER_SHARD:
            shard_timer(e, container_of(node, struct shard, timer), now);
            break;
        }
    }
    engine_turn(e, now);
    return wheel_next_us(&e->wheel);
}

void engine_lease(struct engine *e, enum engine_lease lease, struct moment now)
{
    if (lease == e->lease)
        return;
    e->lease = lease;
    // What was held back is planned again; what is held back now finds out when its turn comes.
    for (size_t left = e->deferred.count; lease == LEASE_FRESH && left; left--) {
        struct mark mark;
        if (!marks_pop(e, &e->deferred, &mark))
            break;
        struct shard *s = e->shards[mark.shard];
        struct entry *r = s ? shard_entry(s, mark.id) : NULL;
        if (!r || !r->deferred)
            continue;
        r->deferred = false;
        entry_update(e, r, now);
    }
    engine_turn(e, now);
}

void engine_credit(struct engine *e, uint32_t more, struct moment now)
{
    e->credit = more > UINT32_MAX - e->credit ? UINT32_MAX : e->credit + more;
    engine_turn(e, now);
}

void engine_report_failed(struct engine *e, uint64_t id, struct moment now)
{
    for (size_t i = 0; i < e->shard_count; i++) {
        struct entry *r = e->shards[i] ? shard_entry(e->shards[i], id) : NULL;
        if (!r || r->note)
            continue;
        if (r->proved_reported) { // not forgotten before it is heard
            r->proved_reported = false;
            wheel_clear(&e->wheel, &r->timer);
        }
        report_mark(e, r);
    }
    engine_turn(e, now);
}

struct engine_stats engine_stats(const struct engine *e)
{
    struct engine_stats s = e->stats;
    s.registrations = 0;
    for (size_t i = 0; i < ARRAY_LEN(s.states); i++)
        if (i != STATE_UNREGISTERED)
            s.registrations += s.states[i];
    s.waiting = pacer_waiting(e->home.pacer);
    s.overcommitted = pacer_overcommitted(e->home.pacer);
    s.rates_raised = pacer_raised(e->home.pacer);
    return s;
}

struct engine_memory engine_memory(const struct engine *e)
{
    struct engine_memory m = {
        .specs = e->home.bytes, .shared = intern_bytes(e->home.texts), .pacing = pacer_bytes(e->home.pacer)};
    for (size_t i = 0; i < e->shard_count; i++) {
        const struct shard *s = e->shards[i];
        size_t at = 0;
        m.index += s ? table_bytes(&s->entries) : 0;
        for (const struct entry *r; s && (r = shard_each(s, &at));) {
            m.entries += sizeof(*r);
            m.nonces += r->nonces ? r->nonces->bytes : 0;
            m.shown += r->shown ? r->shown->bytes : 0;
            m.extra += r->extra ? sizeof(*r->extra) + r->extra->bytes : 0;
        }
    }
    return m;
}

size_t engine_bytes(const struct engine *e)
{
    size_t bytes = e->bytes + e->home.bytes + intern_bytes(e->home.texts) + pacer_bytes(e->home.pacer);
    for (size_t i = 0; i < e->shard_count; i++)
        bytes += e->shards[i] ? table_bytes(&e->shards[i]->entries) : 0;
    return bytes;
}
