#include "common/redis/redis.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/redis/internal.h"

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

void redis_call_answer(struct redis_call *take_call, const struct redis_value *v, const struct error *err)
{
    take_call->fn(take_call->arg, v, err);
    free(take_call->script_tail);
    free(take_call);
}

// Answers everything queued, and what the callbacks add to the same queue meanwhile.
static void answer_all(struct redis_calls *calls, size_t *count, const struct error *err)
{
    struct redis_call *call;
    while ((call = STAILQ_FIRST(calls))) {
        STAILQ_REMOVE_HEAD(calls, link);
        (*count)--;
        redis_call_answer(call, NULL, err);
    }
}

static void answer_refused(struct redis *r)
{
    struct redis_calls now;
    STAILQ_INIT(&now);
    STAILQ_CONCAT(&now, &r->refused);
    struct error err;
    error_set(&err, -ENOTCONN, "not connected to Redis");
    answer_all(&now, &r->refused_count, &err);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    redis_enter(r);
    answer_refused(r);
    redis_leave(r);
}

// ---- sending

static char *format(size_t argc, const struct str *argv, size_t *ret_bytes)
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
static void keep_script_tail(struct redis_call *call, size_t argc, const char *wire, size_t bytes)
{
    struct str digest = str_of(call->script->sha1_hex);
    size_t from = str_find_str(str_of_bytes(wire, bytes), digest) + digest.n + sizeof("\r\n") - 1;
    call->script_argc = argc;
    call->script_tail = mem_dup_bytes(wire + from, bytes - from);
    call->script_tail_bytes = bytes - from;
}

void redis_send(struct redis *r, struct redis_call *take_call, size_t argc, const struct str *argv)
{
    size_t bytes;
    char *wire = format(argc, argv, &bytes);
    if (take_call->script)
        keep_script_tail(take_call, argc, wire, bytes);
    (void)bufferevent_write(r->socket, wire, bytes);
    redisFreeCommand(wire);
    take_call->sent_us = clock_monotonic_us();
    STAILQ_INSERT_TAIL(&r->sent, take_call, link);
    r->sent_count++;
    redis_arm_deadline(r);
}

void redis_command(struct redis *r, redis_fn *fn, void *arg, size_t argc, const struct str *argv)
{
    struct redis_call *call = redis_call_new(fn, arg);
    if (r->state == REDIS_UP) {
        redis_send(r, call, argc, argv);
        return;
    }
    STAILQ_INSERT_TAIL(&r->refused, call, link);
    r->refused_count++;
    if (!r->freed)
        event_active(r->answer, EV_TIMEOUT, 0);
}

// ---- replies

bool redis_error_passes(const struct error *err)
{
    static const char *const prefixes[] = {"READONLY", "LOADING",     "MISCONF",    "OOM",      "MASTERDOWN",
                                           "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "BUSY ",    "NOAUTH",
                                           "NOPERM",   "MOVED ",      "ASK ",       "WRONGPASS"};
    struct str text = str_of(err->text);
    if (err->code != -EIO)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct str prefix = str_of(prefixes[i]);
        size_t at = str_find_str(text, prefix);
        // Redis 6 wraps what a script ran into: "ERR Error running script …: -READONLY You can't write …".
        if (at == 0 || (at < text.n && text.p[at - 1] == '-'))
            return true;
    }
    return false;
}

