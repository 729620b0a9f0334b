// Records of jobs: which wait, who holds one, how far it got. Claims and saves do not wait for replicas: what
// a fail-over loses of them is a slice that is worked twice.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

struct look_call {
    struct store_later later;
    store_jobs_fn *fn;
    void *arg;
    unsigned answered, shards;
    struct error err; // the first one
};

static void on_look(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct look_call *c = arg;
    if (redis_err && !c->err.code)
        (void)store_error(&c->err, redis_err);
    c->shards |= redis_int(v) ? 1u << c->answered : 0; // answers come in the order of the questions
    if (++c->answered < STORE_SHARDS)
        return;
    c->fn(c->arg, c->err.code, c->err.code ? 0 : c->shards, c->err.code ? &c->err : NULL);
    free(c);
}

static void look_closing(struct store_later *l)
{
    struct look_call *c = container_of(l, struct look_call, later);
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    c->answered = STORE_SHARDS - 1;
    on_look(c, NULL, &err);
}

void store_jobs_look(struct store *s, store_jobs_fn *fn, void *arg)
{
    struct look_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, look_closing);
        return;
    }
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++) {
        struct buf jobs cleanup(buf_done) = BUF_INIT;
        key_shard(&jobs, shard, "jobs");
        redis_commandl(s->reads.redis, on_look, c, STR_LIT("EXISTS"), buf_str(&jobs));
    }
}

struct claim_call {
    struct store_later later;
    store_job_fn *fn;
    void *arg;
    struct error err;
};

static void claim_fail(struct store_later *l)
{
    struct claim_call *c = container_of(l, struct claim_call, later);
    c->fn(c->arg, c->err.code, NULL, &c->err);
    free(c);
}

static void on_claim(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct claim_call *c = arg;
    if (redis_err) {
        (void)store_error(&c->err, redis_err);
        claim_fail(&c->later);
        return;
    }
    const struct store_claimed_job job = {
        .id = (uint64_t)redis_int(redis_at(v, 0)),
        .account = redis_str(redis_at(v, 1)),
        .kind = redis_str(redis_at(v, 2)),
        .args = redis_str(redis_at(v, 3)),
        .cursor = redis_str(redis_at(v, 4)),
        .tries = (unsigned)redis_int(redis_at(v, 5)),
    };
    c->fn(c->arg, 0, redis_count(v) ? &job : NULL, NULL);
    free(c);
}

void store_job_claim(struct store *s, unsigned shard, const char *holder, uint64_t lease_ms, store_job_fn *fn,
                     void *arg)
{
    struct claim_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (store_writable(s, &c->err)) {
        store_run_later(s, &c->later, claim_fail);
        return;
    }
    struct buf jobs cleanup(buf_done) = BUF_INIT, lease cleanup(buf_done) = BUF_INIT;
    key_shard(&jobs, shard, "jobs");
    buf_add_u64(&lease, lease_ms);
    const struct str argv[] = {buf_str(&jobs), str_of(holder), buf_str(&lease)};
    redis_script(s->reads.redis, &s->job_claim, on_claim, c, 1, ARRAY_LEN(argv), argv);
}

struct save_call {
    struct store_later later;
    store_done_fn *fn;
    void *arg;
    uint64_t id;
    struct error err;
};

static void save_end(struct store_later *l)
{
    struct save_call *c = container_of(l, struct save_call, later);
    c->fn(c->arg, c->err.code, c->err.code ? &c->err : NULL);
    free(c);
}

static void on_save(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct save_call *c = arg;
    if (redis_err)
        (void)store_error(&c->err, redis_err);
    else if (!str_eq_cstr(redis_str(v), "ok"))
        (void)error_set(&c->err, -ESTALE, "job %llu has another holder now", (unsigned long long)c->id);
    save_end(&c->later);
}

void store_job_save(struct store *s, unsigned shard, uint64_t id, const char *holder, struct str cursor,
                    uint64_t lease_ms, bool finished, store_done_fn *fn, void *arg)
{
    struct save_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    c->id = id;
    if (store_writable(s, &c->err)) {
        store_run_later(s, &c->later, save_end);
        return;
    }
    struct buf jobs cleanup(buf_done) = BUF_INIT, number cleanup(buf_done) = BUF_INIT;
    struct buf lease cleanup(buf_done) = BUF_INIT;
    key_shard(&jobs, shard, "jobs");
    buf_add_u64(&number, id);
    buf_add_u64(&lease, lease_ms);
    const struct str argv[] = {buf_str(&jobs), buf_str(&number), str_of(holder),
                               cursor,         buf_str(&lease),  finished ? STR_LIT("1") : STR_LIT("0")};
    redis_script(s->reads.redis, &s->job_save, on_save, c, 1, ARRAY_LEN(argv), argv);
}
