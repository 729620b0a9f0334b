// Changes of an account's objects that are accepted as one, with the job that brings registrations in step.
#ifndef ROLLCALL_GATEWAY_RIBBON_CHANGES_H
#define ROLLCALL_GATEWAY_RIBBON_CHANGES_H

#include "services/gateway/ribbon/call.h"

struct change {
    char kind[KIND_BYTES];
    char key[ROW_ID_BYTES]; // empty: the whole kind
    char *json;             // NULL: remove
};
struct changes {
    struct change *items;
    size_t count;
};
void changes_done(struct changes *ch);
void changes_set(struct changes *ch, const char *kind, struct row_id key, const struct fieldset *v);
void changes_remove(struct changes *ch, const char *kind, struct row_id key); // key 0: the whole kind
// Server rows by what they refer to: adds what `v` refers to, removes what `before` did. Either may be NULL.
void changes_refer(struct changes *ch, struct row_id server, const struct fieldset *before,
                   const struct fieldset *v);

// Sends them for the call, with its scope as a job; then brings in step what is small, and answers: the item
// with c->values, or the bare status after a DELETE. -ESTALE begins the call's write again.
void changes_send(struct call *c, const struct changes *ch, uint64_t version);

#endif
