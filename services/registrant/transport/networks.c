// See networks.h. One table for both lists: an address of either family is sixteen bytes, IPv4 mapped.
#include "services/registrant/transport/networks.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES     16
#define MAPPED    96 // bits before an IPv4 address
#define MAX_COUNT 4096

struct network {
    unsigned char bytes[BYTES];
    unsigned bits;
    bool allow;
};

struct networks {
    struct network *items; // the longest first, of as long ones denials first
    size_t count;
    bool any_allowed;
};

static const unsigned char mapped[MAPPED / 8] = {[10] = 0xff, [11] = 0xff};

static void bytes_of(const struct address *a, unsigned char ret[BYTES])
{
    if (a->any.sa_family == AF_INET6) {
        memcpy(ret, &a->v6.sin6_addr, BYTES);
        return;
    }
    memcpy(ret, mapped, sizeof(mapped));
    memcpy(ret + sizeof(mapped), &a->v4.sin_addr, 4);
}

// ---- reading

static int parse(struct str text, struct network *ret)
{
    size_t slash = str_find(text, '/', 0);
    struct address a;
    uint64_t bits;
    if (!address_parse(str_slice(text, 0, slash), 0, &a))
        return -EINVAL;
    uint64_t most = a.any.sa_family == AF_INET ? 32 : 128;
    bits = most;
    if (slash < text.n && (str_to_u64(str_slice(text, slash + 1, text.n), &bits) || bits > most))
        return -EINVAL;
    bytes_of(&a, ret->bytes);
    ret->bits = (unsigned)(bits + 128 - most);
    return 0;
}

static int add_all(struct networks *n, const char *list, bool allow, struct error *err)
{
    struct str rest = str_of(list), one;
    while (str_split(&rest, ',', &one)) {
        struct network network = {.allow = allow};
        one = str_trim(one);
        if (!one.n)
            continue;
        if (parse(one, &network))
            return error_set(err, -EINVAL,
                             "\"" STR_FMT "\" is no network: 192.0.2.0/24, 2001:db8::/32 or an address",
                             STR_ARG(one));
        if (n->count == MAX_COUNT)
            return error_set(err, -EINVAL, "more than %d networks", MAX_COUNT);
        n->items = mem_resize(n->items, n->count + 1, sizeof(*n->items));
        n->items[n->count++] = network;
        n->any_allowed = n->any_allowed || allow;
    }
    return 0;
}

static int by_length(const void *left, const void *right)
{
    const struct network *a = left, *b = right;
    if (a->bits != b->bits)
        return a->bits > b->bits ? -1 : 1;
    return (int)a->allow - (int)b->allow;
}

int networks_new(const char *allow, const char *deny, struct networks **ret, struct error *err)
{
    struct networks *n = mem_alloc(sizeof(*n));
    int rc = add_all(n, allow, true, err);
    rc = rc ? error_prefix(err, "ROLLCALL_SIP_ALLOW") : add_all(n, deny, false, err);
    if (rc && !str_starts(str_of(err->text), STR_LIT("ROLLCALL_SIP_ALLOW")))
        rc = error_prefix(err, "ROLLCALL_SIP_DENY");
    if (rc || !n->count) {
        networks_free(n);
        n = NULL;
    } else {
        qsort(n->items, n->count, sizeof(*n->items), by_length);
    }
    if (!rc)
        *ret = n;
    return rc;
}

void networks_free(struct networks *n)
{
    if (!n)
        return;
    free(n->items);
    free(n);
}

// ---- judging

static bool is_v4(const unsigned char address[BYTES])
{
    return memcmp(address, mapped, sizeof(mapped)) == 0;
}

// ::/0 is all of IPv6 and nothing of IPv4.
static bool is_in(const unsigned char address[BYTES], const struct network *n)
{
    if (n->bits < MAPPED && is_v4(address))
        return false;
    if (memcmp(address, n->bytes, n->bits / 8) != 0)
        return false;
    unsigned rest = n->bits % 8;
    return rest == 0 || (address[n->bits / 8] ^ n->bytes[n->bits / 8]) >> (8 - rest) == 0;
}

static enum network_verdict judge(const struct networks *n, const unsigned char address[BYTES])
{
    for (size_t i = 0; i < n->count; i++)
        if (is_in(address, &n->items[i]))
            return n->items[i].allow ? NETWORK_ALLOWED : NETWORK_DENIED;
    return n->any_allowed ? NETWORK_NOT_ALLOWED : NETWORK_ALLOWED;
}

static bool is_unspecified(const unsigned char address[BYTES])
{
    static const unsigned char none[BYTES];
    return is_v4(address) ? memcmp(address + BYTES - 4, none, 4) == 0 : memcmp(address, none, BYTES) == 0;
}

enum network_verdict networks_judge(const struct networks *n, const struct address *a)
{
    unsigned char address[BYTES];
    if (!n)
        return NETWORK_ALLOWED;
    bytes_of(a, address);
    enum network_verdict verdict = judge(n, address);
    if (verdict == NETWORK_ALLOWED && is_unspecified(address)) {
        address[BYTES - 4] = is_v4(address) ? 127 : 0;
        address[BYTES - 1] = 1;
        verdict = judge(n, address);
    }
    return verdict;
}
