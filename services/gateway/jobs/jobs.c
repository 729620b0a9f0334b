// See jobs.h. A job goes back after each slice, behind those that have waited longer: one job of a million
// registrations does not hold up a small one. What a gateway knows of a job is in Redis alone.
#include "services/gateway/jobs/jobs.h"

#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/event/timer.h"
#include "common/log/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SLICES_AT_ONCE   4     // of one loop, so that the requests of its clients come between
#define LEASE_MS         10000 // a slice takes far less; a dead gateway's job waits for so long
#define TRIES_IN_SILENCE 6     // of a step that waits for what is expected to come: some 16 s
#define PAUSE_FIRST_MS   500
#define PAUSE_LAST_MS    60000

struct slice {
    struct job_step step;
    TAILQ_ENTRY(slice) link;
    struct jobs *jobs;
    unsigned shard, tries;
    uint64_t id;
    char *holder;
    char *account, *kind, *args, *cursor;
    bool got_on;
};

struct jobs {
    struct store *store;
    struct job_kind *kinds;
    size_t kind_count;
    char *holder; // of this object; each claim adds its number
    uint64_t claim_count;
    struct event *look;
    bool is_looking, look_again;
    size_t under_way;     // claims and slices
    unsigned first_shard; // of the next look: none is always the last to be asked
    TAILQ_HEAD(, slice) slices;
};

static void look(struct jobs *j);

// A claim is under way until its slice has been saved.
static void claim_ended(struct jobs *j, bool more)
{
    j->under_way--;
    if (more)
        look(j);
}

static void slice_free(struct slice *s)
{
    TAILQ_REMOVE(&s->jobs->slices, s, link);
    free(s->holder);
    free(s->account);
    free(s->kind);
    free(s->args);
    free(s->cursor);
    free(s);
}

static void on_saved(void *arg, int rc, const struct error *err)
{
    struct slice *s = arg;
    struct jobs *j = s->jobs;
    bool more = !rc && s->got_on;
    if (rc && rc != -ENOTCONN) // that is everybody's trouble, and the job comes up again when its lease ends
        log_line(LOG_WARNING, "jobs", 0, "job %llu (%s) of %s: %s", (unsigned long long)s->id, s->kind,
                 s->account, err->text);
    slice_free(s);
    claim_ended(j, more);
}

static uint64_t pause_after(unsigned tries)
{
    uint64_t pause = PAUSE_FIRST_MS;
    for (; tries > 1 && pause < PAUSE_LAST_MS; tries--)
        pause *= 2;
    return pause < PAUSE_LAST_MS ? pause : PAUSE_LAST_MS;
}

void job_step_done(struct job_step *step, int rc, struct str cursor, const struct error *err)
{
    struct slice *s = container_of(step, struct slice, step);
    struct jobs *j = s->jobs;
    s->got_on = !rc;
    if (rc && s->tries == (rc == -EAGAIN ? TRIES_IN_SILENCE : 1))
        log_line(LOG_WARNING, "jobs", 0, "job %llu (%s) of %s will be tried again: %s",
                 (unsigned long long)s->id, s->kind, s->account, err ? err->text : "its slice failed");
    bool finished = !rc && !cursor.p;
    struct str kept = rc || finished ? s->step.cursor : cursor;
    store_job_save(j->store, s->shard, s->id, s->holder, kept, rc ? pause_after(s->tries) : 0, finished,
                   on_saved, s);
}

static const struct job_kind *kind_of(const struct jobs *j, const char *name)
{
    for (size_t i = 0; i < j->kind_count; i++)
        if (str_eq_cstr(str_of(name), j->kinds[i].name))
            return &j->kinds[i];
    return NULL;
}

static void work(struct slice *s)
{
    const struct job_kind *kind = kind_of(s->jobs, s->kind);
    if (kind) {
        kind->step(kind->arg, &s->step);
        return;
    }
    struct error err; // a newer gateway accepted it: left to one of those
    job_step_done(&s->step, error_set(&err, -ENOSYS, "this gateway knows no such kind of job"), STR_NONE,
                  &err);
}

