// Answers, each of which ends its call: the transport's status is always 200, the outcome is in the envelope
// (contract ribbon 3).
#ifndef ROLLCALL_GATEWAY_RIBBON_ENVELOPE_H
#define ROLLCALL_GATEWAY_RIBBON_ENVELOPE_H

#include "services/gateway/ribbon/call.h"

void envelope_done(struct call *c); // nothing but the status
// `params`: texts, ended by NULL, to be joined by '|'.
void envelope_app(struct call *c, unsigned app_code, ...) __attribute__((sentinel));
void envelope_app_http(struct call *c, unsigned http_code, unsigned app_code, ...) __attribute__((sentinel));
// A field was refused: params are resource and id.
void envelope_refused(struct call *c, unsigned app_code);
void envelope_absent(struct call *c);
void envelope_table_absent(struct call *c);                             // of a row
void envelope_failure(struct call *c, int rc, const struct error *err); // of the store
void envelope_stopping(struct dialect_call *c);

void envelope_item(struct call *c, const struct fieldset *v, const struct runtime *runtime,
                   size_t runtime_count);

// A collection: begun, then one item after the other, then ended.
void envelope_list_begin(struct call *c, struct buf *out);
void envelope_list_add(struct call *c, struct buf *out, uint64_t id, const struct fieldset *v,
                       const struct runtime *runtime, size_t runtime_count);
void envelope_list_end(struct call *c, struct buf *out); // without sending it
void envelope_document(struct call *c, struct str body);
void envelope_headers(struct call *c);

// "3", or "3:1" of a row.
struct str envelope_id_text(struct row_id id, char ret[ROW_ID_BYTES]);

#endif
