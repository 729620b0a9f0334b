// See members.h. Knows types and bounds, no meaning.
#include "common/registration/members.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct members members_of(const struct json *object, struct error *err)
{
    struct members m = {.object = object, .err = err};
    if (!json_is(object, JSON_OBJECT))
        m.rc = error_set(err, -EINVAL, "an object is needed");
    return m;
}

void members_fail(struct members *m, const char *name, const char *fmt, ...)
{
    if (m->rc)
        return;
    char sentence[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    m->rc = error_set(m->err, -EINVAL, "%s: %s", name, sentence);
}

void members_adopt(struct members *m, const char *name, int rc)
{
    if (m->rc || !rc)
        return;
    m->rc = rc;
    if (m->err)
        (void)error_prefix(m->err, "%s", name);
}

static const struct json *typed(struct members *m, const char *name, enum json_type type)
{
    if (m->rc)
        return NULL;
    const struct json *v = json_get(m->object, name);
    if (!v || json_is(v, JSON_NULL))
        return NULL;
    if (json_is(v, type))
        return v;
    members_fail(m, name, "is %s where %s belongs", json_type_name(json_type(v)), json_type_name(type));
    return NULL;
}

void members_text(struct members *m, const char *name, size_t max_bytes, char **ret)
{
    const struct json *v = typed(m, name, JSON_STRING);
    if (!v)
        return;
    struct str text = json_str(v);
    if (text.n > max_bytes) {
        members_fail(m, name, "is longer than %zu bytes", max_bytes);
    } else if (str_has_char(text, '\0')) {
        members_fail(m, name, "holds a NUL character");
    } else {
        free(*ret);
        *ret = str_dup(text);
    }
}

void members_bool(struct members *m, const char *name, bool *ret)
{
    const struct json *v = typed(m, name, JSON_BOOL);
    if (v)
        *ret = json_bool(v, false);
}

void members_i64(struct members *m, const char *name, int64_t *ret)
{
    const struct json *v = typed(m, name, JSON_NUMBER);
    if (v && json_i64(v, ret))
        members_fail(m, name, "is not an integer of 64 bits");
}

void members_u64(struct members *m, const char *name, uint64_t *ret)
{
    const struct json *v = typed(m, name, JSON_NUMBER);
    if (v && json_u64(v, ret))
        members_fail(m, name, "is not a natural number of 64 bits");
}

void members_u32(struct members *m, const char *name, uint32_t *ret)
{
    uint64_t value = *ret;
    members_u64(m, name, &value);
    if (value > UINT32_MAX)
        members_fail(m, name, "is not a natural number of 32 bits");
    else
        *ret = (uint32_t)value;
}

unsigned members_choice(struct members *m, const char *name, const char *const *names, size_t count,
                        unsigned otherwise)
{
    const struct json *v = typed(m, name, JSON_STRING);
    if (!v)
        return otherwise;
    for (unsigned i = 0; i < count; i++)
        if (str_eq_cstr(json_str(v), names[i]))
            return i;
    members_fail(m, name, "is none of the names it may have");
    return otherwise;
}

const struct json *members_object(struct members *m, const char *name)
{
    return typed(m, name, JSON_OBJECT);
}

const struct json *members_array(struct members *m, const char *name)
{
    return typed(m, name, JSON_ARRAY);
}

void members_put_text(struct json_writer *w, const char *name, const char *text)
{
    if (text)
        json_kv_cstr(w, name, text);
}

void members_put_number(struct json_writer *w, const char *name, uint64_t value)
{
    if (value)
        json_kv_u64(w, name, value);
}

void members_put_flag(struct json_writer *w, const char *name, bool value)
{
    if (value)
        json_kv_bool(w, name, true);
}
