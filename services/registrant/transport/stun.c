// See stun.h.
#include "services/registrant/transport/stun.h"

#include <errno.h>
#include <string.h>

#define BINDING_REQUEST    0x0001
#define BINDING_SUCCESS    0x0101
#define BINDING_ERROR      0x0111
#define XOR_MAPPED_ADDRESS 0x0020
#define FAMILY_IPV4        1
#define FAMILY_IPV6        2

static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};

void stun_request(uint8_t ret_bytes[STUN_REQUEST_BYTES], const uint8_t id[STUN_ID_BYTES])
{
    memset(ret_bytes, 0, STUN_REQUEST_BYTES);
    ret_bytes[1] = BINDING_REQUEST;
    memcpy(ret_bytes + 4, cookie, sizeof(cookie));
    memcpy(ret_bytes + 8, id, STUN_ID_BYTES);
}

bool stun_is(struct str datagram)
{
    return datagram.n >= STUN_REQUEST_BYTES && ((uint8_t)datagram.p[0] & 0xc0) == 0 &&
           memcmp(datagram.p + 4, cookie, sizeof(cookie)) == 0;
}

static unsigned u16(const char *p)
{
    return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

// The address is masked with the cookie and, beyond its length, with the transaction's id: what follows the
// cookie in the header (RFC 5389 15.2).
static bool read_mapped(struct str value, const char *mask, struct address *ret)
{
    struct address a = {0};
    uint8_t *to = (uint8_t *)&a.v4.sin_addr;
    size_t n = sizeof(a.v4.sin_addr);
    if (value.n >= 8 && value.p[1] == FAMILY_IPV4) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons((uint16_t)(u16(value.p + 2) ^ u16(mask)));
    } else if (value.n >= 20 && value.p[1] == FAMILY_IPV6) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons((uint16_t)(u16(value.p + 2) ^ u16(mask)));
        to = (uint8_t *)&a.v6.sin6_addr;
        n = sizeof(a.v6.sin6_addr);
    } else {
        return false;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(value.p[4 + i] ^ mask[i]);
    *ret = a;
    return true;
}

static int read_attributes(struct str rest, const char *mask, struct stun_answer *answer)
{
    while (rest.n) {
        if (rest.n < 4)
            return -EINVAL;
        size_t n = u16(rest.p + 2), padded = (n + 3) & ~(size_t)3;
        if (rest.n - 4 < n)
            return -EINVAL;
        if (u16(rest.p) == XOR_MAPPED_ADDRESS && !answer->has_mapped)
            answer->has_mapped = read_mapped(str_slice(rest, 4, 4 + n), mask, &answer->mapped);
        rest = str_slice(rest, 4 + padded, rest.n);
    }
    return 0;
}

int stun_read(struct str datagram, struct stun_answer *ret)
{
    struct stun_answer answer = {0};
    if (!stun_is(datagram))
        return -EINVAL;
    unsigned type = u16(datagram.p);
    if ((type != BINDING_SUCCESS && type != BINDING_ERROR) ||
        u16(datagram.p + 2) != datagram.n - STUN_REQUEST_BYTES)
        return -EINVAL;
    answer.error = type == BINDING_ERROR;
    memcpy(answer.id, datagram.p + 8, STUN_ID_BYTES);
    struct str attributes = str_slice(datagram, STUN_REQUEST_BYTES, datagram.n);
    int rc = answer.error ? 0 : read_attributes(attributes, datagram.p + 4, &answer);
    if (!rc)
        *ret = answer;
    return rc;
}
