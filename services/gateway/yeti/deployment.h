// What reading and writing the deployment's objects share.
#ifndef ROLLCALL_GATEWAY_YETI_DEPLOYMENT_H
#define ROLLCALL_GATEWAY_YETI_DEPLOYMENT_H

#include "services/gateway/yeti/call.h"

// The loaded objects of a type.
const struct objects *deployment_objects(const struct call *c, enum type_id type);

// The object with the call's id; NULL: the call was answered 404.
const struct object *deployment_find(struct call *c);

// Whether the request's condition holds for the object, or for its linkage where the route is a
// relationship's. False: the call was answered. Of two writes at the same moment both may pass.
bool deployment_passes(struct call *c, const struct object *object);

void deployment_answer(struct call *c, int status, const struct object *object);

#endif
