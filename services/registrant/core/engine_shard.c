// Partitions that come and go: loading, open, parked, closing, drained.
#include "services/registrant/core/machine.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Whoever takes over has begun by then, or what it takes over is treated as after a death.
enum { HANDED_OVER_WITHIN_MS = 60000 };

static void each_update(struct engine *e, struct shard *s, struct moment now)
{
    size_t at = 0;
    for (struct entry *r = shard_each(s, &at); r; r = shard_each(s, &at))
        entry_update(e, r, now);
}

static double share_of_place(const struct engine *e, const char *place)
{
    double share = 0;
    for (size_t i = 0; i < e->shard_count; i++)
        if (e->shards[i] && strcmp(e->shards[i]->place, place) == 0)
            share += e->shards[i]->share;
    return share < 1 ? share : 1;
}

// Of several places the one that we own most of: the same registrar may serve them all.
static void set_share(struct engine *e)
{
    double most = 0;
    for (size_t i = 0; i < e->shard_count; i++) {
        double share = e->shards[i] ? share_of_place(e, e->shards[i]->place) : 0;
        most = share > most ? share : most;
    }
    pacer_set_share(e->home.pacer, most);
}

void engine_shard_load(struct engine *e, uint32_t shard, const char *place)
{
    if (shard_find(e, shard))
        return;
    size_t index = 0;
    while (index < e->shard_count && e->shards[index])
        index++;
    if (index == UINT16_MAX)
        return;
    if (index == e->shard_count) {
        e->shards = mem_resize(e->shards, e->shard_count + 1, sizeof(struct shard *));
        e->shard_count++;
    }
    struct shard *s = mem_alloc(sizeof(*s));
    s->number = shard;
    s->index = (uint16_t)index;
    s->timer.kind = TIMER_SHARD;
    (void)snprintf(s->place, sizeof(s->place), "%s", place);
    e->shards[index] = s;
}

void shard_release(struct engine *e, struct shard *s)
{
    wheel_clear(&e->wheel, &s->timer);
    table_done(&s->entries);
    e->shards[s->index] = NULL;
    free(s);
}

static void open_with(struct engine *e, struct shard *s, uint64_t epoch, double share)
{
    s->state = SHARD_OPEN;
    s->epoch = epoch;
    s->share = share;
    set_share(e);
}

static void mark_unreported(struct engine *e, struct shard *s)
{
    size_t at = 0;
    for (struct entry *r = shard_each(s, &at); s->unreported && r; r = shard_each(s, &at))
        if (r->dirty)
            report_mark(e, r);
}

void shard_forget(struct engine *e, struct shard *s, bool (*which)(const struct entry *r))
{
    size_t count = 0, at = 0;
    struct entry **gone = mem_array(table_count(&s->entries), sizeof(struct entry *));
    for (struct entry *r = shard_each(s, &at); r; r = shard_each(s, &at))
        if (!which || which(r))
            gone[count++] = r;
    for (size_t i = 0; i < count; i++)
        entry_forget(e, gone[i]);
    free(gone);
}

static bool is_untouched(const struct entry *r)
{
    return !r->dirty;
}

static bool is_moved(const struct entry *r)
{
    return r->moved;
}

void engine_shard_open(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (!s || s->state == SHARD_CLOSING || s->state == SHARD_DRAINING)
        return;
    if (s->state == SHARD_LOADING)
        shard_forget(e, s, is_moved);
    open_with(e, s, epoch, share);
    mark_unreported(e, s);
    each_update(e, s, now);
    engine_turn(e, now);
}

void engine_shard_park(struct engine *e, uint32_t shard, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (!s || s->state != SHARD_OPEN)
        return;
    s->state = SHARD_PARKED;
    size_t at = 0;
    for (struct entry *r = shard_each(s, &at); r; r = shard_each(s, &at))
        r->unlisted = true;
    each_update(e, s, now);
    engine_turn(e, now);
}

void engine_shard_unpark(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (s && s->state == SHARD_PARKED)
        engine_shard_open(e, shard, epoch, share, now);
}

// Whether whoever comes next is to be told of one that nothing changed of: until its next action the last
// report is the last word anyway (adopt.c). So it takes no million of reports to hand a million over.
static bool is_due_soon(const struct entry *r, struct moment now)
{
    const struct plan plan = machine_plan(r, PERMIT_ALL, ms_of(now));
    return plan.kind != PLAN_NOTHING && plan.at_ms < ms_of(now) + HANDED_OVER_WITHIN_MS;
}

static void drain(struct engine *e, struct shard *s, struct moment now)
{
    size_t at = 0;
    s->state = SHARD_DRAINING;
    wheel_clear(&e->wheel, &s->timer);
    for (struct entry *r = shard_each(s, &at); r; r = shard_each(s, &at)) {
        struct flight *f = flight_of(e, r);
        r->handover = !f && !s->dropped;
        if (f)
            flight_abandon(e, f, now);
        if (r->dirty || (!s->dropped && !r->moved && (f || is_due_soon(r, now))))
            report_mark(e, r);
    }
    shard_forget(e, s, is_untouched); // without a word
}

void shard_check(struct engine *e, struct shard *s, struct moment now)
{
    if (s->state == SHARD_CLOSING && !s->flights)
        drain(e, s, now);
    if (s->state != SHARD_DRAINING || table_count(&s->entries))
        return;
    uint32_t number = s->number;
    shard_release(e, s);
    set_share(e);
    e->ops->closed(e->ops_arg, number);
}

void shard_timer(struct engine *e, struct shard *s, struct moment now)
{
    if (s->state != SHARD_CLOSING)
        return;
    drain(e, s, now);
    shard_check(e, s, now);
}

static void close_shard(struct engine *e, struct shard *s, bool dropped, struct moment now)
{
    if (s->state == SHARD_CLOSING || s->state == SHARD_DRAINING)
        return;
    if (s->state == SHARD_LOADING) // never ours: whoever had it has said all there is to say
        shard_forget(e, s, NULL);
    s->lost = s->state == SHARD_PARKED;
    s->state = SHARD_CLOSING;
    s->dropped = dropped;
    size_t at = 0;
    for (struct entry *r = shard_each(s, &at); r; r = shard_each(s, &at)) {
        entry_stop_waiting(e, r);
        wheel_clear(&e->wheel, &r->timer);
    }
    wheel_set(&e->wheel, &s->timer, now.us + (uint64_t)e->policy.close_wait_s * 1000000);
    shard_check(e, s, now);
}

void engine_shard_close(struct engine *e, uint32_t shard, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (!s)
        return;
    close_shard(e, s, false, now);
    engine_turn(e, now);
}

void engine_shard_drop(struct engine *e, uint32_t shard, struct moment now)
{
    struct shard *s = shard_find(e, shard);
    if (!s)
        return;
    close_shard(e, s, true, now);
    engine_turn(e, now);
}

void engine_stop(struct engine *e, struct moment now)
{
    for (size_t i = 0; i < e->shard_count; i++)
        if (e->shards[i])
            close_shard(e, e->shards[i], false, now);
    engine_turn(e, now);
}
