// See table.h.
#include "services/registrant/core/table.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define FIRST_SIZE    16
#define MOVE_PER_STEP 16

static size_t home(const struct table_slots *s, uint64_t id)
{
    return hash_u64(id) & (s->size - 1);
}

static size_t slot_of(const struct table_slots *s, uint64_t id)
{
    if (!s->size)
        return SIZE_MAX;
    for (size_t i = home(s, id); s->items[i]; i = (i + 1) & (s->size - 1))
        if (*s->items[i] == id)
            return i;
    return SIZE_MAX;
}

static void insert(struct table_slots *s, uint64_t *item)
{
    size_t i = home(s, *item);
    while (s->items[i])
        i = (i + 1) & (s->size - 1);
    s->items[i] = item;
    s->count++;
}

// Backward shift: no tombstones, so a table that lives for years does not fill up with them.
static void erase(struct table_slots *s, size_t hole)
{
    size_t mask = s->size - 1;
    s->items[hole] = NULL;
    s->count--;
    for (size_t i = (hole + 1) & mask; s->items[i]; i = (i + 1) & mask) {
        size_t wanted = home(s, *s->items[i]);
        if (((i - wanted) & mask) < ((i - hole) & mask))
            continue;
        s->items[hole] = s->items[i];
        s->items[i] = NULL;
        hole = i;
    }
}

static void move_some(struct table *t)
{
    for (unsigned k = 0; t->old.size && k < MOVE_PER_STEP; k++) {
        if (!t->old.count) {
            free(t->old.items);
            t->old = (struct table_slots){0};
            t->moved = 0;
            return;
        }
        // Taking a whole run's item out by erase keeps what is left findable; the slot is looked at again.
        uint64_t *item = t->old.items[t->moved];
        if (!item) {
            t->moved = (t->moved + 1) & (t->old.size - 1);
            continue;
        }
        erase(&t->old, t->moved);
        insert(&t->now, item);
    }
}

void table_done(struct table *t)
{
    free(t->now.items);
    free(t->old.items);
    *t = (struct table){0};
}

uint64_t *table_find(const struct table *t, uint64_t id)
{
    size_t slot = slot_of(&t->now, id);
    if (slot != SIZE_MAX)
        return t->now.items[slot];
    slot = slot_of(&t->old, id);
    return slot == SIZE_MAX ? NULL : t->old.items[slot];
}

void table_add(struct table *t, uint64_t *item)
{
    // At three quarters full a table of twice the size takes over; 16 moves an insertion empty the old one
    // long before the new one is three quarters full itself.
    if (!t->old.size && (t->now.count + 1) * 4 > t->now.size * 3) {
        t->old = t->now;
        size_t size = t->old.size ? t->old.size * 2 : FIRST_SIZE;
        t->now = (struct table_slots){.items = mem_array(size, sizeof(*t->now.items)), .size = size};
    }
    insert(&t->now, item);
    move_some(t);
}

void table_remove(struct table *t, uint64_t id)
{
    struct table_slots *s = &t->now;
    size_t slot = slot_of(s, id);
    if (slot == SIZE_MAX) {
        s = &t->old;
        slot = slot_of(s, id);
    }
    if (slot != SIZE_MAX)
        erase(s, slot);
}

size_t table_count(const struct table *t)
{
    return t->now.count + t->old.count;
}

size_t table_bytes(const struct table *t)
{
    return (t->now.size + t->old.size) * sizeof(*t->now.items);
}

uint64_t *table_each(const struct table *t, size_t *at)
{
    for (; *at < t->now.size + t->old.size; (*at)++) {
        uint64_t *item = *at < t->now.size ? t->now.items[*at] : t->old.items[*at - t->now.size];
        if (item) {
            (*at)++;
            return item;
        }
    }
    return NULL;
}

// From the end down, the old table first: what moves between two calls moves to slots that are still to come.
// But a run of slots may go round the end, and a removal then takes an item from its begin to its end: the
// last run is looked at once more (stages 1 and 3). A table that grew is begun anew.
enum { OLD_TABLE, OLD_END, NOW_TABLE, NOW_END, WALKED };

uint64_t *table_walk(const struct table *t, struct table_walk *w, unsigned *budget)
{
    if (!w->size || w->size != t->now.size)
        *w = (struct table_walk){.at = t->old.size, .size = t->now.size};
    while (*budget && w->stage < WALKED) {
        const struct table_slots *s = w->stage < NOW_TABLE ? &t->old : &t->now;
        bool again = w->stage == OLD_END || w->stage == NOW_END;
        if (w->at > s->size)
            w->at = s->size;
        uint64_t *item = w->at ? s->items[w->at - 1] : NULL;
        --*budget;
        if (w->at && (item || !again)) {
            w->at--;
            if (item)
                return item;
            continue;
        }
        w->stage++;
        w->at = w->stage < NOW_TABLE ? t->old.size : t->now.size;
    }
    return NULL;
}
