// The bearer token of an Authorization header, compared in time that does not depend on where it differs.
// Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_TOKEN_H
#define ROLLCALL_GATEWAY_PUBLISH_TOKEN_H

#include "common/base/str.h"

bool token_is_bearer(struct str authorization, struct str token); // RFC 6750 2.1; an empty token fits nothing

#endif
