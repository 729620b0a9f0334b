// See transport.h: puts the sockets, the connections and the flows over UDP together.
#include "services/registrant/transport/transport.h"

#include "services/registrant/transport/flow.h"
#include "services/registrant/transport/incoming.h"
#include "services/registrant/transport/stun_flow.h"

#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#define MIN_FLOW_TIMER_S  5 // a registrar that wants more pings than that does not get them
#define MAX_FLOW_TIMER_S  3600
#define FLOW_MARGIN_MS    2000 // of a ping's way, within a tenth of the Flow-Timer
#define MIN_MESSAGE_BYTES 5    // less than that in a datagram is the keep-alive of somebody's stack

struct transport_times transport_times_default(void)
{
    return (struct transport_times){.connect_ms = 10000,
                                    .message_ms = 32000,
                                    .write_ms = 32000,
                                    .ping_min_ms = 95000,
                                    .ping_max_ms = 120000,
                                    .pong_ms = 10000,
                                    .stun_min_ms = 24000,
                                    .stun_max_ms = 29000,
                                    .stun_rto_ms = 500,
                                    .incoming_idle_ms = 300000,
                                    .idle_ms = 26 * 3600 * 1000};
}

uint64_t transport_interval_ms(struct transport *t, uint32_t least, uint32_t most, uint32_t flow_timer_s)
{
    uint64_t from = least, to = most;
    if (flow_timer_s) {
        uint64_t full = flow_timer_s > MAX_FLOW_TIMER_S ? MAX_FLOW_TIMER_S : flow_timer_s;
        full = (full < MIN_FLOW_TIMER_S ? MIN_FLOW_TIMER_S : full) * 1000;
        to = full - (full / 10 < FLOW_MARGIN_MS ? full / 10 : FLOW_MARGIN_MS);
        from = to * 4 / 5;
    }
    return from + rng_below(&t->rng, to - from + 1);
}

uint32_t transport_next_flow(struct transport *t)
{
    do
        t->last_flow++;
    while (!t->last_flow || flow_by_number(t, t->last_flow) || stun_flow_is(t, t->last_flow));
    return t->last_flow;
}

// The local end for an endpoint, or NULL.
static struct local *local_of(const struct transport *t, struct str interface, int family)
{
    return local_find(t->locals, t->local_count, interface, family);
}

// ---- datagrams

static void on_datagram(void *arg, struct local *local, const struct address *from, struct str bytes)
{
    struct transport *t = arg;
    if (stun_is(bytes)) {
        stun_flow_received(t, local, from, bytes);
        return;
    }
    while (bytes.n && (bytes.p[0] == '\r' || bytes.p[0] == '\n'))
        bytes = str_slice(bytes, 1, bytes.n);
    if (bytes.n < MIN_MESSAGE_BYTES)
        return;
    if (!frame_is_start(bytes)) {
        t->stats.malformed++;
        return;
    }
    const struct transport_path path = {.kind = TRANSPORT_UDP, .from = *from, .local = local->text};
    t->stats.received++;
    t->ops.message(t->arg, &path, bytes);
}

static void on_undelivered(void *arg, struct local *local, const struct address *to, int error)
{
    struct transport *t = arg;
    struct buf cause cleanup(buf_done) = BUF_INIT;
    wire_add_error(&cause, error);
    stun_flow_undelivered(t, local, to);
    t->ops.unreachable(t->arg, to, cause.p);
}

static const struct datagram_ops datagram_ops = {.received = on_datagram, .undelivered = on_undelivered};

// ---- the whole

static void on_tell_lost(evutil_socket_t fd, short what, void *arg)
{
    flow_tell_lost(arg);
    stun_flow_tell_lost(arg);
}

static void listen_to_all(struct transport *t)
{
    for (size_t i = 0; i < t->local_count; i++) {
        t->locals[i].datagram = datagram_new(t->base, &t->locals[i], t->batch, &datagram_ops, t);
        t->locals[i].incoming = incoming_new(t, &t->locals[i]);
    }
}

