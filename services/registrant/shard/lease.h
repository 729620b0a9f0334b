// The lease of a place: an offset commit that the coordinator accepted proves that we were a member
// when it was sent. Pure.
#ifndef ROLLCALL_REGISTRANT_SHARD_LEASE_H
#define ROLLCALL_REGISTRANT_SHARD_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct lease {
    uint64_t session_us; // the group's session time-out
    uint64_t proved_us;  // monotonic: when the last accepted commit was sent; 0: never
};

// An accepted commit that was sent at sent_us. True when this is news.
bool lease_prove(struct lease *l, uint64_t sent_us);
// The coordinator gave what we had away: whatever was proved before does not count any more.
void lease_void(struct lease *l);
bool lease_is_fresh(const struct lease *l, uint64_t now_us);

#endif
