// Reading a request: body, envelope, tunnelled verb, what was presented to say who asks (contract 2 and 3).
#ifndef ROLLCALL_GATEWAY_KAZOO_REQUEST_H
#define ROLLCALL_GATEWAY_KAZOO_REQUEST_H

#include "services/gateway/kazoo/call.h"

// False: the call was answered.
bool kazoo_request_read(struct call *c);

#endif
