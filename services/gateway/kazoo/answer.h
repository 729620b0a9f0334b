// Answers: headers (contract 4.1), envelope, errors. Each of these ends the call, but the first.
#ifndef ROLLCALL_GATEWAY_KAZOO_ANSWER_H
#define ROLLCALL_GATEWAY_KAZOO_ANSWER_H

#include "services/gateway/kazoo/call.h"
#include "services/gateway/kazoo/problems.h"

// Those of an answer with a body; `is_error` brings those of CORS along in any case.
void kazoo_answer_headers(struct call *c, bool is_error);

void kazoo_answer_data(struct call *c, int status, struct str data); // JSON of `data`
void kazoo_answer_problem(struct call *c, enum problem problem, struct str detail);
void kazoo_answer_failure(struct call *c, int rc, const struct error *err); // of a call of the store
void kazoo_answer_options(struct call *c);
void kazoo_answer_stopping(struct dialect_call *call); // nothing of it was begun

// MD5 of the data as hexadecimal digits: what `revision` holds.
struct revision;
struct revision *kazoo_revision_new(void);
void kazoo_revision_add(struct revision *r, struct str data);
void kazoo_revision_end(struct revision *take_revision, struct buf *out);

#endif
