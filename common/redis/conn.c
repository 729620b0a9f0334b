// See conn.h: life of a connection, and commands that go over it.
#include "common/redis/conn.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_ON_STACK = 32 };

struct redis_call *redis_call_new(redis_fn *fn, void *arg)
{
    struct redis_call *call = mem_alloc(sizeof(*call));
    call->fn = fn;
    call->arg = arg;
    return call;
}

void redis_call_free(struct redis_call *call)
{
    free(call->script_tail);
    free(call);
}

void redis_call_answer(struct redis_call *take_call, const struct redis_value *v, const struct error *err)
{
    take_call->fn(take_call->arg, v, err);
    redis_call_free(take_call);
}

// ---- sending

char *redis_format(size_t argc, const struct str *argv, size_t *ret_bytes)
{
    const char *texts_few[ARGS_ON_STACK] = {0}, **texts = texts_few;
    size_t sizes_few[ARGS_ON_STACK] = {0}, *sizes = sizes_few;
    if (argc > ARGS_ON_STACK) {
        texts = mem_array(argc, sizeof(*texts));
        sizes = mem_array(argc, sizeof(*sizes));
    }
    for (size_t i = 0; i < argc; i++) {
        texts[i] = argv[i].p ? argv[i].p : "";
        sizes[i] = argv[i].n;
    }
    char *wire = NULL;
    int bytes = redisFormatCommandArgv(&wire, (int)argc, texts, sizes);
    if (texts != texts_few)
        free(texts);
    if (sizes != sizes_few)
        free(sizes);
    if (bytes < 0)
        abort(); // hiredis fails here only when memory is out
    *ret_bytes = (size_t)bytes;
    return wire;
}

// What the repetition as EVAL needs: all after the digest, which is the second argument.
static void keep_script_tail(struct redis_call *call, size_t argc, struct str wire)
{
    struct str digest = str_of(call->script->sha1_hex);
    size_t from = str_find_str(wire, digest) + digest.n + sizeof("\r\n") - 1;
    free(call->script_tail);
    call->script_argc = argc;
    call->script_tail = mem_dup_bytes(wire.p + from, wire.n - from);
    call->script_tail_bytes = wire.n - from;
}

// Set for the oldest command and left alone by later ones: a timer moved with each command would cost more
// than the command.
static void arm_deadline(struct redis_conn *c)
{
    const struct redis_call *oldest = STAILQ_FIRST(&c->sent);
    if (!oldest || event_pending(c->deadline, EV_TIMEOUT, NULL))
        return;
    timer_at_us(c->deadline, oldest->sent_us + c->params.timeout_ms * UINT64_C(1000), clock_monotonic_us());
}

void redis_conn_queue(struct redis_conn *c, struct redis_call *take_call)
{
    take_call->sent_us = clock_monotonic_us();
    STAILQ_INSERT_TAIL(&c->sent, take_call, link);
    c->sent_count++;
    arm_deadline(c);
}

// What ASKING answers is of no interest: the command after it tells.
static void on_asking(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)arg, (void)v, (void)err;
}

void redis_conn_asking(struct redis_conn *c, const struct redis_call *before)
{
    const struct str asking[] = {STR_LIT("ASKING")};
    if (before->asking)
        redis_conn_write(c, redis_call_new(on_asking, NULL), ARRAY_LEN(asking), asking);
}

static void write_wire(struct redis_conn *c, struct redis_call *take_call, size_t argc, struct str wire)
{
    redis_conn_asking(c, take_call);
    if (take_call->script)
        keep_script_tail(take_call, argc, wire);
    if (!take_call->script || !redis_script_send_whole(c, take_call))
        (void)bufferevent_write(c->socket, wire.p, wire.n);
    redis_conn_queue(c, take_call);
}

void redis_conn_write(struct redis_conn *c, struct redis_call *take_call, size_t argc, const struct str *argv)
{
    size_t bytes;
    char *wire = redis_format(argc, argv, &bytes);
    write_wire(c, take_call, argc, str_of_bytes(wire, bytes));
    redisFreeCommand(wire);
}

bool redis_conn_send(struct redis_conn *c, struct redis_call *take_call, size_t argc, const struct str *argv)
{
    if (c->state != REDIS_UP)
        return false;
    redis_conn_write(c, take_call, argc, argv);
    return true;
}

bool redis_conn_send_wire(struct redis_conn *c, struct redis_call *take_call, size_t argc, struct str wire)
{
    if (c->state != REDIS_UP)
        return false;
    write_wire(c, take_call, argc, wire);
    return true;
}

// ---- replies

