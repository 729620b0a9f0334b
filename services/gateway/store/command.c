// Writes that change no configuration: the command counters.
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
    uint64_t id;
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
