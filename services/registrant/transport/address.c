// See address.h. Knows numbers only: names are resolve/'s.
#include "services/registrant/transport/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

socklen_t address_bytes(const struct address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

static uint32_t scope_of(const struct sockaddr_in6 *a)
{
    return IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr) ? a->sin6_scope_id : 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0 &&
           scope_of(&a->v6) == scope_of(&b->v6);
}

// "fe80::1%eth0": a link-local address means nothing without its link.
static bool parse_v6(char *text, uint16_t port, struct address *ret)
{
    char *percent = strchr(text, '%');
    uint32_t scope = 0;
    if (percent) {
        *percent = '\0';
        scope = if_nametoindex(percent + 1);
        if (!scope)
            return false;
    }
    struct address a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = scope}};
    if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) != 1)
        return false;
    *ret = a;
    return true;
}

bool address_parse(struct str host, uint16_t port, struct address *ret)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    if (host.n == 0 || host.n >= sizeof(text) || memchr(host.p, '\0', host.n))
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    struct address a = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) != 1)
        return parse_v6(text, port, ret);
    *ret = a;
    return true;
}

uint16_t address_port(const struct address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void address_add_host(struct buf *out, const struct address *a)
{
    char text[INET6_ADDRSTRLEN];
    const void *bytes =
        a->any.sa_family == AF_INET6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr;
    (void)inet_ntop(a->any.sa_family, bytes, text, sizeof(text));
    buf_add_cstr(out, text);
}

void address_add(struct buf *out, const struct address *a)
{
    bool v6 = a->any.sa_family == AF_INET6;
    if (v6)
        buf_add_char(out, '[');
    address_add_host(out, a);
    if (v6)
        buf_add_char(out, ']');
    buf_add_char(out, ':');
    buf_add_u64(out, address_port(a));
}

void address_add_with(struct buf *out, enum registration_transport transport, const struct address *a)
{
    buf_add_cstr(out, registration_transport_name(transport));
    buf_add_char(out, ':');
    address_add(out, a);
}
