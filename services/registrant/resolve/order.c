// See order.h. Knows no time and no name: what is aside is told to it.
#include "services/registrant/resolve/order.h"

#include "common/base/hash.h"

#include <assert.h>
#include <math.h>
#include <string.h>

// RFC 2782: one of weight 0 beside others has "a very small chance".
#define WEIGHT_OF_NONE 0.01

struct place {
    bool aside;
    uint32_t rank;
    double group_score;
    uint64_t group;
    bool v6;
    uint64_t address_score;
    size_t index;
};

uint64_t order_hash(struct str text, uint64_t more)
{
    uint64_t h = hash_u64(more ^ 0x6f72646572u);
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    return hash_u64(h);
}

// Between 0 and 1, neither included.
static double fraction(uint64_t hash)
{
    return ((double)(hash >> 12) + 0.5) * 0x1p-52;
}

static uint64_t address_hash(const struct address *a)
{
    if (a->any.sa_family == AF_INET)
        return hash_u64((uint64_t)a->v4.sin_addr.s_addr << 16 | a->v4.sin_port);
    uint64_t half[2];
    memcpy(half, &a->v6.sin6_addr, sizeof(half));
    return hash_u64(half[0] ^ hash_u64(half[1] ^ a->v6.sin6_port));
}

uint64_t order_target_hash(const struct resolve_target *t)
{
    return hash_u64(address_hash(&t->address) + t->transport);
}

static struct place place_of(const struct candidate *c, uint64_t affinity, bool aside, size_t index)
{
    double weight = c->weight ? c->weight : WEIGHT_OF_NONE;
    return (struct place){.aside = aside,
                          .rank = c->rank,
                          // The greatest wins with probability weight / sum of weights.
                          .group_score = weight / -log(fraction(hash_u64(affinity ^ c->group))),
                          .group = c->group,
                          .v6 = c->target.address.any.sa_family == AF_INET6,
                          .address_score = hash_u64(affinity ^ address_hash(&c->target.address)),
                          .index = index};
}

static bool before(const struct place *a, const struct place *b)
{
    if (a->aside != b->aside)
        return b->aside;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    if (a->group != b->group)
        return a->group_score != b->group_score ? a->group_score > b->group_score : a->group > b->group;
    if (a->v6 != b->v6)
        return b->v6;
    return a->address_score > b->address_score;
}

void order_targets(const struct candidate *list, size_t count, uint64_t affinity,
                   const bool aside[ORDER_MAX_TARGETS], struct resolve_target *ret, size_t *ret_usable)
{
    assert(count <= ORDER_MAX_TARGETS);
    *ret_usable = 0;
    if (count == 1) {
        ret[0] = list[0].target;
        *ret_usable = !aside[0];
        return;
    }
    struct place sorted[ORDER_MAX_TARGETS];
    for (size_t i = 0; i < count; i++) {
        struct place p = place_of(&list[i], affinity, aside[i], i);
        size_t at = i;
        for (; at > 0 && before(&p, &sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = p;
        *ret_usable += !aside[i];
    }
    for (size_t i = 0; i < count; i++)
        ret[i] = list[sorted[i].index].target;
}
