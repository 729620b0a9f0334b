// What surrounds the use of a connection: the greeting (AUTH, SELECT, and INFO to see that this is a loaded
// master and which one), the loss, and the pause before the next attempt.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"
#include "common/redis/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_FIRST_MS = 50, PAUSE_MAX_MS = 2000 };

// ---- the loss

// Uniform between half and all of 50 ms · 2^n, at most 2 s: many clients of one Redis do not come back at
// once.
static void arm_retry(struct redis_conn *c)
{
    c->pause_ms = c->pause_ms ? c->pause_ms * 2 : PAUSE_FIRST_MS;
    if (c->pause_ms > PAUSE_MAX_MS)
        c->pause_ms = PAUSE_MAX_MS;
    uint64_t wait_ms = c->pause_ms / 2 + rng_below(&c->rng, c->pause_ms / 2 + 1);
    timer_in_ms(c->retry, wait_ms);
}

static void tell_down(struct redis_conn *c, const struct error *why, bool was_up)
{
    // Attempts that fail for the same reason are not told again.
    if (!was_up && c->told.code == why->code && strcmp(c->told.text, why->text) == 0)
        return;
    c->told = *why;
    if (c->params.on_down)
        c->params.on_down(c->params.arg, why);
}

void redis_drop(struct redis_conn *c, const struct error *why)
{
    struct error reason = *why; // `why` may be that of a callback which is about to be answered
    struct error lost = *why;
    if (reason.code != -ETIMEDOUT)
        lost.code = -ENOTCONN;
    bool was_up = c->state == REDIS_UP;
    struct redis_calls lost_calls;
    STAILQ_INIT(&lost_calls);
    STAILQ_CONCAT(&lost_calls, &c->sent);
    c->sent_count = 0;
    c->state = REDIS_DOWN;
    redis_link_close(c);
    (void)event_del(c->deadline);
    arm_retry(c);
    struct redis_call *call;
    while ((call = STAILQ_FIRST(&lost_calls))) {
        STAILQ_REMOVE_HEAD(&lost_calls, link);
        redis_call_answer(call, NULL, &lost);
    }
    if (!c->freed)
        tell_down(c, &reason, was_up);
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

// One run of one server. Its master_replid will not do where there is a run_id: that changes while the server
// runs, when its first replica comes, and connections of before and after that moment would never agree.
static struct str run_of(struct str info)
{
    struct str run = info_field(info, STR_LIT("run_id"));
    return run.n ? run : info_field(info, STR_LIT("master_replid"));
}

static void on_greeting(void *arg, const struct redis_value *v, const struct error *err)
{
    (void)v;
    struct redis_conn *c = arg;
    // The first refusal is the reason: what follows it is refused because of it.
    if (err && c->state == REDIS_GREETING && !c->greeting.code) {
        c->greeting = *err;
        c->greeting.code = -EACCES;
        error_prefix(&c->greeting, "Redis refused the login or the database");
    }
}

static void usable(struct redis_conn *c, struct str replication_id)
{
    c->state = REDIS_UP;
    c->known_count = 0;
    c->pause_ms = 0;
    c->told = (struct error){0};
    buf_clear(&c->replication_id);
    buf_add_str(&c->replication_id, replication_id);
    if (c->params.on_up)
        c->params.on_up(c->params.arg, buf_str(&c->replication_id));
}

// INFO, or PING where any server will do.
static void on_last(void *arg, const struct redis_value *v, const struct error *err)
{
    struct redis_conn *c = arg;
    if (c->state != REDIS_GREETING)
        return; // the connection was lost meanwhile
    struct error why = c->greeting;
    struct str info = c->params.any_role ? STR_NONE : redis_str(v);
    if (!why.code && err)
        why = *err;
    else if (!why.code && str_eq_cstr(info_field(info, STR_LIT("loading")), "1"))
        error_set(&why, -EAGAIN, "Redis is loading its data");
    else if (!why.code && str_eq_cstr(info_field(info, STR_LIT("role")), "slave"))
        error_set(&why, -EROFS, "this Redis is a replica, not the master");
    if (why.code)
        redis_drop(c, &why);
    else
        usable(c, run_of(info));
}

static void send_auth(struct redis_conn *c)
{
    const struct redis_conn_params *p = &c->params;
    struct str with_user[] = {STR_LIT("AUTH"), str_of(p->user), str_of(p->password)};
    struct str without[] = {STR_LIT("AUTH"), str_of(p->password)};
    if (p->user)
        redis_conn_write(c, redis_call_new(on_greeting, c), ARRAY_LEN(with_user), with_user);
    else
        redis_conn_write(c, redis_call_new(on_greeting, c), ARRAY_LEN(without), without);
}

void redis_greet(struct redis_conn *c)
{
    c->state = REDIS_GREETING;
    c->greeting = (struct error){0};
    (void)event_del(c->deadline);
    if (c->params.password)
        send_auth(c);
    if (c->params.db) {
        cleanup(buf_done) struct buf db = BUF_INIT;
        buf_add_u64(&db, c->params.db);
        struct str select[] = {STR_LIT("SELECT"), buf_str(&db)};
        redis_conn_write(c, redis_call_new(on_greeting, c), ARRAY_LEN(select), select);
    }
    const struct str last[] = {c->params.any_role ? STR_LIT("PING") : STR_LIT("INFO")};
    redis_conn_write(c, redis_call_new(on_last, c), ARRAY_LEN(last), last);
}
