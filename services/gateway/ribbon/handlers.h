// Requests for tables, server rows and credentials: what is stored is what is shown. And those of entries,
// which are shown as their registrations are; and of the table of other dialects' registrations. Each answers
// its call.
#ifndef ROLLCALL_GATEWAY_RIBBON_HANDLERS_H
#define ROLLCALL_GATEWAY_RIBBON_HANDLERS_H

#include "services/gateway/ribbon/call.h"

void tables_read(struct call *c);
void tables_write(struct call *c);

void entries_read(struct call *c);
void entries_write(struct call *c);

void foreign_read(struct call *c);
void foreign_write(struct call *c);

#endif
