// What surrounds the use of a connection: the greeting (AUTH, SELECT, and INFO to see that this is a loaded
// master and which one), the loss, and the pause before the next attempt.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/redis/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_FIRST_MS = 50, PAUSE_MAX_MS = 2000, TIMEOUT_DEFAULT_MS = 5000 };

uint32_t redis_timeout_ms(const struct redis *r)
{
    return r->params.command_timeout_ms ? r->params.command_timeout_ms : TIMEOUT_DEFAULT_MS;
}

// ---- the loss

// Uniform between half and all of 50 ms · 2^n, at most 2 s: many clients of one Redis do not come back at
// once.
static void arm_retry(struct redis *r)
{
    r->pause_ms = r->pause_ms ? r->pause_ms * 2 : PAUSE_FIRST_MS;
    if (r->pause_ms > PAUSE_MAX_MS)
        r->pause_ms = PAUSE_MAX_MS;
    uint64_t wait_ms = r->pause_ms / 2 + rng_below(&r->rng, r->pause_ms / 2 + 1);
    struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
                           .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
    (void)event_add(r->retry, &wait);
}

static void tell_down(struct redis *r, const struct error *why, bool was_up)
{
    // Attempts that fail for the same reason are not told again.
    if (!was_up && r->told.code == why->code && strcmp(r->told.text, why->text) == 0)
        return;
    r->told = *why;
    if (r->params.on_down)
        r->params.on_down(r->params.arg, why);
}

void redis_drop(struct redis *r, const struct error *why)
{
    struct error reason = *why; // `why` may be that of a callback which is about to be answered
    struct error lost = *why;
    if (reason.code != -ETIMEDOUT)
        lost.code = -ENOTCONN;
    bool was_up = r->state == REDIS_UP;
    struct redis_calls lost_calls;
    STAILQ_INIT(&lost_calls);
    STAILQ_CONCAT(&lost_calls, &r->sent);
    r->sent_count = 0;
    r->state = REDIS_DOWN;
    redis_link_close(r);
    (void)event_del(r->deadline);
    arm_retry(r);
    struct redis_call *call;
    while ((call = STAILQ_FIRST(&lost_calls))) {
        STAILQ_REMOVE_HEAD(&lost_calls, link);
        redis_call_answer(call, NULL, &lost);
    }
    if (!r->freed)
        tell_down(r, &reason, was_up);
}

// ---- the greeting

static struct str info_field(struct str info, struct str name)
{
    struct str line;
    while (str_split(&info, '\n', &line)) {
        line = str_trim(line);
        if (str_starts(line, name) && line.n > name.n && line.p[name.n] == ':')
            return str_slice(line, name.n + 1, line.n);
    }
    return STR_NONE;
}

static void on_greeting(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)v;
    struct redis *r = arg;
    // The first refusal is the reason: what follows it is refused because of it.
    if (err && r->state == REDIS_GREETING && !r->greeting.code) {
        r->greeting = *err;
        r->greeting.code = -EACCES;
        error_prefix(&r->greeting, "Redis refused the login or the database");
    }
}

static void on_info(void *arg, const struct redis_value *v, const struct error *err)
{
    struct redis *r = arg;
    if (r->state != REDIS_GREETING)
        return; // the connection was lost meanwhile
    struct error why = r->greeting;
    struct str info = redis_str(v), id = info_field(info, STR_LIT("master_replid"));
    if (!why.code && err)
        why = *err;
    else if (!why.code && str_eq_cstr(info_field(info, STR_LIT("loading")), "1"))
        error_set(&why, -EAGAIN, "Redis is loading its data");
    else if (!why.code && str_eq_cstr(info_field(info, STR_LIT("role")), "slave"))
        error_set(&why, -EROFS, "this Redis is a replica, not the master");
    if (why.code) {
        redis_drop(r, &why);
        return;
    }
    r->state = REDIS_UP;
    r->pause_ms = 0;
    r->told = (struct error){0};
    buf_clear(&r->replication_id);
    buf_add_str(&r->replication_id, id);
    if (r->params.on_up)
        r->params.on_up(r->params.arg, buf_str(&r->replication_id));
}

static void send_auth(struct redis *r)
{
    const struct redis_url *url = &r->url;
    struct str with_user[] = {STR_LIT("AUTH"), str_of(url->user), str_of(url->password)};
    struct str without[] = {STR_LIT("AUTH"), str_of(url->password)};
    if (url->user)
        redis_send(r, redis_call_new(on_greeting, r), ARRAY_LEN(with_user), with_user);
    else
        redis_send(r, redis_call_new(on_greeting, r), ARRAY_LEN(without), without);
}

void redis_greet(struct redis *r)
{
    r->state = REDIS_GREETING;
    r->greeting = (struct error){0};
    (void)event_del(r->deadline);
    if (r->url.password)
        send_auth(r);
    if (r->url.db) {
        cleanup(buf_done) struct buf db = BUF_INIT;
        buf_add_u64(&db, r->url.db);
        struct str select[] = {STR_LIT("SELECT"), buf_str(&db)};
        redis_send(r, redis_call_new(on_greeting, r), ARRAY_LEN(select), select);
    }
    struct str info[] = {STR_LIT("INFO")};
    redis_send(r, redis_call_new(on_info, r), ARRAY_LEN(info), info);
}
