// What a key ring holds, for the files of this folder that seal and open.
#ifndef ROLLCALL_REGISTRATION_KEY_RING_PRIVATE_H
#define ROLLCALL_REGISTRATION_KEY_RING_PRIVATE_H

#include "common/registration/key_ring.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#define KEY_BYTES    32
#define KEY_ID_BYTES 32
#define KEYS_MAX     64

struct ring_key {
    char id[KEY_ID_BYTES + 1];
    unsigned char bytes[KEY_BYTES];
};

struct key_ring {
    atomic_uint refs;
    EVP_CIPHER *cipher; // fetched once: fetching costs more than sealing
    size_t count;
    struct ring_key keys[KEYS_MAX];
};

bool key_id_is_good(struct str id);
const struct ring_key *key_ring_find(const struct key_ring *ring, struct str id); // NULL: none
int key_ring_say_missing(struct str id, struct error *err);                       // -ENOKEY

// With valid arguments OpenSSL's calls here fail only for want of memory.
static inline void must(bool done)
{
    if (!done)
        abort();
}

#endif
