// What an engine counts while it works, and what it shows of it (observe.h).
#include "services/registrant/core/machine.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define RANKED_AT_ONCE 500 // registrars: a fraction of a millisecond

static_assert(STATE_UNREGISTERED + 1 == OBSERVE_STATES, "a place for each state");

// ---- counting

// When what is to be sent was due; 0: it was not planned ahead.
static int64_t due_ms(const struct entry *r)
{
    if (r->attempts)
        return r->retry_ms == NEVER_MS ? 0 : r->retry_ms;
    return r->bound && r->expires_ms ? r->refresh_ms : 0;
}

void observe_start(struct engine *e, const struct entry *r, struct moment now)
{
    int64_t due = due_ms(r);
    if (due > 0 && due <= ms_of(now))
        histogram_add(&e->stats.lateness, (uint64_t)(ms_of(now) - due) * 1000);
}

static void count_answer(struct engine *e, const struct sip_answer *a)
{
    struct engine_stats *s = &e->stats;
    if (a->local && a->status == 408)
        s->timeouts++;
    else if (a->status >= 200 && a->status < 300)
        s->answers_2xx++;
    else if (a->status == 401 || a->status == 407)
        s->challenges++;
    else if (a->status >= 400 && a->status < 500)
        s->answers_4xx++;
    else if (a->status >= 500 && a->status < 600)
        s->answers_5xx++;
    else
        s->answers_other++;
}

void observe_answer(struct engine *e, const struct flight *f, const struct sip_answer *a, struct moment now)
{
    struct pacer_target *t = f->ticket.target;
    count_answer(e, a);
    pacer_count_answer(t, a->status, a->local);
    if (a->local)
        return;
    histogram_add(&e->stats.answer_times, now.us - f->sent_us);
    if (a->status >= 200 && a->status < 300)
        (void)learned_received(pacer_learned(t), a->received);
    if (a->outbound)
        learned_outbound(pacer_learned(t), true);
    else if (a->status == 439)
        learned_outbound(pacer_learned(t), false);
}

void observe_grant(struct flight *f, uint32_t granted_s)
{
    learned_grant(pacer_learned(f->ticket.target), granted_s);
}

void observe_lapse(struct engine *e, const struct entry *r)
{
    e->stats.lapsed++;
    pacer_count_lapsed(r->want ? r->want->way->target : r->bound->way->target);
}

void observe_state(struct engine *e, struct entry *r, enum status_state state)
{
    e->stats.states[r->state]--;
    e->stats.states[state]++;
    if (r->want) {
        pacer_count_state(r->want->way->target, r->state, -1);
        pacer_count_state(r->want->way->target, state, 1);
    }
    r->state = (uint8_t)state;
}

void observe_registrar(const struct entry *r, const struct spec *want)
{
    if (r->want)
        pacer_count_state(r->want->way->target, r->state, -1);
    if (want)
        pacer_count_state(want->way->target, r->state, 1);
}

// ---- showing

void engine_stats_merge(struct engine_stats *sum, const struct engine_stats *more)
{
    sum->registrations += more->registrations;
    sum->bound += more->bound;
    sum->in_flight += more->in_flight;
    sum->waiting += more->waiting;
    sum->overcommitted += more->overcommitted;
    sum->rates_raised += more->rates_raised;
    sum->lapsed += more->lapsed;
    sum->requests += more->requests;
    sum->answers_2xx += more->answers_2xx;
    sum->answers_4xx += more->answers_4xx;
    sum->answers_5xx += more->answers_5xx;
    sum->answers_other += more->answers_other;
    sum->timeouts += more->timeouts;
    sum->challenges += more->challenges;
    for (size_t i = 0; i < ARRAY_LEN(sum->states); i++)
        sum->states[i] += more->states[i];
    histogram_merge(&sum->answer_times, &more->answer_times);
    histogram_merge(&sum->lateness, &more->lateness);
}

static int more_first(const void *left, const void *right)
{
    const struct registrar_view *a = left, *b = right;
    return (a->registrations < b->registrations) - (a->registrations > b->registrations);
}

static struct registrar_view *smallest_of(const struct registrar_ranking *r)
{
    struct registrar_view *smallest = &r->items[0];
    for (size_t i = 1; i < r->count; i++)
        if (r->items[i].registrations < smallest->registrations)
            smallest = &r->items[i];
    return smallest;
}

// least: the smallest of those that are in, or 0 where that is not known. Returns the same.
static uint64_t rank(struct registrar_ranking *r, const struct registrar_view *one, uint64_t least)
{
    if (r->count < r->max) {
        r->items[r->count++] = *one;
        return 0;
    }
    if (one->registrations <= least) {
        registrar_view_merge(&r->rest, one);
        return least;
    }
    struct registrar_view *smallest = smallest_of(r);
    if (one->registrations > smallest->registrations) {
        registrar_view_merge(&r->rest, smallest);
        *smallest = *one;
        smallest = smallest_of(r);
    } else
        registrar_view_merge(&r->rest, one);
    return smallest->registrations;
}

bool engine_registrars(struct engine *e, struct moment now, struct registrar_ranking *r)
{
    struct pacer *pacer = e->home.pacer;
    uint64_t least = r->max ? 0 : UINT64_MAX;
    if (pacer_walk_begins(pacer)) {
        r->count = 0;
        r->rest = (struct registrar_view){0};
    }
    for (unsigned i = 0; i < RANKED_AT_ONCE; i++) {
        struct registrar_view one;
        const struct pacer_target *t = pacer_walk(pacer);
        if (!t) {
            qsort(r->items, r->count, sizeof(*r->items), more_first);
            return true;
        }
        pacer_target_view(t, now.us, &one);
        one.registrations -= one.states[STATE_UNREGISTERED]; // it is gone, and only its report is awaited
        least = rank(r, &one, least);
    }
    return false;
}
