// What the table of routes calls once the checks before have passed; each answers its call.
#ifndef ROLLCALL_GATEWAY_KAZOO_HANDLERS_H
#define ROLLCALL_GATEWAY_KAZOO_HANDLERS_H

#include "services/gateway/kazoo/call.h"

// list.c, count.c: of the call's account, or of all where there is none.
void kazoo_list_run(struct call *c);
void kazoo_count_run(struct call *c);

// flush.c
void kazoo_flush_account_run(struct call *c);
void kazoo_flush_username_run(struct call *c);
void kazoo_no_username_run(struct call *c); // the system has no accounts' user names

// login.c
void kazoo_user_auth_run(struct call *c);
void kazoo_api_auth_run(struct call *c);

// session.c
void kazoo_session_show_run(struct call *c);
void kazoo_session_revoke_run(struct call *c);

#endif
