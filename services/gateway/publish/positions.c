// See positions.h.
#include "services/gateway/publish/positions.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct position_key {
    int32_t partition;
    char topic[252]; // zero to its end: it is hashed. Kafka allows 249
};

struct position {
    UT_hash_handle hh;
    struct position_key key;
    int64_t next;
};

static struct position *find(const struct positions *p, const char *topic, int32_t partition)
{
    struct position_key key = {.partition = partition};
    struct position *found;
    memcpy(key.topic, topic, strnlen(topic, sizeof(key.topic) - 1));
    HASH_FIND(hh, p->table, &key, sizeof(key), found);
    return found;
}

void positions_done(struct positions *p)
{
    struct position *i, *next;
    HASH_ITER(hh, p->table, i, next) {
        HASH_DEL(p->table, i);
        free(i);
    }
}

void positions_add(struct positions *p, const char *topic, int32_t partition)
{
    struct position *i = find(p, topic, partition);
    if (!i) {
        i = mem_alloc(sizeof(*i));
        i->key.partition = partition;
        memcpy(i->key.topic, topic, strnlen(topic, sizeof(i->key.topic) - 1));
        HASH_ADD(hh, p->table, key, sizeof(i->key), i);
    }
    i->next = -1;
}

void positions_remove(struct positions *p, const char *topic, int32_t partition)
{
    struct position *i = find(p, topic, partition);
    if (!i)
        return;
    HASH_DEL(p->table, i);
    free(i);
}

bool positions_set(struct positions *p, const char *topic, int32_t partition, int64_t next)
{
    struct position *i = find(p, topic, partition);
    if (i)
        i->next = next;
    return i;
}

int64_t positions_get(const struct positions *p, const char *topic, int32_t partition)
{
    const struct position *i = find(p, topic, partition);
    return i ? i->next : -1;
}

void positions_each(const struct positions *p, void *arg,
                    void (*fn)(void *arg, const char *topic, int32_t partition, int64_t next))
{
    for (const struct position *i = p->table; i; i = i->hh.next)
        if (i->next >= 0)
            fn(arg, i->key.topic, i->key.partition, i->next);
}
