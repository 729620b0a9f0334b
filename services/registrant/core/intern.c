// See intern.h.
#include "services/registrant/core/intern.h"

#include "common/base/keyed_table.h"
#include "common/base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct node {
    struct interned shared; // first: a pointer to it is a pointer to the node
    UT_hash_handle hh;
    char text[];
};

struct intern {
    struct node *nodes;
    size_t bytes;
};

struct intern *intern_new(void)
{
    return mem_alloc(sizeof(struct intern));
}

void intern_free(struct intern *set)
{
    if (!set)
        return;
    assert(!set->nodes);
    free(set);
}

struct interned *intern_get(struct intern *set, struct str text)
{
    struct node *node = NULL;
    const char *key = text.p ? text.p : "";
    HASH_FIND(hh, set->nodes, key, text.n, node);
    if (!node) {
        node = mem_alloc(sizeof(*node) + text.n + 1);
        memcpy(node->text, key, text.n);
        node->shared.text = node->text;
        node->shared.n = (uint32_t)text.n;
        HASH_ADD_KEYPTR(hh, set->nodes, node->text, text.n, node);
        set->bytes += sizeof(*node) + text.n + 1;
    }
    node->shared.refs++;
    return &node->shared;
}

void intern_put(struct intern *set, struct interned **i)
{
    struct interned *it = *i;
    *i = NULL;
    if (!it || --it->refs)
        return;
    struct node *node = container_of(it, struct node, shared);
    set->bytes -= sizeof(*node) + it->n + 1;
    HASH_DEL(set->nodes, node);
    free(node);
}

void intern_set(struct intern *set, struct interned **slot, struct str text)
{
    if (*slot && str_eq(interned_str(*slot), text))
        return;
    struct interned *now = text.n ? intern_get(set, text) : NULL;
    intern_put(set, slot);
    *slot = now;
}

struct str interned_str(const struct interned *i)
{
    return i ? (struct str){.p = i->text, .n = i->n} : STR_NONE;
}

size_t intern_bytes(const struct intern *set)
{
    return set->bytes;
}
