// See flow.h: what a connection waits for, and its pings. Timers are set for the nearest deadline only and
// not moved with every message: a timer that comes too early looks again.
#include "services/registrant/transport/flow.h"

#include "common/base/clock.h"
#include "common/event/timer.h"

#include <event2/event.h>

#define PING STR_LIT("\r\n\r\n")
#define PONG STR_LIT("\r\n")

// ---- the timer

static void nearer(uint64_t *due_us, uint64_t at_us)
{
    if (at_us && (!*due_us || at_us < *due_us))
        *due_us = at_us;
}

static uint64_t next_due(const struct flow *f)
{
    uint64_t due_us = f->by.up_by_us;
    nearer(&due_us, f->by.message_by_us);
    nearer(&due_us, f->by.write_by_us);
    if (!f->by.message_by_us)
        nearer(&due_us, f->by.pong_by_us);
    nearer(&due_us, f->by.ping_at_us);
    return due_us;
}

void flow_arm(struct flow *f, uint64_t now_us)
{
    uint64_t due_us = next_due(f);
    if (!f->timer || !due_us || (f->armed_us && f->armed_us <= due_us))
        return;
    f->armed_us = due_us;
    timer_at_us(f->timer, due_us, now_us);
}

static bool is_past(uint64_t at_us, uint64_t now_us)
{
    return at_us && now_us >= at_us;
}

// ---- pings

static uint64_t interval_us(struct flow *f)
{
    const struct transport_times *times = &f->t->times;
    return transport_interval_ms(f->t, times->ping_min_ms, times->ping_max_ms, f->flow_timer_s) * 1000;
}

void flow_plan_ping(struct flow *f, uint64_t now_us)
{
    f->by.ping_at_us = now_us + interval_us(f);
}

static void say(struct flow *f, struct str line_ends)
{
    if (flow_send(f, line_ends) == 0)
        flow_write(f);
}

void flow_pong(struct flow *f)
{
    f->owes_pong = false;
    say(f, PONG);
}

// Where something waits to be written it does what a ping would, and its own deadline tells the same.
static void ping(struct flow *f, uint64_t now_us)
{
    if (f->out.n)
        return;
    f->t->stats.pings++;
    f->pinged = true;
    if ((f->required || f->answers) && !f->by.pong_by_us)
        f->by.pong_by_us = now_us + f->t->times.pong_ms * UINT64_C(1000);
    say(f, PING);
}

void flow_line_end(struct flow *f, bool second)
{
    if (f->pinged && !f->incoming) {
        f->pinged = false;
        f->answers = true;
        f->by.pong_by_us = 0;
        f->t->stats.pongs++;
    } else if (second) {
        f->owes_pong = true;
    }
}

void flow_keep_alive(struct flow *f, uint32_t flow_timer_s)
{
    uint64_t now_us = clock_monotonic_us();
    f->used_us = now_us;
    if (f->required && f->flow_timer_s == flow_timer_s)
        return;
    f->required = true;
    f->flow_timer_s = flow_timer_s;
    if (f->state != FLOW_UP)
        return;
    flow_plan_ping(f, now_us);
    flow_arm(f, now_us);
}

// ---- deadlines

static bool incoming_is_idle(struct flow *f, uint64_t now_us)
{
    uint64_t idle_at_us = f->active_us + f->t->times.incoming_idle_ms * UINT64_C(1000);
    f->by.ping_at_us = idle_at_us;
    return is_past(idle_at_us, now_us);
}

// A ping is due, or a look at whether the connection is of any use.
static void ping_is_due(struct flow *f, uint64_t now_us)
{
    if (f->incoming) {
        if (incoming_is_idle(f, now_us))
            flow_lose(f, "idle");
        return;
    }
    if (now_us - f->used_us >= f->t->times.idle_ms * UINT64_C(1000)) {
        flow_lose(f, "unused");
        return;
    }
    uint64_t interval = interval_us(f);
    bool idle = f->required || now_us - f->active_us >= interval;
    f->by.ping_at_us = (idle ? now_us : f->active_us) + interval;
    if (idle)
        ping(f, now_us);
}

// RFC 5626 4.4.1: a message that is coming in is given its time, and the pong behind it.
static bool pong_failed(const struct flow *f, uint64_t now_us)
{
    return is_past(f->by.pong_by_us, now_us) && !f->by.message_by_us;
}

void flow_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct flow *f = arg;
    uint64_t now_us = clock_monotonic_us();
    f->armed_us = 0;
    if (is_past(f->by.up_by_us, now_us))
        flow_lose(f, f->state == FLOW_HANDSHAKE ? "the TLS handshake timed out" : "the connection timed out");
    else if (is_past(f->by.write_by_us, now_us))
        flow_lose(f, "the registrar does not read");
    else if (is_past(f->by.message_by_us, now_us))
        flow_lose(f, "a message did not end");
    else if (pong_failed(f, now_us))
        flow_lose(f, "the registrar does not answer pings");
    else if (is_past(f->by.ping_at_us, now_us))
        ping_is_due(f, now_us);
    if (f->state != FLOW_LOST)
        flow_arm(f, now_us);
}