int transport_new(const struct transport_params *p, struct transport **ret, struct error *err)
{
    struct local *locals;
    size_t count;
    struct tls_store *tls = NULL;
    int rc = p->tls ? tls_store_new(p->tls, &tls, err) : 0;
    if (!rc)
        rc = local_open(p->listen, p->interfaces, &locals, &count, err);
    if (rc) {
        tls_store_free(tls);
        return rc;
    }
    struct transport *t = mem_alloc(sizeof(*t));
    t->base = p->base;
    t->ops = *p->ops;
    t->arg = p->arg;
    t->times = p->times ? *p->times : transport_times_default();
    t->tls = tls;
    t->locals = locals;
    t->local_count = count;
    t->batch = datagram_batch_new();
    TAILQ_INIT(&t->unsent);
    TAILQ_INIT(&t->strangers);
    TAILQ_INIT(&t->lost);
    TAILQ_INIT(&t->stun_lost);
    random_bytes(&t->rng.state, sizeof(t->rng.state));
    t->tell_lost = event_new(t->base, -1, 0, on_tell_lost, t);
    if (!t->tell_lost)
        abort();
    listen_to_all(t);
    *ret = t;
    return 0;
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    flow_free_all(t);
    stun_flow_free_all(t);
    for (size_t i = 0; i < t->local_count; i++) {
        datagram_free(t->locals[i].datagram);
        incoming_free(t->locals[i].incoming);
    }
    local_close(t->locals, t->local_count);
    datagram_batch_free(t->batch);
    event_free(t->tell_lost);
    tls_store_free(t->tls);
    free(t);
}

int transport_reload(struct transport *t, struct error *err)
{
    return t->tls ? tls_store_reload(t->tls, err) : error_set(err, -ENOTSUP, "there is no TLS here");
}

const char *transport_local(const struct transport *t, enum registration_transport kind, struct str interface,
                            int family)
{
    if (kind == TRANSPORT_WS || (kind == TRANSPORT_TLS && !t->tls))
        return NULL;
    const struct local *local = local_of(t, interface, family);
    return local ? local->text : NULL;
}

// ---- sending

static int send_by_connection(struct transport *t, const struct endpoint *to, struct local *local,
                              struct str message, uint32_t *ret_flow)
{
    struct flow *f;
    int rc = flow_to(t, to, local, &f);
    if (!rc && f->state != FLOW_LOST)
        rc = flow_send(f, message);
    if (rc)
        return rc;
    f->used_us = f->active_us;
    *ret_flow = f->number;
    t->stats.sent++;
    return 0;
}

int transport_send(struct transport *t, const struct endpoint *to, struct str message, uint32_t *ret_flow)
{
    if (to->kind == TRANSPORT_WS || (to->kind == TRANSPORT_TLS && !t->tls))
        return -EPROTONOSUPPORT;
    struct local *local = local_of(t, to->interface, to->address.any.sa_family);
    if (!local)
        return -EADDRNOTAVAIL;
    if (to->kind != TRANSPORT_UDP)
        return send_by_connection(t, to, local, message, ret_flow);
    int rc = datagram_send(local->datagram, &to->address, message);
    if (rc)
        return rc;
    *ret_flow = 0;
    t->stats.sent++;
    return 0;
}

static struct datagram *datagram_of(const struct transport *t, const char *text)
{
    for (size_t i = 0; i < t->local_count; i++)
        if (t->locals[i].text == text)
            return t->locals[i].datagram;
    return NULL;
}

void transport_reply(struct transport *t, const struct transport_path *path, struct str message)
{
    struct flow *f = path->flow ? flow_by_number(t, path->flow) : NULL;
    struct datagram *d = path->flow ? NULL : datagram_of(t, path->local);
    if ((f && flow_send(f, message) == 0) || (d && datagram_send(d, &path->from, message) == 0))
        t->stats.sent++;
}

void transport_flush(struct transport *t)
{
    for (size_t i = 0; i < t->local_count; i++)
        datagram_flush(t->locals[i].datagram);
    if (!TAILQ_EMPTY(&t->unsent))
        flow_flush_all(t);
}

void transport_keep_alive(struct transport *t, const struct endpoint *to, uint32_t flow_timer_s,
                          uint32_t *flow)
{
    if (to->kind == TRANSPORT_UDP) {
        struct local *local = local_of(t, to->interface, to->address.any.sa_family);
        if (local)
            *flow = stun_flow_keep(t, to, local, flow_timer_s);
        return;
    }
    struct flow *f = flow_by_number(t, *flow);
    if (f)
        flow_keep_alive(f, flow_timer_s);
}

void transport_doubt(struct transport *t, uint32_t flow, uint64_t since_us)
{
    struct flow *f = flow_by_number(t, flow);
    if (f && f->state == FLOW_UP && f->heard_us < since_us)
        flow_lose(f, "it was silent");
}

static bool holds_back(const struct flow *f)
{
    return !f->incoming && f->out.n > f->out_taken;
}

bool transport_holds_back(struct transport *t, uint32_t flow)
{
    const struct flow *f = flow_by_number(t, flow);
    return f && holds_back(f);
}

void transport_hush(struct transport *t)
{
    struct flow *f, *next;
    HASH_ITER(hh_number, t->by_number, f, next) {
        if (holds_back(f))
            flow_lose(f, "the process stood still before it was sent");
    }
}

struct transport_stats transport_stats(const struct transport *t)
{
    return t->stats;
}
