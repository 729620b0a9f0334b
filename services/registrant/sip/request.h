// One REGISTER as text, RFC 3261 section 10.2 and 8.1. Pure: knows neither sockets nor sofia.
#ifndef ROLLCALL_REGISTRANT_SIP_REQUEST_H
#define ROLLCALL_REGISTRANT_SIP_REQUEST_H

#include "services/registrant/core/engine.h"

// Appends the request without Via, which the transaction layer puts on top. {local} in a Contact becomes
// `local`. A first Route without ;lr is a strict router: it becomes the Request-URI and the Request-URI the
// last Route (12.2.1.1, 16.6 step 6). 0, or -EINVAL when a part holds a control character (nothing of it may
// reach the wire) or {local} is wanted and `local` is empty.
must_use int request_text(const struct sip_request *r, struct str local, const char *user_agent,
                          struct buf *out);

// Where it goes to (8.1.2): *ret_host and *ret_port_text borrow from the request. transport: "udp" or "tcp",
// from the next hop's own parameter, else from the request. 0, -EINVAL, or -EPROTONOSUPPORT for sips, TLS and
// WebSocket.
struct request_target {
    struct str host; // IPv6 without brackets
    bool ipv6;
    struct str port_text; // empty: none given
    const char *transport;
};
must_use int request_target(const struct sip_request *r, struct request_target *ret);

#endif
