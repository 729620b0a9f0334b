// Sessions: signed tokens that live an hour, and what is kept of those that were revoked before
// (contract 2.1).
#ifndef ROLLCALL_GATEWAY_KAZOO_SESSION_H
#define ROLLCALL_GATEWAY_KAZOO_SESSION_H

#include "services/gateway/kazoo/call.h"

// -ENOENT: nobody revoked the call's session.
void kazoo_session_ask_revoked(struct call *c, store_value_fn *fn);

// Whose session it is now; NULL: nobody's any more.
const struct principal *kazoo_session_principal(struct call *c);

// Answers 201 with a new session of that user or key.
void kazoo_session_begin(struct call *c, const struct principal *p);

#endif
