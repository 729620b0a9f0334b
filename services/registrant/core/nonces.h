// The nonces that a registration holds, one for each realm (and 401 and 407 apart), in one small block.
#ifndef ROLLCALL_REGISTRANT_CORE_NONCES_H
#define ROLLCALL_REGISTRANT_CORE_NONCES_H

#include "common/registration/status.h"
#include "services/registrant/core/digest.h"
#include "services/registrant/core/intern.h"

struct nonce {
    struct interned *realm;
    int64_t since_ms : 54;      // when the challenge came
    unsigned int algorithm : 3; // enum digest_algorithm
    unsigned int qop : 2;       // enum digest_qop
    bool algorithm_given : 1, userhash : 1, proxy : 1;
    uint32_t nc;                // last count used
    uint16_t nonce_n, opaque_n; // of the texts; opaque_n 0xffff: none
};

struct nonces {
    uint32_t bytes;
    uint32_t count;
    struct nonce items[]; // the texts follow, each ended by NUL
};

#define NONCE_MAX_BYTES 4096 // what a registrar sends is clamped: a longer one is not kept

struct str nonce_text(const struct nonces *n, size_t i);
struct str nonce_opaque(const struct nonces *n, size_t i); // p NULL: none

// Puts the challenge in place of the one of its realm, or at the end (at the place of the first when all
// STATUS_MAX_NONCES are taken). Returns its index, or -1 when it is too long to keep.
int nonces_put(struct intern *texts, struct nonces **n, const struct digest_challenge *c, uint32_t nc,
               int64_t now_ms);
// nextnonce of Authentication-Info (RFC 7616 3.5) for the first realm that is not a proxy's; of
// Proxy-Authentication-Info (3.8) for the first that is.
void nonces_next(struct intern *texts, struct nonces **n, struct str nextnonce, bool proxy, int64_t now_ms);
void nonces_free(struct intern *texts, struct nonces **n);

#endif
