// DELETE registrations and registrations/{USERNAME} (contract 8): what is flushed is unregistered at its
// registrar and registered anew. The answer says that it was accepted, and does not wait.
#include "common/base/mem.h"
#include "services/gateway/jobs/job_ids.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/handlers.h"

#include <errno.h>
#include <stdlib.h>

#define AT_ONCE 16 // commands under way: what other requests of this loop wait behind
#define KIND    "flush"

// ---- an account: a job, since it may have a million registrations

static void on_accepted(void *arg, int rc, const struct error *err)
{
    struct call *c = arg;
    if (rc) {
        kazoo_answer_failure(c, rc, err);
        return;
    }
    jobs_wake(c->kazoo->shared->jobs);
    kazoo_answer_data(c, 200, STR_LIT("\"ok\""));
}

void kazoo_flush_account_run(struct call *c)
{
    struct buf args cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&args);
    struct store_write_context context = dialect_write_context(&c->call);
    json_begin_object(&w);
    json_kv_str(&w, "traceparent", context.traceparent);
    json_kv_str(&w, "actor", context.actor);
    json_end_object(&w);
    const struct store_job job = {.kind = KIND, .args = buf_str(&args), .once = true};
    store_account_change(kazoo_call_store(c), str_of(c->call.account->name), STORE_ANY_VERSION, NULL, 0, &job,
                         on_accepted, c);
}

struct slice {
    struct job_step *step;
    const struct dialect_shared *shared;
    struct json *args;
    struct job_ids ids;
};

static void slice_end(struct job_ids *ids)
{
    struct slice *s = container_of(ids, struct slice, ids);
    json_free(s->args);
    job_ids_end(&s->ids, s->step);
    free(s);
}

static void on_flushed(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct slice *s = arg;
    (void)record;
    // Only a Redis that is away makes the slice come again, which flushes all of it anew. One that was
    // deleted meanwhile has nothing to flush, and one that cannot be read afterwards is flushed all the same.
    job_ids_note(&s->ids, rc, err);
    job_ids_settled(&s->ids);
}

static void flush(struct job_ids *ids, uint64_t id)
{
    struct slice *s = container_of(ids, struct slice, ids);
    const struct store_write_context context = {
        .traceparent = json_str(json_get(s->args, "traceparent")),
        .actor = json_str(json_get(s->args, "actor")),
    };
    store_command(s->shared->store, s->step->account, id, STORE_FLUSH, &context, on_flushed, s);
}

static void on_ids(void *arg, int rc, const uint64_t *ids, size_t count, const struct error *err)
{
    struct slice *s = arg;
    job_ids_given(&s->ids, rc, ids, count, err);
}

static void flush_step(void *arg, struct job_step *step)
{
    const struct dialect_shared *shared = arg;
    struct slice *s = mem_alloc(sizeof *s);
    uint64_t after = 0;
    s->step = step;
    s->shared = shared;
    s->ids.store = shared->store;
    s->ids.account = step->account;
    s->ids.begin = flush;
    s->ids.over = slice_end;
    if (json_parse(step->args, NULL, &s->args, NULL))
        s->args = NULL; // then it is flushed in nobody's name
    if (str_to_u64(step->cursor, &after))
        after = 0; // from the beginning
    store_ids(shared->store, step->account, after, JOB_IDS_MAX, on_ids, s);
}

struct job_kind kazoo_flush_kind(const struct dialect_shared *shared)
{
    return (struct job_kind){.name = KIND, .arg = (void *)(uintptr_t)shared, .step = flush_step};
}

// ---- a user name: every registration that has it. Those that have it exactly, which an index knows; where
// there is none, those that differ in case, for which the account is walked.

struct name_flush {
    struct store_walk *walk;
    bool folded; // the second walk
    size_t pending, found;
    struct error err;
};

static void name_flush_free(void *arg)
{
    struct name_flush *f = arg;
    store_walk_end(f->walk);
    free(f);
}

static bool has_name(const void *arg, const struct store_record *record)
{
    const struct call *c = arg;
    return str_ieq(str_of(record->reg.username), buf_str(&c->username));
}

static void slice_flushed(struct call *c)
{
    struct name_flush *f = c->work;
    if (f->err.code) {
        struct error err = f->err;
        kazoo_answer_failure(c, err.code, &err);
        return;
    }
    store_walk_next(f->walk);
}

static void on_name_flushed(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    struct name_flush *f = c->work;
    (void)record;
    if (rc && rc != -ENOENT && !f->err.code)
        f->err = *err;
    if (!--f->pending)
        slice_flushed(c);
}

static void walk_names(struct call *c, bool folded);

static void names_end(struct call *c)
{
    struct name_flush *f = c->work;
    if (f->found)
        kazoo_answer_data(c, 200, STR_LIT("\"ok\""));
    else if (f->folded)
        kazoo_answer_problem(c, PROBLEM_NO_USERNAME, buf_str(&c->username));
    else
        walk_names(c, true);
}

static void on_names(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct call *c = arg;
    struct name_flush *f = c->work;
    const struct store_write_context context = dialect_write_context(&c->call);
    (void)total;
    if (rc) {
        kazoo_answer_failure(c, rc, err);
        return;
    }
    if (!count) {
        names_end(c);
        return;
    }
    f->found += count;
    f->pending = count;
    for (size_t i = 0; i < count; i++)
        store_command(kazoo_call_store(c), str_of(c->call.account->name), records[i].reg.id, STORE_FLUSH,
                      &context, on_name_flushed, c);
}

static void walk_names(struct call *c, bool folded)
{
    struct name_flush *f = c->work;
    const struct store_term name = {.field = "username", .value = buf_str(&c->username)};
    const struct store_query q = {.account = str_of(c->call.account->name),
                                  .terms = &name,
                                  .term_count = folded ? 0 : 1,
                                  .keep = folded ? has_name : NULL,
                                  .keep_arg = c,
                                  .slice = AT_ONCE};
    store_walk_end(f->walk);
    f->folded = folded;
    f->walk = store_walk_begin(kazoo_call_store(c), &q, on_names, c);
}

void kazoo_flush_username_run(struct call *c)
{
    c->work = mem_alloc(sizeof(struct name_flush));
    c->work_free = name_flush_free;
    walk_names(c, false);
}

void kazoo_no_username_run(struct call *c)
{
    kazoo_answer_problem(c, PROBLEM_NO_USERNAME, buf_str(&c->username));
}
