// What reading and writing the deployment's objects share.
#ifndef ROLLCALL_GATEWAY_YETI_DEPLOYMENT_H
#define ROLLCALL_GATEWAY_YETI_DEPLOYMENT_H

#include "services/gateway/yeti/call.h"

// The loaded objects of a type.
const struct objects *deployment_objects(const struct call *c, enum type_id type);

// Loads the objects of the call's type, and what the query includes; then runs next.
void deployment_load(struct call *c, call_fn *next);

// The object with the call's id; NULL: the call was answered 404.
const struct object *deployment_find(struct call *c);

void deployment_answer(struct call *c, int status, const struct object *object);

#endif
