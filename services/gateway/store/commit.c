// When a write counts as written. Without ROLLCALL_REDIS_WAIT that is Redis's answer. With it, writes go in
// groups: WAIT blocks its connection, so all that come while one is under way are held, then sent together
// with the next.
#include "common/base/buf.h"
#include "services/gateway/store/internal.h"

#include <errno.h>

static void finish_later(struct store_later *l)
{
    struct store_write *w = container_of(l, struct store_write, later);
    w->finish(w);
}

void store_write_fail(struct store_write *w)
{
    store_run_later(w->s, &w->later, finish_later);
}

static void commit_held(struct store *s);

static void end_commit(struct store *s, const struct error *why)
{
    struct store_writes done = STAILQ_HEAD_INITIALIZER(done);
    STAILQ_CONCAT(&done, &s->committing);
    commit_held(s); // first, so that nobody's answer delays it
    struct store_write *w;
    while ((w = STAILQ_FIRST(&done))) {
        STAILQ_REMOVE_HEAD(&done, link);
        if (!w->err.code)
            w->err = *why;
        w->finish(w);
    }
}

static void on_replicas(void *arg, const struct redis_value *v, const struct error *err)
{
    struct store *s = arg;
    struct error why = {0};
    if (err)
        (void)store_error(&why, err);
    else if (redis_int(v) < (int64_t)s->params.wait_replicas)
        (void)error_set(&why, -ETIMEDOUT, "%lld of %u replicas confirmed the write within %u ms",
                        (long long)redis_int(v), s->params.wait_replicas, s->params.wait_timeout_ms);
    end_commit(s, &why);
}

static void ask_replicas(struct store *s)
{
    struct buf count cleanup(buf_done) = BUF_INIT, timeout cleanup(buf_done) = BUF_INIT;
    buf_add_u64(&count, s->params.wait_replicas);
    buf_add_u64(&timeout, s->params.wait_timeout_ms ? s->params.wait_timeout_ms : 1); // 0 is for ever
    redis_commandl(s->waits.redis, on_replicas, s, STR_LIT("WAIT"), buf_str(&count), buf_str(&timeout));
}

static void commit_held(struct store *s)
{
    if (s->closing)
        return;
    STAILQ_CONCAT(&s->committing, &s->held);
    struct store_write *w;
    STAILQ_FOREACH(w, &s->committing, link) {
        s->unanswered++;
        w->send(w);
    }
}

void store_write_begin(struct store_write *w)
{
    struct store *s = w->s;
    if (store_writable(s, &w->err)) {
        store_write_fail(w);
        return;
    }
    if (!s->waits.redis) {
        w->send(w);
        return;
    }
    STAILQ_INSERT_TAIL(&s->held, w, link);
    if (STAILQ_EMPTY(&s->committing))
        commit_held(s);
}

// WAIT follows the last answer, not the last script: a script that Redis did not know yet is sent a second
// time.
void store_write_answered(struct store_write *w)
{
    struct store *s = w->s;
    if (!s->waits.redis) {
        w->finish(w);
        return;
    }
    if (--s->unanswered)
        return;
    if (!s->closing) {
        ask_replicas(s);
        return;
    }
    struct error why;
    (void)error_set(&why, -ENOTCONN, "the store is closing");
    end_commit(s, &why);
}

void store_commit_close(struct store *s)
{
    struct store_write *w;
    while ((w = STAILQ_FIRST(&s->held))) {
        STAILQ_REMOVE_HEAD(&s->held, link);
        (void)error_set(&w->err, -ENOTCONN, "the store is closing");
        store_write_fail(w);
    }
}
