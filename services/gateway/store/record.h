// A registration's hash in Redis as a store_record, and what is published of it. No I/O but the one HMGET.
#ifndef ROLLCALL_GATEWAY_STORE_RECORD_H
#define ROLLCALL_GATEWAY_STORE_RECORD_H

#include "common/redis/redis.h"
#include "services/gateway/store/store.h"

// HMGET of all that record_read wants. with_status false leaves the status out (a walk that only sorts).
void record_fetch(struct redis *r, struct str account, uint64_t id, bool with_status, redis_fn *fn,
                  void *arg);

// 0 and *ret to be ended with registration_done, its status borrowing from v; -ENOENT (no such registration
// in that account, or deleted), -EIO (what Redis holds is damaged: names the id).
must_use int record_read(const struct redis_value *v, struct str account, uint64_t id,
                         struct store_record *ret, struct error *err);

// The specification as it is stored: without the command counters.
void record_spec(struct buf *out, const struct registration *r);

// Members of the events created and updated: name, actor, and the registration without a secret.
void record_event(struct buf *out, const struct registration *r, struct str actor);

// A change with copies of what is given; NULL for what it does not carry.
struct store_change *store_change_new(enum store_op op, uint64_t id, uint64_t revision, struct str account,
                                      struct str place, struct str traceparent);

// The row that raise.lua gives as the change to be published; NULL when it is none.
struct store_change *store_change_of_raised(const struct redis_value *row, struct str traceparent);

#endif
