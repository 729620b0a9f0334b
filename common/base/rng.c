// See rng.h.
#include "common/base/rng.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    return bound ? (uint64_t)(((__uint128_t)rng_next(rng) * bound) >> 64) : 0;
}

void random_bytes(void *ret_bytes, size_t count)
{
    unsigned char *at = ret_bytes;
    while (count) {
        ssize_t got = getrandom(at, count, 0);
        if (got <= 0)
            abort();
        at += got;
        count -= (size_t)got;
    }
}
