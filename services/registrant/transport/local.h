// The addresses that we send from: each is a UDP socket and a listening TCP socket on one port, and belongs
// to an interface of the operator's (or to none: the default). Refuses names: an address is a number here.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_LOCAL_H
#define ROLLCALL_REGISTRANT_TRANSPORT_LOCAL_H

#include "common/base/error.h"
#include "services/registrant/transport/address.h"

struct datagram;
struct incoming;

struct local {
    char *interface;        // empty: the default
    struct address address; // as bound, with its port
    bool wildcard;
    int udp, tcp; // descriptors; taken by what is made of them (−1 then)
    struct datagram *datagram;
    struct incoming *incoming;
    char text[ADDRESS_TEXT_BYTES]; // host:port as peers may reach it
};

// transport_params.listen and .interfaces: opens every socket. *ret_count is never 0.
must_use int local_open(const char *listen, const char *interfaces, struct local **ret, size_t *ret_count,
                        struct error *err);
void local_close(struct local *take_locals, size_t count);

// The one of that interface (empty: the default) and family (AF_UNSPEC: the first there is), or NULL.
struct local *local_find(struct local *locals, size_t count, struct str interface, int family);

#endif
