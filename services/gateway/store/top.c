// See top.h. A heap, because a page of a large account needs the best few, not all in order.
#include "services/gateway/store/top.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <stdlib.h>
#include <string.h>

enum kind { KIND_NUMBER, KIND_TEXT, KIND_ABSENT }; // in ascending order

struct entry {
    enum kind kind;
    double number;
    int64_t whole; // the number where it is an integer, since a double holds 53 bits only
    char *text;
    uint64_t id;
};

// A heap with the last of the order at its root: what a better one pushes out.
struct top {
    struct entry *entries;
    size_t count, size, capacity;
    bool descending;
};

struct top *top_new(size_t capacity, bool descending)
{
    struct top *t = mem_alloc(sizeof *t);
    t->capacity = capacity;
    t->descending = descending;
    return t;
}

bool top_shrink(struct top *t, size_t count)
{
    for (; t->count && count; count--)
        free(t->entries[--t->count].text);
    return !t->count;
}

void top_free(struct top *t)
{
    if (!t)
        return;
    (void)top_shrink(t, t->count);
    free(t->entries);
    free(t);
}

static int compare_keys(const struct entry *a, const struct entry *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == KIND_NUMBER && a->number != b->number)
        return a->number < b->number ? -1 : 1;
    if (a->kind == KIND_NUMBER)
        return a->whole < b->whole ? -1 : a->whole > b->whole;
    return a->kind == KIND_TEXT ? strcmp(a->text, b->text) : 0;
}

// Whether a comes after b on the page.
static bool is_after(const struct top *t, const struct entry *a, const struct entry *b)
{
    int order = compare_keys(a, b);
    if (!order)
        order = a->id < b->id ? -1 : a->id > b->id;
    return t->descending ? order < 0 : order > 0;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry held = *a;
    *a = *b;
    *b = held;
}

static void sift_up(struct top *t, size_t at)
{
    while (at) {
        size_t parent = (at - 1) / 2;
        if (!is_after(t, &t->entries[at], &t->entries[parent]))
            return;
        swap(&t->entries[at], &t->entries[parent]);
        at = parent;
    }
}

static void sift_down(struct top *t)
{
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= t->count)
            return;
        if (child + 1 < t->count && is_after(t, &t->entries[child + 1], &t->entries[child]))
            child++;
        if (!is_after(t, &t->entries[child], &t->entries[at]))
            return;
        swap(&t->entries[at], &t->entries[child]);
        at = child;
    }
}

void top_offer(struct top *t, uint64_t id, char *take_key, bool is_number)
{
    struct entry e = {.kind = KIND_ABSENT, .id = id};
    if (take_key && is_number) {
        e.kind = KIND_NUMBER;
        e.number = strtod(take_key, NULL);
        if (str_to_i64(str_of(take_key), &e.whole))
            e.whole = 0;
        free(take_key);
    } else if (take_key) {
        e.kind = KIND_TEXT;
        e.text = take_key;
    }
    if (t->count < t->capacity) {
        if (t->count == t->size) {
            t->size = t->size ? t->size * 2 : 64;
            t->entries = mem_resize(t->entries, t->size, sizeof *t->entries);
        }
        t->entries[t->count++] = e;
        sift_up(t, t->count - 1);
    } else if (t->count && is_after(t, &t->entries[0], &e)) {
        free(t->entries[0].text);
        t->entries[0] = e;
        sift_down(t);
    } else {
        free(e.text);
    }
}

size_t top_page(struct top *t, size_t offset, uint64_t **ret)
{
    size_t count = t->count > offset ? t->count - offset : 0;
    *ret = mem_array(count + 1, sizeof **ret);
    for (size_t i = count; i-- > 0;) {
        (*ret)[i] = t->entries[0].id;
        free(t->entries[0].text);
        t->entries[0] = t->entries[--t->count];
        sift_down(t);
    }
    return count;
}
