// What the files of this folder share: the node, the arena that holds a whole tree, and the UTF-8 rule.
// Nobody outside common/json includes this.
#ifndef ROLLCALL_JSON_JSON_TREE_H
#define ROLLCALL_JSON_JSON_TREE_H

#include "common/json/json.h"

#include <stdint.h>

// 32 bytes. The children of an array or object lie side by side, so that an index costs nothing.
struct json {
    const char *key; // NUL-terminated; NULL outside objects
    union {
        const char *text; // number or string, NUL-terminated
        const struct json *items;
        bool truth;
    };
    uint32_t key_n;
    uint32_t n;      // bytes of text, or count of items
    uint32_t behind; // see json_behind
    uint8_t type;
};

struct json_chunk {
    struct json_chunk *next;
    size_t size_bytes; // usable
};

// The root value is the first member: a pointer to the root is a pointer to its document.
struct json_document {
    struct json root;
    struct json_chunk *chunks; // newest first
    char *at, *end;            // free part of the newest
};

struct json_document *json_document_new(size_t first_chunk_bytes);
char *json_document_text(struct json_document *d, const void *bytes, size_t count); // a copy with a NUL
struct json *json_document_nodes(struct json_document *d, const struct json *nodes, size_t count);

// Length of the UTF-8 sequence at p (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF), 0
// when it is not one. `left` is at least 1.
size_t json_utf8_length(const unsigned char *p, size_t left);

// What yajl lets through: invalid UTF-8 (its own check takes overlong forms) and lone surrogate escapes.
must_use int json_text_check(struct str text, struct error *err);

#endif
