// What waits to leave by one UDP socket, and how it leaves: all with one system call, and neighbours of one
// size that go to one address as a run that the kernel cuts (UDP_SEGMENT), which costs it a fraction of as
// many datagrams. Allocates nothing. Not for anyone outside this folder.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_DATAGRAM_OUT_H
#define ROLLCALL_REGISTRANT_TRANSPORT_DATAGRAM_OUT_H

#include "services/registrant/transport/address.h"

#include <sys/uio.h>

#define DATAGRAM_MAX_BYTES 65507 // what IPv4's length field leaves
#define DATAGRAM_OUT_COUNT 64
#define DATAGRAM_OUT_BYTES 131072 // room for any single one

struct datagram_out {
    int fd;
    unsigned count;
    size_t arena_used;
    bool singly;           // the way out takes no runs
    unsigned singly_until; // a run failed: its datagrams, up to this one, show whether that was for being one
    struct iovec bytes[DATAGRAM_OUT_COUNT];
    struct address to[DATAGRAM_OUT_COUNT];
    char arena[DATAGRAM_OUT_BYTES];
};

// False: there is no room. At most DATAGRAM_MAX_BYTES.
bool datagram_out_add(struct datagram_out *o, const struct address *to, struct str bytes);

// A datagram that the system refused, with an errno; it does not wait any more.
typedef void datagram_refused_fn(void *arg, const struct address *to, int error);
// True: nothing waits any more. False: the socket is full.
bool datagram_out_send(struct datagram_out *o, datagram_refused_fn *refused, void *arg);

#endif
