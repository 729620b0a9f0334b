// A socket address with its transport, and its text as reports show it.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_ADDRESS_H
#define ROLLCALL_REGISTRANT_TRANSPORT_ADDRESS_H

#include "common/base/buf.h"
#include "common/registration/registration.h"

#include <netinet/in.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

socklen_t address_bytes(const struct address *a);
// Family, address and port (and the scope of an IPv6 link-local address); nothing else of the structures.
bool address_equal(const struct address *a, const struct address *b);
// A numeric host without brackets, in network order after. False: not a number of either family.
bool address_parse(struct str host, uint16_t port, struct address *ret);
uint16_t address_port(const struct address *a);

// "192.0.2.1", "2001:db8::1"
void address_add_host(struct buf *out, const struct address *a);
// "192.0.2.1:5060", "[2001:db8::1]:5060".
void address_add(struct buf *out, const struct address *a);
// "udp:192.0.2.1:5060"
void address_add_with(struct buf *out, enum registration_transport transport, const struct address *a);
#define ADDRESS_TEXT_BYTES 72 // room for either, with its NUL

#endif
