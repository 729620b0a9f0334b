// A small seeded generator (splitmix64) for jitter, tags and tests that repeat. Not for keys or tokens: those
// take random_bytes.
#ifndef ROLLCALL_BASE_RNG_H
#define ROLLCALL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state; // any seed will do
};

uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t bound); // 0 … bound − 1; bound 0 gives 0

void random_bytes(void *ret_bytes, size_t count); // the kernel's; aborts if it has none

#endif