static void on_claimed(void *arg, int rc, const struct store_claimed_job *job, const struct error *err)
{
    struct slice *s = arg;
    struct jobs *j = s->jobs;
    (void)err; // the store's owner says that Redis is away
    if (rc || !job) {
        slice_free(s);
        claim_ended(j, false);
        return;
    }
    s->id = job->id;
    s->tries = job->tries;
    s->account = str_dup(job->account);
    s->kind = str_dup(job->kind);
    s->args = str_dup(job->args);
    s->cursor = str_dup(job->cursor);
    s->step = (struct job_step){.account = str_of_bytes(s->account, job->account.n),
                                .args = str_of_bytes(s->args, job->args.n),
                                .cursor = str_of_bytes(s->cursor, job->cursor.n)};
    work(s);
}

static void claim(struct jobs *j, unsigned shard)
{
    struct slice *s = mem_alloc(sizeof *s);
    struct buf holder cleanup(buf_done) = BUF_INIT;
    buf_addf(&holder, "%s-%llu", j->holder, (unsigned long long)++j->claim_count);
    s->jobs = j;
    s->shard = shard;
    s->holder = buf_steal(&holder);
    TAILQ_INSERT_TAIL(&j->slices, s, link);
    j->under_way++;
    store_job_claim(j->store, shard, s->holder, LEASE_MS, on_claimed, s);
}

static void on_looked(void *arg, int rc, unsigned shards, const struct error *err)
{
    struct jobs *j = arg;
    (void)err;
    j->is_looking = false;
    unsigned first = j->first_shard;
    for (unsigned i = 0; !rc && i < STORE_SHARDS && j->under_way < SLICES_AT_ONCE; i++) {
        unsigned shard = (first + i) % STORE_SHARDS;
        if (!(shards & 1u << shard))
            continue;
        claim(j, shard);
        j->first_shard = (shard + 1) % STORE_SHARDS;
    }
    if (j->look_again && !rc)
        look(j);
    j->look_again = false;
}

static void look(struct jobs *j)
{
    if (j->is_looking) {
        j->look_again = true; // what is new may have come after Redis had looked
        return;
    }
    if (j->under_way >= SLICES_AT_ONCE || !store_is_up(j->store))
        return;
    j->is_looking = true;
    store_jobs_look(j->store, on_looked, j);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct jobs *j = arg;
    look(j);
}

void jobs_wake(struct jobs *j)
{
    look(j);
}

struct jobs *jobs_new(const struct jobs_params *p)
{
    struct jobs *j = mem_alloc(sizeof *j);
    j->store = p->store;
    j->kind_count = p->kind_count;
    j->kinds = mem_array(p->kind_count + 1, sizeof *j->kinds);
    for (size_t i = 0; i < p->kind_count; i++)
        j->kinds[i] = p->kinds[i];
    TAILQ_INIT(&j->slices);

    unsigned char random[8]; // loops of one gateway have one name, and so may two gateways by mistake
    struct buf holder cleanup(buf_done) = BUF_INIT;
    random_bytes(random, sizeof random);
    buf_add_cstr(&holder, p->node);
    buf_add_char(&holder, '-');
    encode_hex(&holder, random, sizeof random);
    j->holder = buf_steal(&holder);

    j->look = event_new(p->base, -1, EV_PERSIST, on_time, j);
    timer_in_ms(j->look, p->interval_ms);
    return j;
}

void jobs_free(struct jobs *j)
{
    if (!j)
        return;
    struct slice *s;
    while ((s = TAILQ_FIRST(&j->slices))) // none where every step ends with the store
        slice_free(s);
    event_free(j->look);
    free(j->kinds);
    free(j->holder);
    free(j);
}
