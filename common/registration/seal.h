// Secrets sealed with AES-256-GCM under a key ring, so that none stands in clear in Redis, Kafka, a log or a
// trace.
#ifndef ROLLCALL_REGISTRATION_SEAL_H
#define ROLLCALL_REGISTRATION_SEAL_H

#include "common/registration/key_ring.h"

// What a sealed text is bound to: opening it elsewhere fails.
struct seal_context {
    struct str account;
    uint64_t id;
    const char *field; // "password"
    struct str realm;  // empty: any
};

// "sealed:<key id>:<base64 of nonce, ciphertext, tag>"
void seal_text(const struct key_ring *ring, const struct seal_context *context, struct str secret,
               struct buf *out);
bool seal_is_sealed(struct str text);
// Id of the key that it is under, borrowed from it; "" where it is in no sealed form.
struct str seal_key_of(struct str sealed);

// The same in fewer bytes, for memory: the length of the key id, key id, then nonce, ciphertext, tag as they
// are. False, and nothing appended: it is no sealed text.
must_use bool seal_pack(struct str sealed, struct buf *out);
void seal_unpack(struct str packed, struct buf *out);

// sealed: the text, or its packed form. 0; -ENOKEY (sentence: key <id> missing); -EBADMSG (damaged, or sealed
// for another context). `out` is wiped by the caller.
must_use int seal_open(const struct key_ring *ring, const struct seal_context *context, struct str sealed,
                       struct buf *out, struct error *err);

// Opens many: what one opening needs is kept for the next (never a clear text). One thread; the ring outlives
// it.
struct seal_opener;
struct seal_opener *seal_opener_new(const struct key_ring *ring);
void seal_opener_free(struct seal_opener *o); // NULL is allowed
must_use int seal_opener_open(struct seal_opener *o, const struct seal_context *context, struct str sealed,
                              struct buf *out, struct error *err); // as seal_open

#endif
