// See networks.h.
#include "services/gateway/auth/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct network {
    unsigned char bytes[16];
    int family;
    unsigned bits;
};

static int parse(struct str text, struct network *ret)
{
    size_t slash = str_find(text, '/', 0);
    char address[INET6_ADDRSTRLEN + 1];
    struct str host = str_slice(text, 0, slash);
    if (host.n == 0 || host.n >= sizeof(address) || str_has_char(host, '\0'))
        return -EINVAL;
    memcpy(address, host.p, host.n);
    address[host.n] = '\0';
    ret->family = str_has_char(host, ':') ? AF_INET6 : AF_INET;
    uint64_t most = ret->family == AF_INET ? 32 : 128, bits = most;
    if (inet_pton(ret->family, address, ret->bytes) != 1)
        return -EINVAL;
    if (slash < text.n && (str_to_u64(str_slice(text, slash + 1, text.n), &bits) || bits > most))
        return -EINVAL;
    ret->bits = (unsigned)bits;
    return 0;
}

bool network_is_valid(struct str network)
{
    struct network net;
    return parse(network, &net) == 0;
}

bool network_has(struct str network, struct str address)
{
    struct network net, ip;
    if (parse(network, &net) || parse(address, &ip) || net.family != ip.family)
        return false;
    if (memcmp(net.bytes, ip.bytes, net.bits / 8) != 0)
        return false;
    unsigned rest = net.bits % 8;
    return rest == 0 || (net.bytes[net.bits / 8] ^ ip.bytes[net.bits / 8]) >> (8 - rest) == 0;
}
