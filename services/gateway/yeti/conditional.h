// If-Match (RFC 9110 13.1.1), an addition to Yeti's API. Tags of this dialect are weak, so the comparison is
// the weak one (8.8.3.2), where the RFC asks for the strong one, which would never hold.
#ifndef ROLLCALL_GATEWAY_YETI_CONDITIONAL_H
#define ROLLCALL_GATEWAY_YETI_CONDITIONAL_H

#include "services/gateway/yeti/call.h"

// Whether the request has a condition at all.
bool conditional_asks(const struct call *c);

// True: there is no condition, or it holds for the representation as it is now, which a GET of the same URL
// would give. False: the call was answered 412.
bool conditional_passes(struct call *c, struct str representation);

// Idempotency-Key, likewise an addition: the key and the fingerprint of the request go into the context. The
// fingerprint is put into `digest`. False: the call was answered 400.
bool conditional_read_key(struct call *c, struct store_write_context *context, struct buf *digest);

#endif
