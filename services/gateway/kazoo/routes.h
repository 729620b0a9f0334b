// Which paths there are, and the verbs of each (contract 1).
#ifndef ROLLCALL_GATEWAY_KAZOO_ROUTES_H
#define ROLLCALL_GATEWAY_KAZOO_ROUTES_H

#include "services/gateway/kazoo/call.h"

struct verb {
    enum http_method method;
    call_fn *run;
    bool writes; // a role that only reads may not
};

// Who may use it.
enum access {
    ACCESS_ACCOUNT, // whoever is of that account or above it
    ACCESS_SYSTEM,  // the system's own account only
    ACCESS_SESSION, // whoever holds a session's token
    ACCESS_OPEN,    // anybody: the logins
};

struct resource {
    const char *pattern; // below the version; "{U}" is a user name. Of the account's: below /accounts/{ID}/
    enum access access;
    struct verb verbs[2];
    const char *allow;
};

// Finds what the path names and fills resource, names_account, account_id and username of the call. An empty
// tail is not looked at.
void kazoo_routes_match(struct call *c);

// NULL: the verb is not allowed there.
const struct verb *kazoo_routes_verb(const struct resource *r, enum http_method verb);

#endif
