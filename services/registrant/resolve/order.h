// In which order the targets behind a name are tried (RFC 3263 4.2, 2782). Pure. Instead of drawing anew each
// time, the weights are drawn once by the affinity of who asks (weighted rendezvous hashing): everybody keeps
// its target while it is there, and one that goes or comes moves none but those that it had or gets.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_ORDER_H
#define ROLLCALL_REGISTRANT_RESOLVE_ORDER_H

#include "services/registrant/resolve/resolve.h"

#define ORDER_MAX_TARGETS 64u

struct candidate {
    struct resolve_target target;
    uint32_t rank;   // lower first: service by NAPTR, then priority of SRV
    uint16_t weight; // of the group, within the rank
    uint64_t group;  // which SRV record: hash of its target and port; its addresses stay together
};

uint64_t order_hash(struct str text, uint64_t more); // for groups
uint64_t order_target_hash(const struct resolve_target *t);

// Writes the targets in order, those set aside last, and how many are not. count ≤ ORDER_MAX_TARGETS.
void order_targets(const struct candidate *list, size_t count, uint64_t affinity,
                   const bool aside[ORDER_MAX_TARGETS], struct resolve_target *ret, size_t *ret_usable);

#endif
