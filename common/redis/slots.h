// Slots of a Redis Cluster: which one a key is in, and what a redirection says. Pure.
#ifndef ROLLCALL_REDIS_SLOTS_H
#define ROLLCALL_REDIS_SLOTS_H

#include "common/base/str.h"

#define REDIS_SLOTS 16384

// CRC16 of the key, or of what is between its first { and the next } unless that is empty, mod 16384.
uint16_t redis_slot(struct str key);

// "MOVED <slot> <host>:<port>" and "ASK …"; the host may be empty: the one that said so. False for any other
// text. What it gives borrows the text.
struct redis_redirection {
    bool ask; // for this command only
    uint16_t slot;
    struct str host;
    uint16_t port;
};
must_use bool redis_redirection_read(struct str text, struct redis_redirection *ret);

#endif
