// See job_ids.h.
#include "services/gateway/jobs/job_ids.h"

#include "common/base/buf.h"

#include <errno.h>

static bool wants_more(const struct job_ids *s)
{
    return !s->err.code && s->next < s->count;
}

static void on_turn(struct fair_ticket *t)
{
    struct job_ids *s = container_of(t, struct job_turn, ticket)->owner;
    if (!wants_more(s)) {
        fair_give_back(t);
        return;
    }
    s->pending++;
    s->begin(s, s->ids[s->next++]);
}

static size_t count_waiting(struct job_ids *s)
{
    size_t waiting = 0;
    for (size_t i = 0; i < JOB_IDS_AT_ONCE; i++) {
        struct fair_ticket *t = &s->turns[i].ticket;
        if (t->state == FAIR_WAITS && !wants_more(s))
            fair_give_back(t);
        waiting += t->state == FAIR_WAITS;
    }
    return waiting;
}

// Never asks for more turns than there are ids left.
static void go_on(struct job_ids *s)
{
    size_t waiting = count_waiting(s);
    for (size_t i = 0; i < JOB_IDS_AT_ONCE && wants_more(s); i++) {
        struct fair_ticket *t = &s->turns[i].ticket;
        if (t->state != FAIR_NONE || waiting == s->count - s->next)
            continue;
        store_turn(s->store, t, s->account, on_turn);
        waiting += t->state == FAIR_WAITS;
    }
    if (!s->pending && !wants_more(s))
        s->over(s);
}

void job_ids_given(struct job_ids *s, int rc, const uint64_t *ids, size_t count, const struct error *err)
{
    if (rc)
        s->err = *err;
    s->count = count < JOB_IDS_MAX ? count : JOB_IDS_MAX;
    for (size_t i = 0; i < s->count; i++)
        s->ids[i] = ids[i];
    for (size_t i = 0; i < JOB_IDS_AT_ONCE; i++)
        s->turns[i].owner = s;
    go_on(s);
}

void job_ids_settled(struct job_ids *s)
{
    bool given = false;
    s->pending--;
    for (size_t i = 0; i < JOB_IDS_AT_ONCE && !given; i++) {
        given = s->turns[i].ticket.state == FAIR_RUNS;
        if (given) // any of them: one turn is as good as another
            fair_give_back(&s->turns[i].ticket);
    }
    go_on(s);
}

void job_ids_note(struct job_ids *s, int rc, const struct error *err)
{
    if ((rc == -ENOTCONN || rc == -EBUSY) && !s->err.code)
        s->err = *err;
}

void job_ids_end(const struct job_ids *s, struct job_step *step)
{
    struct buf cursor cleanup(buf_done) = BUF_INIT;
    if (s->count)
        buf_add_u64(&cursor, s->ids[s->count - 1]);
    job_step_done(step, s->err.code, s->count ? buf_str(&cursor) : STR_NONE, s->err.code ? &s->err : NULL);
}
