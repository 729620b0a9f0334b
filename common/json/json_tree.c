// The tree's memory (one arena a document, freed whole) and everything that reads it. Refuses to change a
// tree.
#include "common/json/json_tree.h"

#include "common/base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static char *take(struct json_document *d, size_t bytes)
{
    if ((size_t)(d->end - d->at) < bytes) {
        size_t size = d->chunks->size_bytes * 2;
        if (size < bytes)
            size = bytes;
        struct json_chunk *chunk = mem_resize(NULL, 1, sizeof(*chunk) + size);
        *chunk = (struct json_chunk){.next = d->chunks, .size_bytes = size};
        d->chunks = chunk;
        d->at = (char *)(chunk + 1);
        d->end = d->at + size;
    }
    char *taken = d->at;
    d->at += bytes;
    return taken;
}

// The first chunk holds the document itself, so that a small tree is one allocation.
struct json_document *json_document_new(size_t first_chunk_bytes)
{
    size_t size = sizeof(struct json_document) + first_chunk_bytes;
    struct json_chunk *chunk = mem_resize(NULL, 1, sizeof(*chunk) + size);
    *chunk = (struct json_chunk){.size_bytes = size};
    char *base = (char *)(chunk + 1);
    struct json_document *d = (struct json_document *)(void *)base;
    *d = (struct json_document){.chunks = chunk, .at = base + sizeof(*d), .end = base + size};
    return d;
}

char *json_document_text(struct json_document *d, const void *bytes, size_t count)
{
    char *copy = take(d, count + 1);
    if (count)
        memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

struct json *json_document_nodes(struct json_document *d, const struct json *nodes, size_t count)
{
    size_t bytes = count * sizeof(*nodes);
    char *space = take(d, bytes + alignof(struct json) - 1);
    size_t off = (uintptr_t)space % alignof(struct json);
    void *aligned = space + (off ? alignof(struct json) - off : 0);
    return memcpy(aligned, nodes, bytes);
}

void json_free(struct json *root)
{
    if (!root)
        return;
    // The document lies inside the oldest chunk: it must not be read once that is freed.
    struct json_chunk *chunk = ((struct json_document *)(void *)root)->chunks;
    while (chunk) {
        struct json_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void json_free_ptr(struct json **root)
{
    json_free(*root);
    *root = NULL;
}

enum json_type json_type(const struct json *v)
{
    return v ? (enum json_type)v->type : JSON_NULL;
}

bool json_is(const struct json *v, enum json_type type)
{
    return v && v->type == type;
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    return (size_t)type < ARRAY_LEN(names) ? names[type] : "unknown";
}

size_t json_count(const struct json *v)
{
    return json_is(v, JSON_ARRAY) || json_is(v, JSON_OBJECT) ? v->n : 0;
}

const struct json *json_at(const struct json *array, size_t index)
{
    return index < json_count(array) ? &array->items[index] : NULL;
}

struct str json_key_at(const struct json *object, size_t index)
{
    if (!json_is(object, JSON_OBJECT) || index >= object->n)
        return STR_NONE;
    return str_of_bytes(object->items[index].key, object->items[index].key_n);
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    size_t key_n = strlen(key);
    for (size_t i = 0; i < object->n; i++) { // an empty object has no items to point behind
        const struct json *m = &object->items[i];
        if (m->key_n == key_n && memcmp(m->key, key, key_n) == 0)
            return m;
    }
    return NULL;
}

size_t json_behind(const struct json *v)
{
    return v ? v->behind : 0;
}

bool json_bool(const struct json *v, bool otherwise)
{
    return json_is(v, JSON_BOOL) ? v->truth : otherwise;
}

struct str json_str(const struct json *v)
{
    return json_is(v, JSON_STRING) ? str_of_bytes(v->text, v->n) : STR_NONE;
}

struct str json_number_text(const struct json *v)
{
    return json_is(v, JSON_NUMBER) ? str_of_bytes(v->text, v->n) : STR_NONE;
}

// An integer is a literal without fraction and exponent (RFC 8259 section 6); 1.0 and 1e2 are not.
static int integer(const struct json *v, bool *ret_negative, uint64_t *ret_magnitude)
{
    struct str text = json_number_text(v);
    *ret_negative = text.n && text.p[0] == '-';
    return str_to_u64(str_slice(text, *ret_negative, text.n), ret_magnitude);
}

int json_i64(const struct json *v, int64_t *ret_value)
{
    bool negative;
    uint64_t magnitude;
    int rc = integer(v, &negative, &magnitude);
    if (rc)
        return rc;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    if (!negative)
        *ret_value = (int64_t)magnitude;
    else // INT64_MIN has no positive counterpart
        *ret_value = magnitude ? -(int64_t)(magnitude - 1) - 1 : 0;
    return 0;
}

int json_u64(const struct json *v, uint64_t *ret_value)
{
    bool negative;
    uint64_t magnitude;
    int rc = integer(v, &negative, &magnitude);
    if (rc)
        return rc;
    if (negative && magnitude)
        return -ERANGE;
    *ret_value = magnitude;
    return 0;
}

int64_t json_i64_or(const struct json *v, int64_t otherwise)
{
    int64_t value;
    return json_i64(v, &value) == 0 ? value : otherwise;
}

uint64_t json_u64_or(const struct json *v, uint64_t otherwise)
{
    uint64_t value;
    return json_u64(v, &value) == 0 ? value : otherwise;
}

double json_double_or(const struct json *v, double otherwise)
{
    if (!json_is(v, JSON_NUMBER))
        return otherwise;
    double value = strtod(v->text, NULL);
    return isfinite(value) ? value : otherwise;
}
