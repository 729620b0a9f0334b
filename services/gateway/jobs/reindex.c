// See reindex.h.
#include "services/gateway/jobs/reindex.h"

#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "services/gateway/jobs/job_ids.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#define SLICE  100
#define KIND   "reindex"
#define MARK   "indexes" // kind of the object that says so; its key is what they are made of
#define MARKED STR_LIT("terms")

// ---- which accounts

struct reindex {
    struct store *store;
    struct jobs *jobs;
    char **accounts;
    size_t count, next;
    struct event *retry;
    uint32_t retry_ms;
};

static void look(struct reindex *r);

static struct str present(const struct reindex *r)
{
    return str_of(r->accounts[r->next]);
}

static void go_on(struct reindex *r)
{
    r->next++;
    look(r);
}

static void again_later(struct reindex *r)
{
    timer_in_ms(r->retry, r->retry_ms);
}

static void on_accepted(void *arg, int rc, const struct error *err)
{
    struct reindex *r = arg;
    if (rc == -ENOTCONN || rc == -EBUSY) {
        again_later(r);
        return;
    }
    if (rc == -ESTALE) {
        look(r);
        return;
    }
    if (rc && rc != -ETIMEDOUT)
        log_line(LOG_WARNING, "jobs", 0, "registrations of %s from before indexes are not found by them: %s",
                 r->accounts[r->next], err->text);
    jobs_wake(r->jobs);
    go_on(r);
}

static void on_mark(void *arg, int rc, const struct store_account_object *objects, size_t count,
                    uint64_t version, const struct error *err)
{
    struct reindex *r = arg;
    (void)objects, (void)err;
    if (rc) {
        again_later(r);
    } else if (count) {
        go_on(r);
    } else {
        const struct store_object_change mark = {.kind = MARK, .key = MARKED, .json = STR_LIT("true")};
        const struct store_job job = {.kind = KIND, .args = STR_LIT("{}")};
        store_account_change(r->store, present(r), version, &mark, 1, &job, on_accepted, r);
    }
}

static void on_count(void *arg, int rc, uint64_t count, const struct error *err)
{
    struct reindex *r = arg;
    (void)err;
    if (rc)
        again_later(r);
    else if (count)
        store_account_object(r->store, present(r), MARK, MARKED, on_mark, r);
    else
        go_on(r);
}

static void look(struct reindex *r)
{
    if (r->next < r->count)
        store_count(r->store, present(r), false, on_count, r);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    look(arg);
}

struct reindex *reindex_new(const struct reindex_params *p)
{
    struct reindex *r = mem_alloc(sizeof *r);
    r->store = p->store;
    r->jobs = p->jobs;
    r->accounts = mem_array(p->count + 1, sizeof *r->accounts);
    r->count = p->count;
    for (size_t i = 0; i < p->count; i++)
        r->accounts[i] = mem_dup_cstr(p->accounts[i]);
    r->retry_ms = p->retry_ms;
    r->retry = event_new(p->base, -1, 0, on_retry, r);
    look(r);
    return r;
}

bool reindex_is_over(const struct reindex *r)
{
    return r->next == r->count;
}

void reindex_free(struct reindex *r)
{
    if (!r)
        return;
    event_free(r->retry);
    for (size_t i = 0; i < r->count; i++)
        free(r->accounts[i]);
    free(r->accounts);
    free(r);
}

// ---- the job: an account's registrations in the order of their ids

struct pass {
    struct job_step *step;
    struct store *store;
    struct job_ids ids;
};

static void pass_end(struct job_ids *ids)
{
    struct pass *p = container_of(ids, struct pass, ids);
    job_ids_end(&p->ids, p->step);
    free(p);
}

static void settle(struct pass *p, int rc, const struct error *err)
{
    job_ids_note(&p->ids, rc, err);
    job_ids_settled(&p->ids);
}

static void on_indexed(void *arg, int rc, const struct error *err)
{
    settle(arg, rc, err);
}

static void on_record(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct pass *p = arg;
    if (rc)
        settle(p, rc, err);
    else
        store_index(p->store, record, on_indexed, p);
}

static void begin(struct job_ids *ids, uint64_t id)
{
    struct pass *p = container_of(ids, struct pass, ids);
    store_get(p->store, p->step->account, id, on_record, p);
}

static void on_ids(void *arg, int rc, const uint64_t *ids, size_t count, const struct error *err)
{
    struct pass *p = arg;
    job_ids_given(&p->ids, rc, ids, count, err);
}

static void reindex_step(void *arg, struct job_step *step)
{
    struct pass *p = mem_alloc(sizeof *p);
    uint64_t after = 0;
    p->step = step;
    p->store = arg;
    p->ids.store = p->store;
    p->ids.account = step->account;
    p->ids.begin = begin;
    p->ids.over = pass_end;
    if (str_to_u64(step->cursor, &after))
        after = 0; // from the beginning
    store_ids(p->store, step->account, after, SLICE, on_ids, p);
}

struct job_kind reindex_kind(struct store *store)
{
    return (struct job_kind){.name = KIND, .arg = store, .step = reindex_step};
}
