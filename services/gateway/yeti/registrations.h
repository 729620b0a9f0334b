// What reading and writing registrations share.
#ifndef ROLLCALL_GATEWAY_YETI_REGISTRATIONS_H
#define ROLLCALL_GATEWAY_YETI_REGISTRATIONS_H

#include "services/gateway/yeti/call.h"
#include "services/gateway/yeti/values.h"

// The values as reads show them: the password masked, or in clear where that is set.
void registrations_values(struct call *c, const struct registration *r, struct values *ret_init);

// Answers with the document of one registration. 201 carries its location.
void registrations_answer(struct call *c, int status, const struct store_record *record);

// Loads what the query includes, then runs next.
void registrations_load(struct call *c, bool pops, bool nodes, call_fn *next);

#endif
