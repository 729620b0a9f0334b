// Where a 3xx to REGISTER sends us (RFC 3261 8.1.3.4).
#ifndef ROLLCALL_REGISTRANT_CORE_REDIRECT_H
#define ROLLCALL_REGISTRANT_CORE_REDIRECT_H

#include "services/registrant/core/engine.h"

#define REDIRECT_MAX 8 // more are left out

// The Request-URIs that its usable Contacts make, the most preferred first, each ended by a line feed
// (cleared here first): without a user part (RFC 3261 10.2) and without what is of a request (19.1.5). Not
// usable are those that were `asked` before (each ended by a line feed), and what leads from sips down to
// sip.
void redirect_list(const struct sip_answer *a, bool sips, struct str asked, struct buf *ret);

// None is asked twice in one attempt (8.1.3.4).
bool redirect_was_asked(struct str asked, struct str uri);

#endif
