// See aside.h.
#include "services/registrant/resolve/aside.h"

#include "common/base/keyed_table.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ASIDE 4096u

struct key { // no padding: it is compared as bytes
    uint32_t transport;
    uint32_t scope;
    uint16_t family, port;
    unsigned char bytes[16];
};

struct one {
    UT_hash_handle hh;
    struct key key;
    uint64_t until_us;
};

struct aside {
    struct one *all;
};

struct aside *aside_new(void)
{
    return mem_alloc(sizeof(struct aside));
}

static void drop(struct aside *a, struct one *o)
{
    HASH_DEL(a->all, o);
    free(o);
}

void aside_free(struct aside *a)
{
    if (!a)
        return;
    while (a->all)
        drop(a, a->all);
    free(a);
}

static struct key key_of(const struct resolve_target *t)
{
    struct key k = {.transport = t->transport, .family = t->address.any.sa_family};
    if (k.family == AF_INET) {
        k.port = t->address.v4.sin_port;
        memcpy(k.bytes, &t->address.v4.sin_addr, sizeof(t->address.v4.sin_addr));
        return k;
    }
    k.port = t->address.v6.sin6_port;
    k.scope = IN6_IS_ADDR_LINKLOCAL(&t->address.v6.sin6_addr) ? t->address.v6.sin6_scope_id : 0;
    memcpy(k.bytes, &t->address.v6.sin6_addr, sizeof(k.bytes));
    return k;
}

static struct one *find(struct aside *a, const struct resolve_target *t)
{
    struct key k = key_of(t);
    struct one *o;
    HASH_FIND(hh, a->all, &k, sizeof(k), o);
    return o;
}

// Everything that is over, or else the one that is over soonest.
static void make_room(struct aside *a, uint64_t now_us)
{
    struct one *soonest = NULL;
    for (struct one *o = a->all, *next; o; o = next) {
        next = o->hh.next;
        if (o->until_us <= now_us)
            drop(a, o);
        else if (!soonest || o->until_us < soonest->until_us)
            soonest = o;
    }
    if (soonest && HASH_COUNT(a->all) >= MAX_ASIDE)
        drop(a, soonest);
}

void aside_put(struct aside *a, const struct resolve_target *t, uint64_t until_us, uint64_t now_us)
{
    struct one *o = find(a, t);
    if (!o) {
        if (HASH_COUNT(a->all) >= MAX_ASIDE)
            make_room(a, now_us);
        o = mem_alloc(sizeof(*o));
        o->key = key_of(t);
        HASH_ADD(hh, a->all, key, sizeof(o->key), o);
    }
    if (until_us > o->until_us)
        o->until_us = until_us;
}

void aside_remove(struct aside *a, const struct resolve_target *t)
{
    struct one *o = a->all ? find(a, t) : NULL;
    if (o)
        drop(a, o);
}

bool aside_has(struct aside *a, const struct resolve_target *t, uint64_t now_us)
{
    struct one *o = a->all ? find(a, t) : NULL;
    if (!o)
        return false;
    if (o->until_us > now_us)
        return true;
    drop(a, o);
    return false;
}
