// A response as the engine reads it: texts as they were received, so that what a registrar sent is reported
// and used as it sent it. RFC 3261 20, 3327, 3608, 5626, 7315, 7616.
#ifndef ROLLCALL_REGISTRANT_SIP_ANSWER_H
#define ROLLCALL_REGISTRANT_SIP_ANSWER_H

#include "services/registrant/core/engine.h"
#include "services/registrant/sip/sofia.h"

// `response` must be message_parse's; *ret borrows from it. Elements that hold control characters are left
// out. Addresses and flow are the caller's to fill in.
void answer_of_response(msg_t *response, struct sip_answer *ret);

// What we made ourselves: 408 after timer F, 503 when nothing could be sent (RFC 3261 8.1.3.1).
void answer_of_failure(int status, struct str reason, struct sip_answer *ret);

// Appends host:port that the topmost Via says the request came from (received and rport, RFC 3581), where
// that is not `local`, what the Via was sent with. Of a stream only another host counts: its port is the
// connection's in any case.
void answer_received(const msg_t *response, struct str local, bool stream, struct buf *out);

#endif
