// What reading and writing registrations share.
#ifndef ROLLCALL_GATEWAY_YETI_REGISTRATIONS_H
#define ROLLCALL_GATEWAY_YETI_REGISTRATIONS_H

#include "services/gateway/yeti/call.h"
#include "services/gateway/yeti/values.h"

// Of one write among many to the same record: one of them gets through each time, and Yeti refuses none.
#define REGISTRATIONS_ATTEMPTS_MAX 100

// The values as reads show them: the password masked, or in clear where that is set.
void registrations_values(struct call *c, const struct registration *r, struct values *ret_init);

// Whether the request's condition holds for the record, or for its linkage where the route is a
// relationship's. False: the call was answered.
bool registrations_pass(struct call *c, const struct store_record *record);

// What the route's relationship points to; 0: nothing.
int64_t registrations_target(const struct call *c, const struct registration *r);

// Answers with the document of one registration. 201 carries its location.
void registrations_answer(struct call *c, int status, const struct store_record *record);

// Answers with what is reported of it.
void registrations_answer_status(struct call *c, int status, const struct store_record *record);

// Loads what the query includes, then runs next.
void registrations_load(struct call *c, bool pops, bool nodes, call_fn *next);

// Puts the query's filters into a query of the store. `terms` holds CONDITIONS_TERMS_MAX; ret->ids, which may
// be NULL, is the caller's to free once the store has the query. The query outlives the answer.
void registrations_filter(struct query *q, struct store_query *ret, struct store_term *terms);

#endif
