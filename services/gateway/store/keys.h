// Names of the Redis keys (proto/redis-keys.md) and the digest of the twins' index, for whoever runs scripts.
// Pure.
#ifndef ROLLCALL_GATEWAY_STORE_KEYS_H
#define ROLLCALL_GATEWAY_STORE_KEYS_H

#include "common/base/buf.h"
#include "common/registration/registration.h"

#define STORE_BUCKETS      64   // of at:<place>:<bucket>
#define STORE_DIGEST_BYTES 17   // 16 hex digits and a NUL
#define STORE_ACK_WAIT_MS  1000 // by when the broker must have acknowledged a change

// All append to `out`.
void key_shard(struct buf *out, unsigned shard, const char *rest);       // rc:{sK}:<rest>
void key_registration(struct buf *out, unsigned shard, uint64_t id);     // rc:{sK}:reg:<id>
void key_account(struct buf *out, struct str account, const char *rest); // rc:{sK}:acct:<account>:<rest>
void key_at(struct buf *out, unsigned shard, const char *place,
            unsigned bucket);                       // rc:{sK}:at:<place>:<bucket>
void key_global(struct buf *out, const char *rest); // rc:{g}:<rest>

// murmur2 of the decimal id (& 0x7fffffff) mod 64: a partition of a power of two partitions up to 64 is
// bucket mod count.
unsigned key_bucket(uint64_t id);

// First 16 hex digits of SHA-256 over what tells one binding from another: AoR, contacts in any order, and
// where it is sent. Registrations of an account with the same digest are twins.
void key_binding_digest(const struct registration *r, char ret[STORE_DIGEST_BYTES]);

#endif
