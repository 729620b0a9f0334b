// The answers. Each ends its call: `c` is gone afterwards.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_ANSWER_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_ANSWER_H

#include "services/gateway/voximplant/call.h"
#include "services/gateway/voximplant/codes.h"

void vox_answer_json(struct call *c, struct str body);
void vox_answer_done(struct call *c); // {"result":1}

// API errors are 200 too: all clients read the error from a 2xx only (contract voximplant 1.1).
void vox_answer_error(struct call *c, enum code code, const char *fmt, ...) printf_like(3, 4);
void vox_answer_fault(struct call *c, const struct fault *f);
// What the store said.
void vox_answer_failure(struct call *c, int rc, const struct error *err);
// An HTTP method that is neither GET nor POST: the one error that is told by HTTP.
void vox_answer_not_allowed(struct call *c);

// Writes the sentence into a fault; returns false, so that `return vox_fault_set(…)` is one line.
bool vox_fault_set(struct fault *f, enum code code, const char *fmt, ...) printf_like(3, 4);

#endif
