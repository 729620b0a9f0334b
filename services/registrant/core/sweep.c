// See sweep.h.
#include "services/registrant/core/sweep.h"

#include "common/base/mem.h"
#include "services/registrant/core/machine.h"

#include <stdlib.h>

#define SLICE_SLOTS 2000 // of the table, looked at in one tick

// ---- what is looked for

static void set_done(struct engine *e, struct sweep_set *set)
{
    for (size_t i = 0; i < set->move_count; i++) {
        struct sweep_move *move = &set->moves[i];
        pacer_target_set_mark(move->registrar, NULL);
        for (size_t k = 0; k < move->count; k++)
            intern_put(e->home.texts, &move->targets[k]);
        free(move->targets);
        pacer_target_put(e->home.pacer, &move->registrar);
    }
    free(set->moves);
    free(set->flows);
    *set = (struct sweep_set){0};
}

static bool is_empty(const struct sweep_set *set)
{
    return !set->flow_count && !set->move_count && !set->keys;
}

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

// The walk begins, or ends where nothing more is looked for.
static void begin_walk(struct engine *e, struct moment now)
{
    struct sweep *s = &e->sweep;
    set_done(e, &s->now);
    s->now = s->next;
    s->next = (struct sweep_set){0};
    s->running = !is_empty(&s->now);
    s->shard = 0;
    s->walk = (struct table_walk){0};
    if (!s->running)
        return;
    if (s->now.flow_count)
        qsort(s->now.flows, s->now.flow_count, sizeof(*s->now.flows), by_number);
    for (size_t i = 0; i < s->now.move_count; i++)
        pacer_target_set_mark(s->now.moves[i].registrar, &s->now.moves[i]);
    wheel_set(&e->wheel, &s->timer, now.us);
}

static void look_for_more(struct engine *e, struct moment now)
{
    if (!e->sweep.running)
        begin_walk(e, now);
}

void engine_flow_lost(struct engine *e, uint32_t flow, struct moment now)
{
    struct sweep_set *set = &e->sweep.next;
    if (!flow)
        return;
    set->flows = mem_resize(set->flows, set->flow_count + 1, sizeof(*set->flows));
    set->flows[set->flow_count++] = flow;
    look_for_more(e, now);
}

void sweep_for_keys(struct engine *e, struct moment now)
{
    e->sweep.next.keys = true;
    look_for_more(e, now);
}

// The place of a registrar in the set, empty.
static struct sweep_move *move_of(struct engine *e, struct sweep_set *set, struct pacer_target *registrar)
{
    for (size_t i = 0; i < set->move_count; i++) {
        struct sweep_move *move = &set->moves[i];
        if (move->registrar != registrar)
            continue;
        for (size_t k = 0; k < move->count; k++)
            intern_put(e->home.texts, &move->targets[k]);
        free(move->targets);
        return move;
    }
    set->moves = mem_resize(set->moves, set->move_count + 1, sizeof(*set->moves));
    struct sweep_move *move = &set->moves[set->move_count++];
    *move = (struct sweep_move){.registrar = pacer_target_ref(registrar)};
    return move;
}

void engine_targets_changed(struct engine *e, struct str registrar, const struct str *targets, size_t count,
                            struct moment now)
{
    struct pacer_target *t = pacer_target_find(e->home.pacer, registrar);
    if (!t)
        return;
    struct sweep_move *move = move_of(e, &e->sweep.next, t);
    move->targets = mem_array(count ? count : 1, sizeof(struct interned *));
    move->count = count;
    for (size_t i = 0; i < count; i++)
        move->targets[i] = intern_get(e->home.texts, targets[i]);
    look_for_more(e, now);
}

// ---- who is concerned

static bool is_lost(const struct sweep_set *set, uint32_t flow)
{
    return flow && set->flow_count &&
           bsearch(&flow, set->flows, set->flow_count, sizeof(flow), by_number) != NULL;
}

