// Writing a registration: the path that create, update and the writes of its relationships share.
#ifndef ROLLCALL_GATEWAY_YETI_REGISTRATION_WRITE_H
#define ROLLCALL_GATEWAY_YETI_REGISTRATION_WRITE_H

#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/call.h"

// Reads the record, puts the body over it, validates, writes, again from the start where another write came
// between, then runs `written` with what is stored now. The body is copied; c->body is what it borrows from.
typedef void written_fn(struct call *c, const struct store_record *record);
void registration_write_update(struct call *c, const struct body *body, written_fn *written);

#endif
