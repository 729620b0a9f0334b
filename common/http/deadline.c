// Deadlines of connections. One queue for each kind of waiting, all of one length, so setting and lifting a
// deadline is a list operation and one timer serves them all.
#include "common/base/clock.h"
#include "common/event/timer.h"
#include "common/http/server.h"

#include <stdlib.h>

#define LINGER_MS       1000
#define BYTES_PER_S_MIN 512

static uint64_t wait_us(const struct http_limits *limits, enum wait_for what)
{
    const uint64_t ms[WAIT_NOTHING] = {
        [WAIT_HANDSHAKE] = limits->header_timeout_ms,
        [WAIT_REQUEST] = limits->idle_timeout_ms,
        [WAIT_HEAD] = limits->header_timeout_ms,
        [WAIT_BODY] = limits->body_timeout_ms,
        [WAIT_UPLOAD] = limits->body_timeout_ms,
        [WAIT_TAKE] = limits->body_timeout_ms,
        [WAIT_LATE] = limits->late_ms,
        [WAIT_LINGER] = LINGER_MS,
    };
    return ms[what] * 1000;
}

static uint64_t taken_bytes(const struct conn *c)
{
    return c->given_bytes - evbuffer_get_length(bufferevent_get_output(c->bev));
}

// Whether so many bytes since the last look are enough to go on.
static bool is_fast(const struct conn *c, uint64_t bytes)
{
    uint64_t least = (uint64_t)BYTES_PER_S_MIN * c->server->params.limits.body_timeout_ms / 1000;
    return bytes && bytes >= least;
}

bool deadline_is_fast_upload(const struct conn *c)
{
    return is_fast(c, c->upload_bytes - c->upload_mark);
}

static void expire(struct conn *c, enum wait_for what)
{
    deadline_set(c, WAIT_NOTHING);
    if (what == WAIT_HEAD || what == WAIT_BODY)
        server_limited(c->server, HTTP_LIMIT_SLOW);
    switch (what) {
    case WAIT_HEAD:
        conn_fail(c, 408, "The header took too long");
        break;
    case WAIT_BODY:
        conn_fail(c, 408, "The body took too long");
        break;
    case WAIT_TAKE:
        if (is_fast(c, taken_bytes(c) - c->taken_mark)) {
            deadline_set(c, WAIT_TAKE);
            return;
        }
        server_limited(c->server, HTTP_LIMIT_SLOW);
        c->broken = true;
        break;
    case WAIT_UPLOAD:
        upload_expire(c);
        break;
    case WAIT_LINGER:
        // who was answered in the middle of sending may not look before it has sent a good part
        if (c->uploading && c->thrown_bytes > c->thrown_mark && c->deadline_us < c->linger_until_us) {
            deadline_set(c, WAIT_LINGER);
            return;
        }
        c->broken = true;
        break;
    case WAIT_LATE:
        conn_say_late(c);
        break;
    case WAIT_HANDSHAKE:
    case WAIT_REQUEST:
    case WAIT_NOTHING:
        c->broken = true;
        break;
    }
    conn_run(c);
}

static void arm(struct http_server *s, uint64_t at_us, uint64_t now_us)
{
    timer_at_us(s->timer, at_us, now_us);
    s->timer_us = at_us;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;
    uint64_t now_us = clock_monotonic_us(), next_us = UINT64_MAX;
    s->timer_us = UINT64_MAX;
    for (int i = 0; i < WAIT_NOTHING; i++) {
        struct conn *c;
        while ((c = TAILQ_FIRST(&s->queues[i])) && c->deadline_us <= now_us)
            expire(c, (enum wait_for)i);
        if (c && c->deadline_us < next_us)
            next_us = c->deadline_us;
    }
    if (next_us < s->timer_us)
        arm(s, next_us, now_us);
}

void deadline_init(struct http_server *s)
{
    for (int i = 0; i < WAIT_NOTHING; i++)
        TAILQ_INIT(&s->queues[i]);
    s->timer_us = UINT64_MAX;
    s->timer = event_new(s->params.base, -1, 0, on_timer, s);
    if (!s->timer)
        abort();
}

void deadline_done(struct http_server *s)
{
    event_free(s->timer);
}

void deadline_set(struct conn *c, enum wait_for what)
{
    struct http_server *s = c->server;
    if (c->waiting != WAIT_NOTHING)
        TAILQ_REMOVE(&s->queues[c->waiting], c, in_queue);
    c->waiting = what;
    if (what == WAIT_NOTHING)
        return;
    uint64_t now_us = clock_monotonic_us();
    c->deadline_us = now_us + wait_us(&s->params.limits, what);
    if (what == WAIT_UPLOAD)
        c->upload_mark = c->upload_bytes;
    if (what == WAIT_LINGER) {
        c->thrown_mark = c->thrown_bytes;
        if (!c->linger_until_us)
            c->linger_until_us = now_us + wait_us(&s->params.limits, WAIT_BODY);
    }
    if (what == WAIT_TAKE)
        c->taken_mark = taken_bytes(c);
    TAILQ_INSERT_TAIL(&s->queues[what], c, in_queue);
    if (c->deadline_us < s->timer_us)
        arm(s, c->deadline_us, now_us);
}

struct conn *deadline_idlest(struct http_server *s)
{
    static const enum wait_for answered[] = {WAIT_LINGER, WAIT_LATE};
    static const enum wait_for waits[] = {WAIT_REQUEST, WAIT_HEAD, WAIT_BODY, WAIT_HANDSHAKE};
    struct conn *idlest = NULL;
    uint64_t since_us = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(answered); i++) {
        struct conn *c = TAILQ_FIRST(&s->queues[answered[i]]);
        if (c && !c->running)
            return c;
    }
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        struct conn *c = TAILQ_FIRST(&s->queues[waits[i]]);
        uint64_t its_us = c ? c->deadline_us - wait_us(&s->params.limits, waits[i]) : UINT64_MAX;
        if (!c || c->running || its_us >= since_us)
            continue;
        idlest = c;
        since_us = its_us;
    }
    return idlest;
}
