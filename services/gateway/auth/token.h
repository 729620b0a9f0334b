// Yeti's bearer tokens: JWT with HS256 and nothing else (contract yeti 6.2). Form and claims by libjwt; the
// algorithm is pinned here, since libjwt takes whatever the header names.
#ifndef ROLLCALL_GATEWAY_AUTH_TOKEN_H
#define ROLLCALL_GATEWAY_AUTH_TOKEN_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

// Appends a token for the subject. lifetime_s 0: no exp claim.
void token_issue(struct buf *out, struct str secret, uint64_t subject, uint64_t now_s, int64_t lifetime_s);

// 0 with the subject, or -EACCES with the reason: not a token, another algorithm, bad signature, expired, not
// yet valid, wrong audience, no subject.
must_use int token_verify(struct str token, struct str secret, uint64_t now_s, uint64_t *ret_subject,
                          struct error *err);

#endif
