// JSON text to an immutable tree and back, over yajl; the only place that includes yajl. Stricter than yajl:
// refuses duplicate keys, comments, lone surrogates, NUL in keys and anything deeper or longer than the
// limits. Numbers keep their literal text, because dialects cast them as text. All pure; any thread.
#ifndef ROLLCALL_JSON_JSON_H
#define ROLLCALL_JSON_JSON_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json; // one value; the root owns the whole tree

struct json_limits {
    size_t max_bytes;
    unsigned max_depth;
    uint32_t max_values; // of all containers together; 0: no limit. A value takes some 40 bytes, be it one in
                         // the text, so what comes from anybody has one.
};
#define JSON_LIMITS_DEFAULT ((struct json_limits){.max_bytes = 1u << 20, .max_depth = 64})

// 0, or -EINVAL (not JSON: the sentence says why and at which byte, counted from 0), -E2BIG (over a limit).
// `limits` NULL means JSON_LIMITS_DEFAULT; max_depth 1 allows [] but not [[]].
must_use int json_parse(struct str text, const struct json_limits *limits, struct json **ret,
                        struct error *err);
void json_free(struct json *root);      // NULL is allowed
void json_free_ptr(struct json **root); // for cleanup()

// Every reader below accepts NULL as "absent" and borrows from the tree.
enum json_type json_type(const struct json *v);          // absent gives JSON_NULL
bool json_is(const struct json *v, enum json_type type); // false for absent
const char *json_type_name(enum json_type type); // "null", "boolean", "number", "string", "array", "object"

size_t json_count(const struct json *v); // members of an array or object, else 0
const struct json *json_at(const struct json *array,
                           size_t index); // also the value of an object's index-th member
struct str json_key_at(const struct json *object, size_t index);
const struct json *json_get(const struct json *object, const char *key); // NULL when absent

// Where it stood in the text: the offset behind the value, of an array or object behind its opening bracket.
size_t json_behind(const struct json *v);

bool json_bool(const struct json *v, bool otherwise);
struct str
json_str(const struct json *v); // a string's bytes (may hold NUL, and a NUL follows), else STR_NONE
struct str json_number_text(const struct json *v);               // a number's literal, else STR_NONE
must_use int json_i64(const struct json *v, int64_t *ret_value); // -EINVAL not an integer number, -ERANGE
must_use int json_u64(const struct json *v, uint64_t *ret_value);
int64_t json_i64_or(const struct json *v, int64_t otherwise);
uint64_t json_u64_or(const struct json *v, uint64_t otherwise);
double json_double_or(const struct json *v, double otherwise);

void json_write_value(struct buf *out, const struct json *v); // compact, members in their order

// Compact writer. Text is UTF-8 and goes out unescaped but for ", \, and control characters; invalid UTF-8
// bytes are replaced by U+FFFD. Commas and colons are put by the writer.
struct json_writer {
    struct buf *out;
    bool comma; // the next value needs a comma before it
};
struct json_writer json_writer(struct buf *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_str(struct json_writer *w, struct str key);
void json_put_str(struct json_writer *w, struct str text);
void json_put_cstr(struct json_writer *w, const char *text); // NULL gives null
void json_put_i64(struct json_writer *w, int64_t value);
void json_put_u64(struct json_writer *w, uint64_t value);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct str json_text); // already JSON
// key + value in one call
void json_kv_str(struct json_writer *w, const char *key, struct str text);
void json_kv_cstr(struct json_writer *w, const char *key, const char *text);
void json_kv_i64(struct json_writer *w, const char *key, int64_t value);
void json_kv_u64(struct json_writer *w, const char *key, uint64_t value);
void json_kv_bool(struct json_writer *w, const char *key, bool value);

#endif
