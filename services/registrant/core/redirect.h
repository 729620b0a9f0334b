// Where a 3xx to REGISTER sends us (RFC 3261 8.1.3.4).
#ifndef ROLLCALL_REGISTRANT_CORE_REDIRECT_H
#define ROLLCALL_REGISTRANT_CORE_REDIRECT_H

#include "services/registrant/core/engine.h"

// The Request-URI that the most preferred usable Contact makes (cleared here first): without a user part
// (RFC 3261 10.2) and without what is of a request (19.1.5). Not usable are `asked`, which has just
// redirected us, and what leads from sips down to sip. False: there is none.
bool redirect_choose(const struct sip_answer *a, bool sips, struct str asked, struct buf *ret);

#endif
