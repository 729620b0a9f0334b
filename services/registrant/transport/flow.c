// See flow.h: how connections are made, found and lost.
#include "services/registrant/transport/flow.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define MAX_WAITING_BYTES  (1 << 20) // of one connection
#define MAX_STRANGER_BYTES (1 << 16) // of one that another made: there may be many, and they may not read
#define WRITE_AT_BYTES     65536     // enough waits to be written before the flush
#define MAX_NAME_BYTES     255

// ---- finding

int flow_key_of(const struct transport *t, const struct endpoint *to, const struct local *local,
                struct flow_key *ret)
{
    const struct address *a = &to->address;
    struct str name = to->kind == TRANSPORT_TLS ? to->name : STR_NONE;
    bool v6 = a->any.sa_family == AF_INET6;
    const uint16_t head[] = {(uint16_t)to->kind, (uint16_t)(local - t->locals), address_port(a), v6};
    if (name.n > MAX_NAME_BYTES)
        return -EINVAL;
    memcpy(ret->bytes, head, sizeof(head));
    ret->n = sizeof(head);
    if (v6) {
        memcpy(ret->bytes + ret->n, &a->v6.sin6_addr, sizeof(a->v6.sin6_addr));
        ret->n += sizeof(a->v6.sin6_addr);
        memcpy(ret->bytes + ret->n, &a->v6.sin6_scope_id, sizeof(a->v6.sin6_scope_id));
        ret->n += sizeof(a->v6.sin6_scope_id);
    } else {
        memcpy(ret->bytes + ret->n, &a->v4.sin_addr, sizeof(a->v4.sin_addr));
        ret->n += sizeof(a->v4.sin_addr);
    }
    if (name.n)
        memcpy(ret->bytes + ret->n, name.p, name.n);
    ret->n += name.n;
    return 0;
}

struct flow *flow_by_number(struct transport *t, uint32_t number)
{
    struct flow *f;
    HASH_FIND(hh_number, t->by_number, &number, sizeof(number), f);
    return f;
}

// ---- making

static struct flow *flow_new(struct transport *t, struct local *local, int take_fd,
                             const struct address *peer)
{
    uint64_t now_us = clock_monotonic_us();
    struct flow *f = mem_alloc(sizeof(*f));
    f->t = t;
    f->number = transport_next_flow(t);
    f->local = local;
    f->peer = *peer;
    f->kind = TRANSPORT_TCP;
    f->wire = (struct wire){.fd = take_fd};
    f->active_us = f->used_us = now_us;
    f->readable = event_new(t->base, take_fd, EV_READ | EV_PERSIST, flow_on_readable, f);
    f->writable = event_new(t->base, take_fd, EV_WRITE, flow_on_writable, f);
    f->timer = event_new(t->base, -1, 0, flow_on_timer, f);
    if (!f->readable || !f->writable || !f->timer)
        abort();
    HASH_ADD(hh_number, t->by_number, number, sizeof(f->number), f);
    if (take_fd >= 0) {
        set_option(take_fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(take_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)t->times.write_ms);
    }
    return f;
}

// From the interface's address, and a port that the kernel picks when it knows the peer: the same one may
// then serve for many.
static int connect_from(const struct local *local, int fd, const struct address *to)
{
    struct address from = local->address;
    if (from.any.sa_family == AF_INET6)
        from.v6.sin6_port = 0;
    else
        from.v4.sin_port = 0;
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (!local->wildcard && bind(fd, &from.any, address_bytes(&from)))
        return -errno;
    return connect(fd, &to->any, address_bytes(to)) && errno != EINPROGRESS ? -errno : 0;
}

static void begin_connect(struct flow *f, const struct endpoint *to, int rc)
{
    struct error err;
    if (!rc)
        rc = connect_from(f->local, f->wire.fd, &f->peer);
    if (rc) {
        wire_add_error(&f->cause, -rc);
        flow_lose(f, NULL);
        return;
    }
    if (f->kind == TRANSPORT_TLS) {
        rc = tls_session_new(f->t->tls, to->name, &f->wire.ssl, &err);
        if (rc || SSL_set_fd(f->wire.ssl, f->wire.fd) != 1) {
            flow_lose(f, rc ? err.text : "no TLS for want of memory");
            return;
        }
    }
    uint64_t now_us = clock_monotonic_us();
    f->by.up_by_us = now_us + f->t->times.connect_ms * UINT64_C(1000);
    flow_arm(f, now_us);
    (void)event_add(f->writable, NULL);
}

