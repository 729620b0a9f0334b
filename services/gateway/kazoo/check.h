// Whose credentials these are: the digest of user and password names no user, so each user of the account who
// has such credentials is tried, off the loop (contract 2).
#ifndef ROLLCALL_GATEWAY_KAZOO_CHECK_H
#define ROLLCALL_GATEWAY_KAZOO_CHECK_H

#include "services/gateway/kazoo/call.h"

struct check {
    struct str name;               // under which failures are counted: what the client calls the account
    const struct account *account; // NULL: unknown; takes as long
    struct str credentials;        // hexadecimal
    bool is_sha;                   // of SHA-1, else of MD5
    void (*done)(struct call *c, const struct principal *p); // NULL: nobody's
};
// Copies what it needs. Answers the call itself where too many failed before, or too much is being checked.
// Uses the call's `work` meanwhile.
void kazoo_check_credentials(struct call *c, const struct check *check);

#endif
