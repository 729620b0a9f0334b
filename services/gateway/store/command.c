// Writes that change no configuration: delete and the command counters.
#include "common/base/fault.h"
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/record.h"

#include <errno.h>
#include <stdlib.h>

struct command_call {
    struct store_write w;
    store_record_fn *fn;
    void *arg;
    char *account, *traceparent, *actor;
    uint64_t id, revision;
    enum store_command command;
};

// The counters by which the owner is told.
static const char *const counters[] = {
    [STORE_REFRESH] = "refresh_seq", [STORE_FLUSH] = "flush_seq", [STORE_AUDIT] = "audit_seq"};

static struct command_call *command_call_new(struct store *s, struct str account, uint64_t id,
                                             const struct store_write_context *context)
{
    struct command_call *c = mem_alloc(sizeof *c);
    c->w.s = s;
    c->id = id;
    c->account = str_dup(account);
    c->traceparent = str_dup(context->traceparent);
    c->actor = str_dup(context->actor);
    return c;
}

static void command_call_free(struct command_call *c)
{
    free(c->account);
    free(c->traceparent);
    free(c->actor);
    free(c);
}

static void finish(struct store_write *w)
{
    struct command_call *c = container_of(w, struct command_call, w);
    c->fn(c->arg, w->err.code, NULL, w->err.code ? &w->err : NULL);
    command_call_free(c);
}

// The answer to a command is the registration as it stands now.
static void finish_with_record(struct store_write *w)
{
    struct command_call *c = container_of(w, struct command_call, w);
    if (w->err.code)
        c->fn(c->arg, w->err.code, NULL, &w->err);
    else
        store_get(w->s, str_of(c->account), c->id, c->fn, c->arg);
    command_call_free(c);
}

static void absent(struct command_call *c)
{
    (void)error_set(&c->w.err, -ENOENT, "no registration %llu in this account", (unsigned long long)c->id);
}

static void on_deleted(void *arg, const struct redis_value *v, const struct error *err)
{
    struct command_call *c = arg;
    struct store *s = c->w.s;
    if (err) {
        (void)store_error(&c->w.err, err);
    } else if (str_eq_cstr(redis_str(redis_at(v, 0)), "stale")) {
        (void)error_set(&c->w.err, -ESTALE, "registration %llu was written meanwhile",
                        (unsigned long long)c->id);
    } else if (!str_eq_cstr(redis_str(redis_at(v, 0)), "ok")) {
        absent(c);
    } else {
        FAULT_POINT("after_redis_write");
        struct store_change *gone =
            store_change_new(STORE_OP_REMOVE, c->id, (uint64_t)redis_int(redis_at(v, 1)), str_of(c->account),
                             redis_str(redis_at(v, 2)), str_of(c->traceparent));
        gone->spec = str_dup(redis_str(redis_at(v, 3)));
        gone->twin = redis_int(redis_at(v, 4)) == 1;
        struct str status = redis_str(redis_at(v, 5));
        gone->status = status.n ? str_dup(status) : NULL;
        s->params.on_written(s->params.arg, gone);
        s->params.on_events(s->params.arg, store_shard(str_of(c->account)));
    }
    store_write_answered(&c->w);
}

static void send_delete(struct store_write *w)
{
    struct command_call *c = container_of(w, struct command_call, w);
    struct buf key cleanup(buf_done) = BUF_INIT, id cleanup(buf_done) = BUF_INIT;
    struct buf due cleanup(buf_done) = BUF_INIT, event cleanup(buf_done) = BUF_INIT;
    struct buf revision cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(c->account)), c->id);
    buf_add_u64(&id, c->id);
    buf_add_u64(&due, STORE_ACK_WAIT_MS);
    struct json_writer members = json_writer(&event);
    json_kv_cstr(&members, "actor", c->actor);
    buf_add_u64(&revision, c->revision);
    const struct str argv[] = {buf_str(&key),   buf_str(&id),         str_of(c->account),
                               buf_str(&due),   str_of(w->s->source), str_of(c->traceparent),
                               buf_str(&event), buf_str(&revision)};
    redis_script(store_writer(w->s), &w->s->remove, on_deleted, c, 1, ARRAY_LEN(argv), argv);
}

void store_delete(struct store *s, struct str account, uint64_t id, uint64_t revision,
                  const struct store_write_context *context, store_record_fn *fn, void *arg)
{
    struct command_call *c = command_call_new(s, account, id, context);
    c->revision = revision;
    c->fn = fn;
    c->arg = arg;
    c->w.send = send_delete;
    c->w.finish = finish;
    store_write_begin(&c->w);
}

static void on_raised(void *arg, const struct redis_value *v, const struct error *err)
{
    struct command_call *c = arg;
    struct store *s = c->w.s;
    struct store_change *raised = err ? NULL : store_change_of_raised(v, str_of(c->traceparent));
    if (err) {
        (void)store_error(&c->w.err, err);
    } else if (!raised) {
        absent(c);
    } else {
        FAULT_POINT("after_redis_write");
        s->params.on_written(s->params.arg, raised);
    }
    store_write_answered(&c->w);
}

static void send_command(struct store_write *w)
{
    struct command_call *c = container_of(w, struct command_call, w);
    struct buf key cleanup(buf_done) = BUF_INIT, id cleanup(buf_done) = BUF_INIT,
                   due cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(c->account)), c->id);
    buf_add_u64(&id, c->id);
    buf_add_u64(&due, STORE_ACK_WAIT_MS);
    const struct str argv[] = {buf_str(&key), buf_str(&id), str_of(c->account), str_of(counters[c->command]),
                               buf_str(&due)};
    redis_script(store_writer(w->s), &w->s->raise, on_raised, c, 1, ARRAY_LEN(argv), argv);
}

void store_command(struct store *s, struct str account, uint64_t id, enum store_command command,
                   const struct store_write_context *context, store_record_fn *fn, void *arg)
{
    struct command_call *c = command_call_new(s, account, id, context);
    c->command = command;
    c->fn = fn;
    c->arg = arg;
    c->w.send = send_command;
    c->w.finish = finish_with_record;
    store_write_begin(&c->w);
}
