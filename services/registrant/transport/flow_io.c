// See flow.h: what happens when a connection's socket can be read or written.
#include "services/registrant/transport/flow.h"

#include "common/base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#define READS_TURN          8      // of one connection before others have theirs
#define STRANGER_TURN_BYTES 4096   // of one that another made: there may be a thousand that never pause
#define TRIM_BYTES          262144 // written, at the front of what waits

// ---- writing

// Something that came just before it broke (an answer, TLS's alert) may still lie there to be read, and tells
// more than that writing failed.
static void broke(struct flow *f)
{
    f->broken = true;
    buf_done(&f->out);
    f->out_taken = 0;
    f->by.write_by_us = 0;
    event_active(f->readable, EV_READ, 0);
}

// One that always has something waiting would otherwise keep all that it ever sent.
static void trim_out(struct flow *f)
{
    if (f->out_taken < TRIM_BYTES)
        return;
    memmove(f->out.p, f->out.p + f->out_taken, f->out.n - f->out_taken);
    f->out.n -= f->out_taken;
    f->out_taken = 0;
}

static void wait_to_write(struct flow *f, uint64_t now_us)
{
    trim_out(f);
    if (f->wire.needs_write)
        (void)event_add(f->writable, NULL);
    if (!f->by.write_by_us) {
        f->by.write_by_us = now_us + f->t->times.write_ms * UINT64_C(1000);
        flow_arm(f, now_us);
    }
}

void flow_write(struct flow *f)
{
    if (f->state != FLOW_UP || f->broken || f->out.n == f->out_taken)
        return;
    struct buf cause cleanup(buf_done) = BUF_INIT;
    uint64_t now_us = clock_monotonic_us();
    f->active_us = now_us;
    while (f->out_taken < f->out.n) {
        ssize_t n = wire_write(&f->wire, f->out.p + f->out_taken, f->out.n - f->out_taken, &cause);
        if (n == -EAGAIN) {
            wait_to_write(f, now_us);
            return;
        }
        if (n < 0) {
            buf_add_str(&f->cause, buf_str(&cause));
            broke(f);
            return;
        }
        f->out_taken += (size_t)n;
        f->by.write_by_us = 0;
    }
    buf_done(&f->out); // most connections are idle most of the time
    f->out_taken = 0;
}

// ---- reading

static void deliver(struct flow *f, struct str message)
{
    struct transport *t = f->t;
    const struct transport_path path = {
        .kind = f->kind, .from = f->peer, .flow = f->number, .local = f->local->text};
    t->stats.received++;
    t->ops.message(t->arg, &path, message);
}

// Gives out every whole piece; how many bytes that were, or -EINVAL.
static ssize_t take_pieces(struct flow *f, struct str bytes)
{
    size_t taken = 0;
    struct str piece;
    while (f->state == FLOW_UP) {
        enum frame_kind kind = frame_next(&f->frame, str_slice(bytes, taken, bytes.n), &piece);
        if (kind == FRAME_MORE)
            break;
        if (kind == FRAME_BAD)
            return -EINVAL;
        taken += piece.n;
        if (kind == FRAME_MESSAGE)
            deliver(f, piece);
        else
            flow_line_end(f, kind == FRAME_PING);
    }
    return (ssize_t)taken;
}

// Keeps what is left for when more comes; its deadline stands from the message's first bytes on.
static void keep_rest(struct flow *f, struct str rest, bool new_one)
{
    if (rest.n == 0) {
        buf_done(&f->in);
        f->by.message_by_us = 0;
        flow_arm(f, f->active_us); // a pong may be overdue that the message held up
        return;
    }
    struct buf kept = BUF_INIT;
    buf_add_str(&kept, rest);
    buf_done(&f->in);
    f->in = kept;
    if (!new_one && f->by.message_by_us)
        return;
    f->by.message_by_us = f->active_us + f->t->times.message_ms * UINT64_C(1000);
    flow_arm(f, f->active_us);
}

static void came(struct flow *f, struct str bytes)
{
    f->active_us = f->heard_us = clock_monotonic_us();
    bool joined = f->in.n > 0;
    if (joined) {
        buf_add_str(&f->in, bytes);
        bytes = buf_str(&f->in);
    }
    ssize_t taken = take_pieces(f, bytes);
    if (taken < 0) {
        f->t->stats.malformed++;
        flow_lose(f, "what comes is not SIP");
        return;
    }
    if (f->state == FLOW_UP && (taken || !joined))
        keep_rest(f, str_slice(bytes, (size_t)taken, bytes.n), taken > 0);
    if (f->state == FLOW_UP && f->owes_pong)
        flow_pong(f);
}

static void read_up(struct flow *f)
{
    struct buf cause cleanup(buf_done) = BUF_INIT;
    unsigned turn = f->incoming ? 1 : READS_TURN;
    size_t size = f->incoming ? STRANGER_TURN_BYTES : sizeof(f->t->read);
    for (unsigned i = 0; i < turn && f->state == FLOW_UP; i++) {
        ssize_t n = wire_read(&f->wire, f->t->read, size, &cause);
        if (n > 0) {
            came(f, str_of_bytes(f->t->read, (size_t)n));
            if (!f->wire.ssl && n < (ssize_t)size && !f->broken)
                return; // the loop calls again if more came meanwhile
            continue;
        }
        if (n == -EAGAIN && f->wire.needs_write)
            (void)event_add(f->writable, NULL);
        if (n != -EAGAIN)
            buf_clear(&f->cause);
        if (n != -EAGAIN || f->broken)
            flow_lose(f, cause.p);
        return;
    }
    if (f->state == FLOW_UP && (wire_has_more(&f->wire) || f->broken))
        event_active(f->readable, EV_READ, 0);
}

// ---- coming up

static void is_up(struct flow *f)
{
    struct transport *t = f->t;
    f->state = FLOW_UP;
    f->by.up_by_us = 0;
    t->stats.connected++;
    t->stats.connections++;
    f->active_us = clock_monotonic_us();
    flow_plan_ping(f, f->active_us);
    flow_arm(f, f->active_us);
    flow_write(f);
}

static void go_on_with_handshake(struct flow *f)
{
    struct buf cause cleanup(buf_done) = BUF_INIT;
    int rc = wire_handshake(&f->wire, &cause);
    if (rc == -EAGAIN && f->wire.needs_write)
        (void)event_add(f->writable, NULL);
    else if (rc == 0)
        is_up(f);
    else if (rc != -EAGAIN)
        flow_lose(f, cause.p);
}

static void connected(struct flow *f)
{
    struct buf cause cleanup(buf_done) = BUF_INIT;
    if (wire_connected(&f->wire, &cause)) {
        flow_lose(f, cause.p);
        return;
    }
    f->state = FLOW_HANDSHAKE;
    (void)event_add(f->readable, NULL);
    go_on_with_handshake(f);
}

void flow_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct flow *f = arg;
    if (f->state == FLOW_HANDSHAKE)
        go_on_with_handshake(f);
    if (f->state == FLOW_UP)
        read_up(f);
    if (f->state == FLOW_UP && f->wire.ssl && f->by.write_by_us) // TLS may have to read before it writes
        flow_write(f);
}

void flow_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct flow *f = arg;
    if (f->state == FLOW_CONNECTING) {
        connected(f);
    } else if (f->state == FLOW_HANDSHAKE) {
        go_on_with_handshake(f);
    } else {
        flow_write(f);
        if (f->wire.ssl)
            read_up(f);
    }
}
