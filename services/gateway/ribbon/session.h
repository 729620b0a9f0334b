// Login, logout and the session behind each request (contract ribbon 2). A session is a value in Redis that
// expires, so every gateway knows it; its id begins with the shard of its account.
#ifndef ROLLCALL_GATEWAY_RIBBON_SESSION_H
#define ROLLCALL_GATEWAY_RIBBON_SESSION_H

#include "services/gateway/ribbon/call.h"

void session_login(struct call *c);
void session_logout(struct call *c); // within session_check
// Runs `next` with c->call.principal set, or answers the call.
void session_check(struct call *c, call_fn *next);

#endif
