// STUN as a keep-alive of SIP over UDP needs it (RFC 5626 8, RFC 5389): a binding request, its answer, and
// what tells them from SIP. Pure. Refuses to be a STUN server, and every other attribute than the address.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_STUN_H
#define ROLLCALL_REGISTRANT_TRANSPORT_STUN_H

#include "common/base/str.h"
#include "services/registrant/transport/address.h"

#define STUN_REQUEST_BYTES 20
#define STUN_ID_BYTES      12

// A Binding Request without attributes.
void stun_request(uint8_t ret_bytes[STUN_REQUEST_BYTES], const uint8_t id[STUN_ID_BYTES]);

// By its first byte and the magic cookie (RFC 5389 8): no SIP message begins so.
bool stun_is(struct str datagram);

struct stun_answer {
    uint8_t id[STUN_ID_BYTES];
    bool error;            // an error response
    bool has_mapped;       // never of an error
    struct address mapped; // XOR-MAPPED-ADDRESS: as whom the peer sees us
};
// A Binding Response: 0, or -EINVAL for anything else, requests among them.
must_use int stun_read(struct str datagram, struct stun_answer *ret);

#endif
