// See hash.h.
#include "common/base/hash.h"

uint16_t hash_crc16(struct str s)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < s.n; i++) {
        crc = (uint16_t)(crc ^ ((uint16_t)(unsigned char)s.p[i] << 8));
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((uint32_t)crc << 1 ^ ((crc & 0x8000u) ? 0x1021u : 0u));
    }
    return crc;
}

uint32_t hash_murmur2(struct str s)
{
    const uint32_t m = 0x5bd1e995u;
    const unsigned char *p = (const unsigned char *)s.p;
    size_t left = s.n;
    uint32_t h = 0x9747b28cu ^ (uint32_t)s.n;
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (left == 3)
        h ^= (uint32_t)p[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (left >= 1)
        h = (h ^ p[0]) * m;
    h = (h ^ (h >> 13)) * m;
    return h ^ (h >> 15);
}

uint64_t hash_u64(uint64_t value)
{
    value = (value ^ (value >> 32)) * 0xd6e8feb86659fd93u;
    value = (value ^ (value >> 32)) * 0xd6e8feb86659fd93u;
    return value ^ (value >> 32);
}

uint32_t hash_partition(struct str key, uint32_t count)
{
    return count ? (hash_murmur2(key) & 0x7fffffffu) % count : 0;
}