// Was it bound at an address that its registrar no longer has? A registrar that has none any more is left
// alone: there is nowhere to go.
static bool has_moved(const struct entry *r)
{
    const struct sweep_move *move = r->bound ? pacer_target_mark(r->bound->way->target) : NULL;
    struct str target = entry_heard(r, HEARD_TARGET);
    if (!move || !move->count || !target.n)
        return false;
    for (size_t i = 0; i < move->count; i++)
        if (str_eq(interned_str(move->targets[i]), target))
            return false;
    return true;
}

// Only what is bound and at rest: what is under way, retried or removed finds its new way by itself. An audit
// leaves the binding where it is.
static bool is_at_rest(const struct engine *e, const struct entry *r, int64_t now_ms)
{
    const struct flight *f = flight_of(e, r);
    return (!f || flight_is_aside(f)) && !r->attempts && r->enabled && !r->removing &&
           machine_is_live(r, now_ms) && r->differs == SPEC_SAME;
}

// Refreshed some time within the spread, and within the first half of what is left of its binding.
static void pull_in(struct engine *e, struct entry *r, uint64_t spread_ms, struct moment now)
{
    int64_t now_ms = ms_of(now);
    uint64_t left_ms = (uint64_t)(r->expires_ms - now_ms) / 2;
    if (left_ms < spread_ms)
        spread_ms = left_ms;
    if (r->refresh_ms <= now_ms + (int64_t)spread_ms)
        return;
    r->refresh_ms = now_ms + (int64_t)rng_below(&e->rng, spread_ms + 1);
    entry_update(e, r, now);
}

// A flow of RFC 5626 is always made again: its registrar said that it keeps them.
static bool is_worth_making(const struct entry *r, struct moment now)
{
    if (!r->bound || r->bound->outbound)
        return true;
    int64_t age_ms = ms_of(now) - r->last_bind_ms;
    return learned_flow_is_worth(pacer_learned(r->bound->way->target), r->flow,
                                 age_ms > 0 ? (uint64_t)age_ms : 0, now.us);
}

static void look_at(struct engine *e, struct entry *r, struct moment now)
{
    if (e->sweep.now.keys && r->keyless && !flight_of(e, r)) {
        r->keyless = false;
        entry_reset(r);
        entry_update(e, r, now);
        return;
    }
    bool lost = is_lost(&e->sweep.now, r->flow), moved = has_moved(r);
    if (lost && !is_worth_making(r, now)) {
        r->flow = 0;
        lost = false;
    }
    if (!lost && !moved)
        return;
    uint64_t spread_ms = (uint64_t)e->policy.move_over_s * 1000;
    if (lost)
        r->flow = 0;
    if (!is_at_rest(e, r, ms_of(now)))
        return;
    if (lost && spread_ms > FLOW_BASE_S * 1000 && r->bound->outbound)
        spread_ms = FLOW_BASE_S * 1000;
    pull_in(e, r, spread_ms, now);
}

// ---- the walk

static bool is_walked(const struct shard *s)
{
    return s && (s->state == SHARD_OPEN || s->state == SHARD_PARKED);
}

void sweep_timer(struct engine *e, struct moment now)
{
    struct sweep *s = &e->sweep;
    unsigned budget = SLICE_SLOTS;
    while (s->shard < e->shard_count && budget) {
        const struct shard *shard = e->shards[s->shard];
        uint64_t *item = is_walked(shard) ? table_walk(&shard->entries, &s->walk, &budget) : NULL;
        if (item) {
            look_at(e, container_of(item, struct entry, id), now);
        } else if (budget) {
            s->shard++;
            s->walk = (struct table_walk){0};
        }
    }
    if (s->shard < e->shard_count)
        wheel_set(&e->wheel, &s->timer, now.us + 1);
    else
        begin_walk(e, now);
}

void sweep_done(struct engine *e)
{
    wheel_clear(&e->wheel, &e->sweep.timer);
    set_done(e, &e->sweep.now);
    set_done(e, &e->sweep.next);
}
