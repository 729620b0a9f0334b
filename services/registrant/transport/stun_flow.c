// See stun_flow.h.
#include "services/registrant/transport/stun_flow.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/event/timer.h"

#include <event2/event.h>
#include <string.h>

#define REQUESTS  7  // Rc of RFC 5389 7.2.1
#define LAST_WAIT 16 // Rm: times RTO after the last

static uint64_t interval_ms(struct stun_flow *f)
{
    return transport_interval_ms(f->t, f->t->times.stun_min_ms, f->t->times.stun_max_ms, f->flow_timer_s);
}

// ---- the end

static void forget(struct stun_flow *f)
{
    HASH_DELETE(hh_number, f->t->stun_by_number, f);
    HASH_DELETE(hh_key, f->t->stun_by_key, f);
    event_free(f->timer);
    f->timer = NULL;
}

static void lose(struct stun_flow *f, const char *cause)
{
    struct transport *t = f->t;
    forget(f);
    f->cause = cause;
    TAILQ_INSERT_TAIL(&t->stun_lost, f, in_lost);
    event_active(t->tell_lost, EV_TIMEOUT, 0);
}

void stun_flow_tell_lost(struct transport *t)
{
    struct stun_flow *f;
    while ((f = TAILQ_FIRST(&t->stun_lost))) {
        TAILQ_REMOVE(&t->stun_lost, f, in_lost);
        t->ops.flow_lost(t->arg, f->number, true, f->cause);
        free(f);
    }
}

void stun_flow_free_all(struct transport *t)
{
    struct stun_flow *f, *next;
    HASH_ITER(hh_number, t->stun_by_number, f, next) {
        forget(f);
        free(f);
    }
    while ((f = TAILQ_FIRST(&t->stun_lost))) {
        TAILQ_REMOVE(&t->stun_lost, f, in_lost);
        free(f);
    }
}

// ---- requests

static void send_request(struct stun_flow *f)
{
    uint8_t bytes[STUN_REQUEST_BYTES];
    stun_request(bytes, f->id);
    f->requests++;
    (void)!datagram_send(f->local->datagram, &f->peer, str_of_bytes(bytes, sizeof(bytes)));
    datagram_flush(f->local->datagram);
    uint64_t rto_ms = f->t->times.stun_rto_ms;
    timer_in_ms(f->timer, f->requests == REQUESTS ? rto_ms * LAST_WAIT : rto_ms << (f->requests - 1));
}

static void begin_transaction(struct stun_flow *f)
{
    if (clock_monotonic_us() - f->used_us >= f->t->times.idle_ms * UINT64_C(1000)) {
        lose(f, "unused");
        return;
    }
    memcpy(f->id, &f->number, sizeof(f->number));
    random_bytes(f->id + sizeof(f->number), sizeof(f->id) - sizeof(f->number)); // not to be guessed
    f->t->stats.pings++;
    send_request(f);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct stun_flow *f = arg;
    if (f->requests == 0)
        begin_transaction(f);
    else if (f->requests == REQUESTS)
        lose(f, "the registrar does not answer STUN");
    else
        send_request(f);
}

// ---- answers

static void answered(struct stun_flow *f, const struct stun_answer *a)
{
    f->requests = 0;
    f->t->stats.pongs++;
    if (a->error) {
        lose(f, "the registrar refuses STUN");
    } else if (a->has_mapped && f->has_mapped && !address_equal(&a->mapped, &f->mapped)) {
        lose(f, "the address that the registrar sees has changed");
    } else {
        f->has_mapped = f->has_mapped || a->has_mapped;
        if (a->has_mapped)
            f->mapped = a->mapped;
        timer_in_ms(f->timer, interval_ms(f));
    }
}

void stun_flow_received(struct transport *t, const struct local *local, const struct address *from,
                        struct str datagram)
{
    struct stun_answer a;
    struct stun_flow *f;
    uint32_t number;
    if (stun_read(datagram, &a)) {
        t->stats.malformed++;
        return;
    }
    memcpy(&number, a.id, sizeof(number));
    HASH_FIND(hh_number, t->stun_by_number, &number, sizeof(number), f);
    if (f && f->requests && f->local == local && address_equal(&f->peer, from) &&
        memcmp(f->id, a.id, sizeof(a.id)) == 0)
        answered(f, &a);
}

bool stun_flow_is(const struct transport *t, uint32_t number)
{
    struct stun_flow *f;
    HASH_FIND(hh_number, t->stun_by_number, &number, sizeof(number), f);
    return f != NULL;
}

static struct stun_flow *find(struct transport *t, const struct flow_key *key)
{
    struct stun_flow *f;
    HASH_FIND(hh_key, t->stun_by_key, key->bytes, key->n, f);
    return f;
}

void stun_flow_undelivered(struct transport *t, struct local *local, const struct address *to)
{
    const struct endpoint endpoint = {.kind = TRANSPORT_UDP, .address = *to};
    struct flow_key key;
    struct stun_flow *f = flow_key_of(t, &endpoint, local, &key) ? NULL : find(t, &key);
    if (f && f->requests)
        lose(f, "the registrar's address is unreachable");
}

// ---- keeping

static struct stun_flow *make(struct transport *t, const struct endpoint *to, struct local *local,
                              const struct flow_key *key)
{
    struct stun_flow *f = mem_alloc(sizeof(*f));
    f->t = t;
    f->number = transport_next_flow(t);
    f->peer = to->address;
    f->local = local;
    f->key = *key;
    f->timer = event_new(t->base, -1, 0, on_timer, f);
    if (!f->timer)
        abort();
    HASH_ADD(hh_number, t->stun_by_number, number, sizeof(f->number), f);
    HASH_ADD_KEYPTR(hh_key, t->stun_by_key, f->key.bytes, f->key.n, f);
    return f;
}

uint32_t stun_flow_keep(struct transport *t, const struct endpoint *to, struct local *local,
                        uint32_t flow_timer_s)
{
    struct flow_key key;
    if (flow_key_of(t, to, local, &key))
        return 0;
    struct stun_flow *f = find(t, &key);
    bool planned = f && f->flow_timer_s == flow_timer_s;
    if (!f)
        f = make(t, to, local, &key);
    f->used_us = clock_monotonic_us();
    f->flow_timer_s = flow_timer_s;
    if (!planned && f->requests == 0)
        timer_in_ms(f->timer, interval_ms(f));
    return f->number;
}
