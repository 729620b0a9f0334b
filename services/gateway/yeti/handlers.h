// What the route table names. Each takes a call that has been routed and authorized, and answers it once.
#ifndef ROLLCALL_GATEWAY_YETI_HANDLERS_H
#define ROLLCALL_GATEWAY_YETI_HANDLERS_H

#include "services/gateway/yeti/call.h"

call_fn login_run;

// registrations.c
call_fn registrations_index, registrations_show, registrations_destroy, registrations_status;
// commands.c
call_fn registrations_refresh, registrations_flush, registrations_audit;
// registration_write.c
call_fn registrations_create, registrations_update;
// relationships.c
call_fn registrations_related, registrations_linkage, registrations_relink, registrations_unlink;

// operations.c, export.c, import.c
call_fn operations_run, export_run, import_run;

// deployment.c: pops, nodes and transport protocols alike
call_fn deployment_index, deployment_show, deployment_related, deployment_linkage;
// deployment_write.c
call_fn deployment_create, deployment_update, deployment_destroy, deployment_relink, deployment_unlink;

#endif
