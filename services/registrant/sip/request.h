// One REGISTER as text, RFC 3261 sections 10.2 and 8.1, and where it goes to. Pure: knows neither sockets nor
// sofia.
#ifndef ROLLCALL_REGISTRANT_SIP_REQUEST_H
#define ROLLCALL_REGISTRANT_SIP_REQUEST_H

#include "services/registrant/core/engine.h"
#include "services/registrant/resolve/resolve.h"

// Appends the request without its Via; *ret_via_at: where in `out` that belongs. {local} in a Contact becomes
// `local`. A first Route without ;lr is a strict router: it becomes the Request-URI and the Request-URI the
// last Route (12.2.1.1, 16.6 step 6). 0, or -EINVAL when a part is unreadable or holds a control character
// (nothing of it may reach the wire), or {local} is wanted and `local` is empty.
must_use int request_text(const struct sip_request *r, struct str local, const char *user_agent,
                          struct buf *out, size_t *ret_via_at);

// Where it goes to (8.1.2), as the resolver is asked; borrows from the request. *ret_name: whom a certificate
// must be for (RFC 5922 4). The next hop's own transport parameter is the more specific wish (RFC 3263 4.1);
// the model's `udp` stands for none given. 0, -EINVAL, or -EPROTONOSUPPORT for WebSocket and what is no
// transport.
must_use int request_hop(const struct sip_request *r, struct resolve_query *ret, struct str *ret_name);

#endif
