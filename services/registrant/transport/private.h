// What the files of this folder share about a transport. Not for anyone outside it.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_PRIVATE_H
#define ROLLCALL_REGISTRANT_TRANSPORT_PRIVATE_H

#include "common/base/keyed_table.h"
#include "services/registrant/transport/datagram.h"
#include "services/registrant/transport/transport.h"

#include "common/base/rng.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define READ_BYTES 65536 // of a stream at once

struct flow;
struct stun_flow;

struct transport {
    struct event_base *base;
    struct transport_ops ops;
    void *arg;
    struct transport_times times;
    struct tls_store *tls; // NULL: none
    struct local *locals;
    size_t local_count;
    struct datagram_batch *batch;
    struct flow *by_number, *by_key;
    struct stun_flow *stun_by_number, *stun_by_key;
    TAILQ_HEAD(, flow) unsent; // have something to write at the next flush
    TAILQ_HEAD(, flow) lost;   // to be told of, then freed
    TAILQ_HEAD(, stun_flow) stun_lost;
    struct event *tell_lost;
    uint32_t last_flow;           // see transport_next_flow
    TAILQ_HEAD(, flow) strangers; // connections that others made
    unsigned incoming_count;
    struct rng rng;
    struct transport_stats stats;
    char read[READ_BYTES];
};

// Where a flow leads, as bytes to find it by.
struct flow_key {
    size_t n;
    char bytes[320];
};
// -EINVAL: a name that is too long for one.
must_use int flow_key_of(const struct transport *t, const struct endpoint *to, const struct local *local,
                         struct flow_key *ret);

// The number of the next flow: not 0, and none that is in use. Strangers use them up, too.
uint32_t transport_next_flow(struct transport *t);

// Until the next keep-alive: at random within a fifth, so that what began together does not ping together
// (RFC 5626 4.4); within `least` and `most` where there is no Flow-Timer (0).
uint64_t transport_interval_ms(struct transport *t, uint32_t least, uint32_t most, uint32_t flow_timer_s);

// Of a socket; where the system does not have it we go without.
static inline void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

#endif
