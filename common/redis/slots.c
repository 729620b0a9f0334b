// See slots.h.
#include "common/redis/slots.h"

#include "common/base/hash.h"

uint16_t redis_slot(struct str key)
{
    size_t open = str_find(key, '{', 0), close = str_find(key, '}', open + 1);
    bool tagged = open < key.n && close < key.n && close > open + 1;
    return hash_crc16(tagged ? str_slice(key, open + 1, close) : key) % REDIS_SLOTS;
}

static size_t last_colon(struct str s)
{
    size_t at = s.n; // an IPv6 address has colons of its own and no brackets here
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ':')
            at = i;
    return at;
}

bool redis_redirection_read(struct str text, struct redis_redirection *ret)
{
    struct str word, slot_text, address = text;
    uint64_t slot, port;
    if (!str_split(&address, ' ', &word) || !str_split(&address, ' ', &slot_text))
        return false;
    ret->ask = str_eq_cstr(word, "ASK");
    if (!ret->ask && !str_eq_cstr(word, "MOVED"))
        return false;
    size_t colon = last_colon(address);
    if (str_to_u64(slot_text, &slot) < 0 || slot >= REDIS_SLOTS ||
        str_to_u64(str_slice(address, colon + 1, address.n), &port) < 0 || port == 0 || port > UINT16_MAX)
        return false;
    ret->slot = (uint16_t)slot;
    ret->host = str_slice(address, 0, colon);
    ret->port = (uint16_t)port;
    return true;
}
