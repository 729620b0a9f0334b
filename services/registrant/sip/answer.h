// A response as the engine reads it: texts as they were received, so that what a registrar sent is reported
// and used as it sent it. RFC 3261 20, 3327, 3608, 7315, 7616.
#ifndef ROLLCALL_REGISTRANT_SIP_ANSWER_H
#define ROLLCALL_REGISTRANT_SIP_ANSWER_H

#include "services/registrant/core/engine.h"
#include "services/registrant/sip/sofia.h"

// `response` must have been parsed with MSG_DO_EXTRACT_COPY; *ret borrows from it. Elements that hold control
// characters are left out. Target and local address are the caller's to fill in.
void answer_of_response(msg_t *response, struct sip_answer *ret);

// What the stack made itself: 408 after timer F, 503 when nothing could be sent (RFC 3261 8.1.3.1).
void answer_of_failure(int status, struct sip_answer *ret);

#endif
