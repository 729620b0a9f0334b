// What Redis says of itself: which replication id each shard was checked under last, since when it is silent,
// how far ids went. A shard is looked after by itself, because in a cluster each may be with another server,
// and one of them may be emptied or replaced alone. Decides nothing.
#ifndef ROLLCALL_GATEWAY_PUBLISH_MARKS_H
#define ROLLCALL_GATEWAY_PUBLISH_MARKS_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

struct hub;

struct marks {
    bool checked;      // everything, under the replication id that was asked for
    bool missing;      // something holds no mark, or the sequence of ids is gone
    bool emptied;      // something is as if it had never been used
    uint64_t alive_ms; // what is held is from no later than about then; 0: nobody knows
    uint64_t last_id;  // the largest that any shard was given
};

// Exactly once each; err NULL: the marks are there, or were set.
typedef void marks_fn(void *arg, const struct marks *m, const struct error *err);
void marks_read(struct hub *h, struct str replication_id, marks_fn *fn, void *arg);
// Every shard first, the deployment last: it alone says that all is checked. Raises the sequence of ids to
// `last_id`, and makes it where there is none. m is NULL.
void marks_set(struct hub *h, struct str replication_id, uint64_t last_id, marks_fn *fn, void *arg);

// Reads them twice a second and tells writeback_lost when one is missing: FLUSHALL breaks no connection.
struct marks_watch;
struct marks_watch *marks_watch_new(struct hub *h);
void marks_watch_free(struct marks_watch *w);

#endif
