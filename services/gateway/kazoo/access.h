// Who asks, for which account, and whether that may be: steps 3 to 7 of contract 3, in their order.
#ifndef ROLLCALL_GATEWAY_KAZOO_ACCESS_H
#define ROLLCALL_GATEWAY_KAZOO_ACCESS_H

#include "services/gateway/kazoo/call.h"

// Runs the handler of what the path names, or answers why not.
void kazoo_access_run(struct call *c);

// The present bucket of whoever asks. False: the call was answered.
bool kazoo_access_take_tokens(struct call *c, struct str who, uint32_t cost);

#endif
