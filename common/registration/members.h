// Typed members of a JSON object with one sticky failure, so that a reader of thirty members is thirty lines.
// Private to common/registration. Null and absent are the same: the value is left as it was.
#ifndef ROLLCALL_REGISTRATION_MEMBERS_H
#define ROLLCALL_REGISTRATION_MEMBERS_H

#include "common/base/error.h"
#include "common/json/json.h"

#include <stdint.h>

struct members {
    const struct json *object;
    struct error *err;
    int rc; // 0, or -EINVAL from the first failure on: nothing is read any more
};

struct members members_of(const struct json *object, struct error *err); // fails at once if it is no object

// Fails with the sentence "<name>: …".
void members_fail(struct members *m, const char *name, const char *fmt, ...) printf_like(3, 4);
// The failure of reading what stands in member `name` becomes the failure of `m`.
void members_adopt(struct members *m, const char *name, int rc);

// *ret becomes a copy that the caller frees; whatever it held is freed. Refuses NUL and more than max_bytes.
void members_text(struct members *m, const char *name, size_t max_bytes, char **ret);
void members_bool(struct members *m, const char *name, bool *ret);
void members_i64(struct members *m, const char *name, int64_t *ret);
void members_u64(struct members *m, const char *name, uint64_t *ret);
void members_u32(struct members *m, const char *name, uint32_t *ret);
// Index of the text among `count` names, or `otherwise` when absent; another text fails.
unsigned members_choice(struct members *m, const char *name, const char *const *names, size_t count,
                        unsigned otherwise);
// NULL when absent or failed.
const struct json *members_object(struct members *m, const char *name);
const struct json *members_array(struct members *m, const char *name);

// Writing leaves out what is unset: NULL, 0, false.
void members_put_text(struct json_writer *w, const char *name, const char *text);
void members_put_number(struct json_writer *w, const char *name, uint64_t value);
void members_put_flag(struct json_writer *w, const char *name, bool value);

#endif