void redis_take_reply(struct redis *r, const struct redis_value *v)
{
    struct redis_call *call = STAILQ_FIRST(&r->sent);
    struct error err = {0};
    if (!call) {
        error_set(&err, -EPROTO, "Redis answered a command that was not sent");
        redis_drop(r, &err);
        return;
    }
    STAILQ_REMOVE_HEAD(&r->sent, link);
    r->sent_count--;
    if (redis_type(v) != REDIS_FAIL) {
        redis_call_answer(call, v, NULL);
        return;
    }
    if (redis_script_resend(r, call, v))
        return;
    struct str text = redis_str(v);
    error_set(&err, -EIO, STR_FMT, STR_ARG(text));
    // Redis 6 wraps what a script ran into: "ERR Error running script …: -READONLY You can't write …".
    bool demoted =
        str_starts(text, STR_LIT("READONLY")) || str_find_str(text, STR_LIT("-READONLY ")) < text.n;
    redis_call_answer(call, NULL, &err);
    // A master that was demoted keeps its connections: only a new one finds the present master. The callback
    // may have closed this one already.
    if (demoted && r->state == REDIS_UP)
        redis_drop(r, &err);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    redis_enter(r);
    uint64_t now_us = clock_monotonic_us();
    const struct redis_call *oldest = STAILQ_FIRST(&r->sent);
    struct error err;
    if (r->state == REDIS_CONNECTING) {
        error_set(&err, -ETIMEDOUT, "no connection to Redis within %u ms", redis_timeout_ms(r));
        redis_drop(r, &err);
    } else if (oldest && now_us - oldest->sent_us >= redis_timeout_ms(r) * UINT64_C(1000)) {
        error_set(&err, -ETIMEDOUT, "no answer from Redis within %u ms", redis_timeout_ms(r));
        redis_drop(r, &err);
    } else if (oldest) {
        redis_arm_deadline(r);
    }
    redis_leave(r);
}

// Set for the oldest command and left alone by later ones: a timer moved with each command would cost more
// than the command.
void redis_arm_deadline(struct redis *r)
{
    const struct redis_call *oldest = STAILQ_FIRST(&r->sent);
    if (!oldest || event_pending(r->deadline, EV_TIMEOUT, NULL))
        return;
    uint64_t due_us = oldest->sent_us + redis_timeout_ms(r) * UINT64_C(1000), now_us = clock_monotonic_us();
    uint64_t wait_us = due_us > now_us ? due_us - now_us : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    (void)event_add(r->deadline, &wait);
}

// ---- life

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    redis_enter(r);
    redis_link_open(r);
    redis_leave(r);
}

int redis_new(const struct redis_params *params, struct redis **ret, struct error *err)
{
    struct redis_url url;
    int rc = redis_url_parse(str_of(params->url), &url, err);
    if (rc < 0)
        return rc;
    struct redis *r = mem_alloc(sizeof(*r));
    r->params = *params;
    r->url = url;
    if (params->password) {
        if (r->url.password)
            mem_wipe(r->url.password, strlen(r->url.password));
        free(r->url.password);
        r->url.password = mem_dup_cstr(params->password);
    }
    STAILQ_INIT(&r->sent);
    STAILQ_INIT(&r->refused);
    random_bytes(&r->rng.state, sizeof(r->rng.state));
    r->retry = evtimer_new(params->base, on_retry, r);
    r->deadline = evtimer_new(params->base, on_deadline, r);
    r->answer = event_new(params->base, -1, 0, on_answer, r);
    if (!r->retry || !r->deadline || !r->answer)
        abort();
    // From the loop, so that no callback runs before redis_new has returned.
    event_active(r->retry, EV_TIMEOUT, 0);
    *ret = r;
    return 0;
}

static void destroy(struct redis *r)
{
    event_free(r->retry);
    event_free(r->deadline);
    event_free(r->answer);
    if (r->dns)
        evdns_base_free(r->dns, 0);
    redis_url_done(&r->url);
    buf_done(&r->replication_id);
    free(r);
}

void redis_enter(struct redis *r)
{
    r->depth++;
}

void redis_leave(struct redis *r)
{
    if (--r->depth == 0 && r->freed)
        destroy(r);
}

void redis_free(struct redis *r)
{
    if (!r || r->freed)
        return;
    redis_enter(r);
    r->freed = true;
    r->state = REDIS_DOWN;
    redis_link_close(r);
    (void)event_del(r->retry);
    (void)event_del(r->deadline);
    (void)event_del(r->answer);
    struct error err;
    error_set(&err, -ENOTCONN, "the connection to Redis is being closed");
    answer_all(&r->sent, &r->sent_count, &err);
    answer_all(&r->refused, &r->refused_count, &err);
    redis_leave(r);
}

bool redis_is_up(const struct redis *r)
{
    return r->state == REDIS_UP;
}

size_t redis_pending_count(const struct redis *r)
{
    return (r->state == REDIS_GREETING ? 0 : r->sent_count) + r->refused_count;
}
