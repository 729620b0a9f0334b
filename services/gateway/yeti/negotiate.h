// What every request must pass after its route was found: token (contract 6.3), then media types (7).
#ifndef ROLLCALL_GATEWAY_YETI_NEGOTIATE_H
#define ROLLCALL_GATEWAY_YETI_NEGOTIATE_H

#include "services/gateway/yeti/call.h"

// Reads the query string and, where there is one, the JSON body; what is wrong with them is kept for later,
// since the token may stand in either.
void negotiate_read(struct call *c);

// False: the call was answered. True: c->principal is set.
bool negotiate_token(struct call *c);
bool negotiate_limits(struct call *c); // whether c->principal may do this, and now
bool negotiate_media(struct call *c);
bool negotiate_query(struct call *c); // whether the query string can be read at all

// The media type of the body without parameters.
struct str negotiate_content_type(const struct call *c);

#endif
