// One UDP socket: datagrams that come are read in batches, those that go are gathered and sent in batches,
// and ICMP's errors come as calls. Allocates nothing per datagram. Refuses to know what a datagram says.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_DATAGRAM_H
#define ROLLCALL_REGISTRANT_TRANSPORT_DATAGRAM_H

#include "services/registrant/transport/local.h"

struct event_base;
struct datagram;
struct datagram_batch; // where datagrams are read into: one is enough for all sockets of a thread

struct datagram_ops {
    // Both from the event loop only. `bytes` is borrowed during the call. Sending from inside is allowed.
    void (*received)(void *arg, struct local *local, const struct address *from, struct str bytes);
    void (*undelivered)(void *arg, struct local *local, const struct address *to, int error); // an errno
};

struct datagram_batch *datagram_batch_new(void);
void datagram_batch_free(struct datagram_batch *b); // NULL is allowed

// Takes local->udp. Both `batch` and `local` outlive it.
struct datagram *datagram_new(struct event_base *base, struct local *local, struct datagram_batch *batch,
                              const struct datagram_ops *ops, void *arg);
void datagram_free(struct datagram *d); // what waits is dropped; NULL is allowed

// -EMSGSIZE. What cannot leave for want of buffers is dropped like any datagram on its way.
must_use int datagram_send(struct datagram *d, const struct address *to, struct str bytes);
void datagram_flush(struct datagram *d);

#endif
