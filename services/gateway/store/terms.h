// What a registration is found by: the terms of the indexes by:<field>:<value>. Pure.
#ifndef ROLLCALL_GATEWAY_STORE_TERMS_H
#define ROLLCALL_GATEWAY_STORE_TERMS_H

#include "common/base/buf.h"
#include "common/registration/registration.h"

#define TERMS_MAX_LABELS 4

// "<field>:<value>" as it stands in a key. A value that is long, or that would not read as one in a key, is
// its digest there; domains are compared in lower case.
void term_add(struct buf *out, const char *field, struct str value);

// All terms that a registration is under by its configuration, one a line: username, domain, label.<member>
// for the first TERMS_MAX_LABELS texts of the member "index" in its labels. What stands in Redis as `terms`.
void terms_of(struct buf *out, const struct registration *r);

#define TERMS_DIGEST_BYTES 33 // 32 hex digits and a NUL
void terms_digest(struct str text, char ret[TERMS_DIGEST_BYTES]);

#endif
