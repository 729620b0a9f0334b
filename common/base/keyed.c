// See keyed.h.
#include "common/base/keyed.h"

#include "common/base/rng.h"

#include <pthread.h>
#include <string.h>

static uint64_t read_le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t rotated(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static void mix(uint64_t v[static 4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[0] = rotated(v[0], 32);
        v[2] += v[3];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[2] = rotated(v[2], 32);
    }
}

static void take(uint64_t v[static 4], uint64_t word)
{
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

uint64_t hash_sip(const void *bytes, size_t count, const uint8_t *key)
{
    const uint8_t *p = bytes;
    uint64_t k0 = read_le64(key), k1 = read_le64(key + 8);
    uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                     k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    size_t whole = count / 8 * 8;
    for (size_t i = 0; i < whole; i += 8)
        take(v, read_le64(p + i));
    uint64_t last = (uint64_t)count << 56;
    for (size_t i = whole; i < count; i++)
        last |= (uint64_t)p[i] << 8 * (i - whole);
    take(v, last);
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint8_t own_key[16];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    random_bytes(own_key, sizeof(own_key));
}

uint32_t hash_keyed(const void *bytes, size_t count)
{
    (void)pthread_once(&once, draw_key);
    return (uint32_t)hash_sip(bytes, count, own_key);
}