int flow_to(struct transport *t, const struct endpoint *to, struct local *local, struct flow **ret)
{
    struct flow_key key;
    struct flow *f;
    int rc = flow_key_of(t, to, local, &key);
    if (rc)
        return rc;
    HASH_FIND(hh_key, t->by_key, key.bytes, key.n, f);
    if (!f) {
        int fd = socket(to->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        rc = fd < 0 ? -errno : 0;
        f = flow_new(t, local, fd, &to->address);
        f->kind = to->kind;
        f->key = key;
        HASH_ADD_KEYPTR(hh_key, t->by_key, f->key.bytes, f->key.n, f);
        begin_connect(f, to, rc);
    }
    *ret = f; // even if it was lost at once: then that is told in its time
    return 0;
}

void flow_accepted(struct transport *t, struct local *local, int take_fd, const struct address *peer)
{
    struct flow *f = flow_new(t, local, take_fd, peer);
    f->incoming = true;
    f->state = FLOW_UP;
    t->incoming_count++;
    TAILQ_INSERT_TAIL(&t->strangers, f, in_strangers);
    t->stats.accepted++;
    f->by.ping_at_us = f->active_us + t->times.incoming_idle_ms * UINT64_C(1000);
    flow_arm(f, f->active_us);
    (void)event_add(f->readable, NULL);
}

// ---- sending

int flow_send(struct flow *f, struct str message)
{
    struct transport *t = f->t;
    size_t most = f->incoming ? MAX_STRANGER_BYTES : MAX_WAITING_BYTES;
    if (f->out.n - f->out_taken + message.n > most)
        return -ENOBUFS;
    buf_add_str(&f->out, message);
    if (f->state == FLOW_UP && !f->is_unsent) {
        f->is_unsent = true;
        TAILQ_INSERT_TAIL(&t->unsent, f, in_unsent);
    }
    if (f->state == FLOW_UP && f->out.n - f->out_taken >= WRITE_AT_BYTES && !f->by.write_by_us)
        flow_write(f);
    return 0;
}

void flow_flush_all(struct transport *t)
{
    struct flow *f;
    while ((f = TAILQ_FIRST(&t->unsent))) {
        TAILQ_REMOVE(&t->unsent, f, in_unsent);
        f->is_unsent = false;
        flow_write(f);
    }
}

// ---- losing

static void count_lost(struct flow *f)
{
    struct transport *t = f->t;
    if (f->incoming) {
        t->incoming_count--;
        TAILQ_REMOVE(&t->strangers, f, in_strangers);
    } else if (f->state == FLOW_UP) {
        t->stats.connections--;
        t->stats.lost++;
    } else {
        t->stats.failed++;
    }
}

static void forget(struct flow *f)
{
    struct transport *t = f->t;
    if (f->key.n)
        HASH_DELETE(hh_key, t->by_key, f);
    HASH_DELETE(hh_number, t->by_number, f);
    if (f->is_unsent)
        TAILQ_REMOVE(&t->unsent, f, in_unsent);
    f->is_unsent = false;
}

void flow_lose(struct flow *f, const char *cause)
{
    struct transport *t = f->t;
    if (f->state == FLOW_LOST)
        return;
    if (!f->cause.n)
        buf_add_cstr(&f->cause, cause);
    count_lost(f);
    forget(f);
    f->was_up = f->state == FLOW_UP && !(f->wire.refused && !f->heard_us);
    f->state = FLOW_LOST;
    event_free(f->readable);
    event_free(f->writable);
    event_free(f->timer);
    f->readable = f->writable = f->timer = NULL;
    wire_close(&f->wire);
    TAILQ_INSERT_TAIL(&t->lost, f, in_lost);
    event_active(t->tell_lost, EV_TIMEOUT, 0);
}

static void flow_free(struct flow *f)
{
    buf_done(&f->in);
    buf_done(&f->out);
    buf_done(&f->cause);
    free(f);
}

void flow_tell_lost(struct transport *t)
{
    struct flow *f;
    while ((f = TAILQ_FIRST(&t->lost))) {
        TAILQ_REMOVE(&t->lost, f, in_lost);
        if (!f->incoming)
            t->ops.flow_lost(t->arg, f->number, f->was_up, f->cause.p);
        flow_free(f);
    }
}

void flow_free_all(struct transport *t)
{
    struct flow *f, *next;
    HASH_ITER(hh_number, t->by_number, f, next) {
        flow_lose(f, "closed");
    }
    while ((f = TAILQ_FIRST(&t->lost))) {
        TAILQ_REMOVE(&t->lost, f, in_lost);
        flow_free(f);
    }
}
