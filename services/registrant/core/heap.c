// See heap.h.
#include "services/registrant/core/heap.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define KEPT 1024 // room that an empty heap keeps

static void place(struct heap *h, size_t i, struct waiting w)
{
    h->items[i] = w;
    w.item->heap_at = (uint32_t)i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
    struct waiting w = h->items[i];
    for (; i && h->items[(i - 1) / 2].key > w.key; i = (i - 1) / 2)
        place(h, i, h->items[(i - 1) / 2]);
    place(h, i, w);
}

static void sift_down(struct heap *h, size_t i)
{
    struct waiting w = h->items[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->items[child + 1].key < h->items[child].key)
            child++;
        if (h->items[child].key >= w.key)
            break;
        place(h, i, h->items[child]);
        i = child;
    }
    place(h, i, w);
}

void heap_done(struct heap *h)
{
    free(h->items);
    *h = (struct heap){0};
}

void heap_remove(struct heap *h, size_t index)
{
    h->items[index].item->heap_at = 0;
    struct waiting last = h->items[--h->count];
    if (!h->count && h->size > KEPT)
        heap_done(h);
    if (index == h->count)
        return;
    place(h, index, last);
    sift_up(h, index);
    sift_down(h, last.item->heap_at - 1);
}

void heap_add(struct heap *h, uint64_t key, struct pacer_item *item)
{
    if (h->count == h->size) {
        h->size = h->size ? h->size * 2 : 8;
        h->items = mem_resize(h->items, h->size, sizeof(*h->items));
    }
    h->items[h->count++] = (struct waiting){.key = key, .item = item};
    sift_up(h, h->count - 1);
}

bool heap_has(const struct heap *h, const struct pacer_item *item)
{
    return item->heap_at && item->heap_at <= h->count && h->items[item->heap_at - 1].item == item;
}

size_t heap_bytes(const struct heap *h)
{
    return h->size * sizeof(*h->items);
}
