// The envelope around every answer (contract 4): written in two halves, so that a long list may come between.
#ifndef ROLLCALL_GATEWAY_KAZOO_ENVELOPE_H
#define ROLLCALL_GATEWAY_KAZOO_ENVELOPE_H

#include "common/json/json.h"
#include "services/gateway/kazoo/call.h"

// Up to the value of `data`, which the caller writes next.
void kazoo_envelope_begin(struct json_writer *w, const struct call *c);

struct envelope_end {
    struct str revision; // of the data; empty: none
    int status;          // HTTP, of an error; 0: success
    const char *message; // of an error
};
void kazoo_envelope_end(struct json_writer *w, const struct call *c, const struct envelope_end *end);

// JSON text with line breaks and indentation, a piece at a time.
struct pretty {
    unsigned depth;
    bool in_string, escaped, opened; // opened: a container whose first member is still to come
};
void kazoo_pretty_add(struct pretty *p, struct str json, struct buf *out);

#endif
