// Answers: the headers of contract 7 in Yeti's order, the entity tag, 304. Each of these ends the call.
#ifndef ROLLCALL_GATEWAY_YETI_ANSWER_H
#define ROLLCALL_GATEWAY_YETI_ANSWER_H

#include "services/gateway/yeti/call.h"

// 200 or 201 with a JSON:API document; 304 where If-None-Match holds its tag. location may be empty.
void answer_document(struct call *c, int status, struct str body, struct str location);
void answer_no_content(struct call *c);
void answer_lines(struct call *c, struct str body); // 200, newline-delimited JSON
// Begins a 200 that is written piece by piece; the call goes on, `arg` of fns is the call. Who ends the
// stream frees the call.
void answer_stream(struct call *c, const char *media, const struct http_stream_fns *fns);
// W/"…": the weak tag of a body (contract 7).
#define ANSWER_TAG_BYTES 37
void answer_tag(struct str body, char ret[ANSWER_TAG_BYTES]);
void answer_condition_failed(struct call *c, const char *etag); // 412; the tag as it is now
void answer_errors(struct call *c);                             // c->errors, which holds at least one
// The same with one error.
void answer_error(struct call *c, enum problem problem, struct str a, struct str b);
void answer_unauthorized(struct call *c); // 401 with an empty body
// Not JSON:API: the login's answers. no vary, no etag on errors
void answer_json(struct call *c, int status, struct str body);
void answer_no_record(struct call *c); // 404
// A failed call of the store: 404, 503 or 500.
void answer_failure(struct call *c, int rc, const struct error *err);
// 429: more was asked than the throttle lets through; retry-after says when to come again.
void answer_too_many(struct call *c, struct throttle_answer why, const char *detail);
// 503 because of something that passes.
void answer_unavailable(struct call *c, const char *detail);

#endif
