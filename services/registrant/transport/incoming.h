// Accepts the TCP connections that others make to one of our addresses, so many at most, and never the last
// descriptors of the process. Not for anyone outside this folder.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_INCOMING_H
#define ROLLCALL_REGISTRANT_TRANSPORT_INCOMING_H

#include "services/registrant/transport/private.h"

#define INCOMING_MAX_COUNT 1024 // of a transport; more are closed at once
#define INCOMING_MAX_SOURCE                                                                                  \
    64 // of one address, of IPv6 one network of 64 bits: one host leaves room for others

// Takes local->tcp.
struct incoming *incoming_new(struct transport *t, struct local *local);
void incoming_free(struct incoming *i); // NULL is allowed

#endif
