// See lookup.h.
#include "services/gateway/auth/lookup.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>
#define uthash_fatal(msg) abort()
#include <uthash.h>

struct lookup {
    void *record;
    UT_hash_handle hh;
};

void *lookup_find(const struct lookup *table, const void *key, size_t bytes)
{
    struct lookup *found = NULL;
    if (bytes)
        HASH_FIND(hh, table, key, bytes, found);
    return found ? found->record : NULL;
}

bool lookup_add(struct lookup **table, const void *key, size_t bytes, void *record)
{
    if (lookup_find(*table, key, bytes))
        return false;
    struct lookup *entry = mem_alloc(sizeof(*entry));
    entry->record = record;
    HASH_ADD_KEYPTR(hh, *table, key, bytes, entry);
    return true;
}

void lookup_clear(struct lookup **table)
{
    struct lookup *entry = *table, *next;
    HASH_CLEAR(hh, *table); // the buckets at once; the entries still know each other
    for (; entry; entry = next) {
        next = entry->hh.next;
        free(entry);
    }
}

void *lookup_text(const struct lookup *table, struct str key)
{
    return lookup_find(table, key.p, key.n);
}

bool lookup_add_text(struct lookup **table, const char *key, void *record)
{
    return lookup_add(table, key, strlen(key), record);
}