void redis_take_reply(struct redis_conn *c, const struct redis_value *v)
{
    struct redis_call *call = STAILQ_FIRST(&c->sent);
    struct error err = {0};
    if (!call) {
        error_set(&err, -EPROTO, "Redis answered a command that was not sent");
        redis_drop(c, &err);
        return;
    }
    STAILQ_REMOVE_HEAD(&c->sent, link);
    c->sent_count--;
    if (redis_type(v) != REDIS_FAIL) {
        redis_call_answer(call, v, NULL);
        return;
    }
    if (redis_script_resend(c, call, v))
        return;
    struct str text = redis_str(v);
    error_set(&err, -EIO, STR_FMT, STR_ARG(text));
    // Redis 6 wraps what a script ran into: "ERR Error running script …: -READONLY You can't write …".
    bool demoted =
        str_starts(text, STR_LIT("READONLY")) || str_find_str(text, STR_LIT("-READONLY ")) < text.n;
    redis_call_answer(call, NULL, &err);
    // A master that was demoted keeps its connections: only a new one finds the present master. The callback
    // may have closed this one already.
    if (demoted && c->state == REDIS_UP)
        redis_drop(c, &err);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_conn *c = arg;
    redis_conn_enter(c);
    uint64_t now_us = clock_monotonic_us();
    const struct redis_call *oldest = STAILQ_FIRST(&c->sent);
    struct error err;
    if (c->state == REDIS_CONNECTING) {
        error_set(&err, -ETIMEDOUT, "no connection to Redis within %u ms", c->params.timeout_ms);
        redis_drop(c, &err);
    } else if (oldest && now_us - oldest->sent_us >= c->params.timeout_ms * UINT64_C(1000)) {
        error_set(&err, -ETIMEDOUT, "no answer from Redis within %u ms", c->params.timeout_ms);
        redis_drop(c, &err);
    } else if (oldest) {
        arm_deadline(c);
    }
    redis_conn_leave(c);
}

// ---- life

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis_conn *c = arg;
    redis_conn_enter(c);
    if (c->params.on_attempt)
        c->params.on_attempt(c->params.arg);
    redis_link_open(c);
    redis_conn_leave(c);
}

struct redis_conn *redis_conn_new(const struct redis_conn_params *params)
{
    struct redis_conn *c = mem_alloc(sizeof(*c));
    c->params = *params;
    STAILQ_INIT(&c->sent);
    random_bytes(&c->rng.state, sizeof(c->rng.state));
    c->retry = evtimer_new(params->base, on_retry, c);
    c->deadline = evtimer_new(params->base, on_deadline, c);
    if (!c->retry || !c->deadline)
        abort();
    return c;
}

// From the loop, so that no callback runs inside the call.
static void begin(struct redis_conn *c, bool first)
{
    if (first && !c->freed)
        event_active(c->retry, EV_TIMEOUT, 0);
}

void redis_conn_target(struct redis_conn *c, const char *host, uint16_t port)
{
    bool first = !c->host;
    char *copy = mem_dup_cstr(host); // may be the one that is replaced
    free(c->host);
    c->host = copy;
    c->port = port;
    begin(c, first);
}

void redis_conn_target_path(struct redis_conn *c, const char *path)
{
    c->path = mem_dup_cstr(path);
    begin(c, true);
}

void redis_conn_go(struct redis_conn *c, const char *host, uint16_t port, const struct error *why)
{
    bool first = !c->host;
    redis_conn_enter(c);
    redis_conn_target(c, host, port);
    if (c->state != REDIS_DOWN)
        redis_drop(c, why);
    c->pause_ms = 0;
    (void)event_del(c->retry);
    begin(c, !first || c->state == REDIS_DOWN);
    redis_conn_leave(c);
}

static void destroy(struct redis_conn *c)
{
    event_free(c->retry);
    event_free(c->deadline);
    if (c->dns)
        evdns_base_free(c->dns, 0);
    free(c->host);
    free(c->path);
    buf_done(&c->replication_id);
    free(c);
}

void redis_conn_enter(struct redis_conn *c)
{
    c->depth++;
}

void redis_conn_leave(struct redis_conn *c)
{
    if (--c->depth == 0 && c->freed)
        destroy(c);
}

void redis_conn_free(struct redis_conn *c)
{
    if (!c || c->freed)
        return;
    redis_conn_enter(c);
    c->freed = true;
    c->state = REDIS_DOWN;
    redis_link_close(c);
    (void)event_del(c->retry);
    (void)event_del(c->deadline);
    struct error err;
    error_set(&err, -ENOTCONN, "the connection to Redis is being closed");
    struct redis_call *call;
    while ((call = STAILQ_FIRST(&c->sent))) {
        STAILQ_REMOVE_HEAD(&c->sent, link);
        c->sent_count--;
        redis_call_answer(call, NULL, &err);
    }
    redis_conn_leave(c);
}

bool redis_conn_is_up(const struct redis_conn *c)
{
    return c->state == REDIS_UP;
}
