// A row that scripts give to say what is to be published of one registration (publish_row in
// services/gateway/store/shared.lua).
#ifndef ROLLCALL_GATEWAY_PUBLISH_ROW_H
#define ROLLCALL_GATEWAY_PUBLISH_ROW_H

#include "services/gateway/publish/hub.h"

struct row { // borrows from the reply
    uint64_t id, revision;
    struct str account, place;
    bool deleted, twin;
    struct str spec, status; // JSON; status empty: none
    struct str moved_from;   // places, comma-separated
};
bool row_read(const struct redis_value *v, struct row *ret); // false: not a row
struct str row_revision(const struct redis_value *v);        // as Redis holds it, also of one that is damaged
// Publishes the present state to its place, and `moved` to the places that may still hold it. stray: what a
// former owner reported too late, in place of the last report; p NULL: none.
void row_publish(struct hub *h, const struct row *r, struct str stray);
// Rows of an array; gives how many were published.
size_t rows_publish(struct hub *h, const struct redis_value *rows, struct str stray);
// `moved` to one place that should hold it no longer.
void row_publish_moved(struct hub *h, uint64_t id, struct str account, uint64_t revision, struct str place);

#endif
