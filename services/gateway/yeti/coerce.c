// See coerce.h.
#include "services/gateway/yeti/coerce.h"

#include "common/base/mem.h"
#include "common/sip/uri.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 32767 // a PostgreSQL smallint

// ---- text

// The text that a value is cast to; NULL for null. A number keeps the spelling it was sent with.
static char *cast_text(const struct json *v)
{
    struct buf whole = BUF_INIT;
    switch (json_type(v)) {
    case JSON_NULL:
        return NULL;
    case JSON_BOOL:
        return mem_dup_cstr(json_bool(v, false) ? "t" : "f");
    case JSON_NUMBER:
        return str_dup(json_number_text(v));
    case JSON_STRING:
        return str_dup(json_str(v));
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    json_write_value(&whole, v);
    return buf_steal(&whole);
}

// Control characters, NUL among them, would end up in a SIP header.
static bool is_unsafe(const struct json *v)
{
    return json_is(v, JSON_STRING) && !sip_text_is_safe(json_str(v));
}

const char *coerce_text(const struct json *v, void *target)
{
    char **text = target;
    if (is_unsafe(v))
        return MESSAGE_INVALID;
    free(*text);
    *text = cast_text(v);
    return NULL;
}

const char *coerce_required(const struct json *v, void *target)
{
    bool is_blank = json_is(v, JSON_STRING) && coerce_is_blank(json_str(v));
    return is_unsafe(v) && is_blank ? MESSAGE_BLANK : coerce_text(v, target);
}

// ---- flag

static const char *const falses[] = {"0", "f", "F", "false", "FALSE", "off", "OFF"};
static const char *const trues[] = {"1", "t", "T", "true", "TRUE", "on", "ON"};

static bool is_one_of(struct str text, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_cstr(text, texts[i]))
            return true;
    return false;
}

bool coerce_is_flag(struct str text)
{
    return is_one_of(text, trues, ARRAY_LEN(trues)) || is_one_of(text, falses, ARRAY_LEN(falses));
}

bool coerce_says_no(struct str text)
{
    return is_one_of(text, falses, ARRAY_LEN(falses));
}

const char *coerce_flag(const struct json *v, void *target)
{
    bool *flag = target;
    struct str text = json_is(v, JSON_NUMBER) ? json_number_text(v) : json_str(v);
    if (json_is(v, JSON_NULL) || (json_is(v, JSON_STRING) && !text.n))
        return MESSAGE_NOT_IN_LIST;
    *flag = !coerce_says_no(text) && json_bool(v, true);
    return NULL;
}

// ---- integers

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool coerce_is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_space(s.p[i]))
            return false;
    return true;
}

// The number that a text begins with, 0 when it begins with none; far out of range ends at INT64_MAX or MIN.
static int64_t leading_integer(struct str s)
{
    size_t i = 0;
    while (i < s.n && is_space(s.p[i]))
        i++;
    size_t sign = i;
    i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
    size_t digits = i;
    while (i < s.n && is_digit(s.p[i]))
        i++;
    bool negative = digits > sign && s.p[sign] == '-';
    int64_t value = 0;
    if (digits == i)
        return 0;
    if (str_to_i64(str_slice(s, digits, i), &value) == -ERANGE)
        return negative ? INT64_MIN : INT64_MAX;
    return negative ? -value : value;
}

static int64_t truncated(const struct json *number)
{
    int64_t value = 0;
    if (json_i64(number, &value) == 0)
        return value;
    double d = trunc(json_double_or(number, 0));
    if (d >= 9e18)
        return INT64_MAX;
    return d <= -9e18 ? INT64_MIN : (int64_t)d;
}

static struct integer cast_integer(const struct json *v)
{
    switch (json_type(v)) {
    case JSON_BOOL:
        return (struct integer){.set = true, .value = json_bool(v, false)};
    case JSON_NUMBER:
        return (struct integer){.set = true, .value = truncated(v)};
    case JSON_STRING:
        if (coerce_is_blank(json_str(v)))
            break;
        return (struct integer){.set = true, .value = leading_integer(json_str(v))};
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return (struct integer){.set = false};
}

const char *coerce_integer(const struct json *v, void *target)
{
    struct integer *integer = target, cast = cast_integer(v);
    if (cast.set && cast.value > INT32_MAX)
        return "must be less than or equal to 2147483647";
    if (cast.set && cast.value < INT32_MIN)
        return "must be greater than or equal to -2147483648";
    *integer = cast;
    return NULL;
}

// Whole text is [+-]digits.
static bool is_integer_literal(struct str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (i == s.n)
        return false;
    for (; i < s.n; i++)
        if (!is_digit(s.p[i]))
            return false;
    return true;
}

// A decimal number, blanks around it allowed, no hexadecimal.
static bool is_number_literal(struct str s)
{
    char text[64];
    s = str_trim(s);
    bool plausible = s.n > 0 && s.n < sizeof(text);
    for (size_t i = 0; plausible && i < s.n; i++)
        plausible = is_digit(s.p[i]) || s.p[i] == '-' || s.p[i] == '+' || s.p[i] == '.' || s.p[i] == 'e' ||
                    s.p[i] == 'E';
    if (!plausible)
        return is_integer_literal(s); // a long one
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end = NULL;
    (void)strtod(text, &end);
    return end && *end == '\0';
}

const char *coerce_count(const struct json *v, void *target)
{
    struct integer *integer = target;
    struct str raw = json_is(v, JSON_NUMBER) ? json_number_text(v) : json_str(v);
    bool is_null = json_is(v, JSON_NULL) || json_is(v, JSON_ARRAY) || json_is(v, JSON_OBJECT) ||
                   (json_is(v, JSON_STRING) && !raw.n);
    if (is_null) {
        *integer = (struct integer){.set = false};
        return NULL;
    }
    if (json_is(v, JSON_BOOL) || !is_number_literal(raw))
        return MESSAGE_NO_NUMBER;
    if (!is_integer_literal(raw))
        return "must be an integer";
    int64_t value = leading_integer(raw);
    if (value <= 0)
        return "must be greater than 0";
    if (value > COUNT_MAX)
        return "must be less than or equal to 32767";
    *integer = (struct integer){.set = true, .value = value};
    return NULL;
}

const char *coerce_object(const struct json *v, void *target)
{
    (void)target;
    return json_is(v, JSON_OBJECT) ? NULL : MESSAGE_INVALID;
}

// ---- list of texts

void texts_done(struct texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->items[i]);
    free(t->items);
    *t = (struct texts){.items = NULL};
}

static void texts_add(struct texts *t, char *take_text)
{
    t->items = mem_resize(t->items, t->count + 1, sizeof(*t->items));
    t->items[t->count++] = take_text;
}

static struct texts texts_empty(void)
{
    return (struct texts){.items = mem_array(1, sizeof(char *))};
}

// Nulls are dropped, all else is cast.
static struct texts texts_of_array(const struct json *v)
{
    struct texts t = texts_empty();
    for (size_t i = 0; i < json_count(v); i++)
        if (!json_is(json_at(v, i), JSON_NULL))
            texts_add(&t, cast_text(json_at(v, i)));
    return t;
}

// One text: split at CRLF, pieces trimmed, blank ones dropped.
static struct texts texts_of_lines(struct str s)
{
    struct texts t = texts_empty();
    while (s.n) {
        size_t end = str_find_str(s, STR_LIT("\r\n"));
        struct str piece = str_trim(str_slice(s, 0, end));
        if (piece.n)
            texts_add(&t, str_dup(piece));
        s = str_slice(s, end + 2, s.n);
    }
    return t;
}

static bool has_nul(const struct json *v)
{
    return str_has_char(json_str(v), '\0');
}

static bool any_has_nul(const struct json *array)
{
    for (size_t i = 0; i < json_count(array); i++)
        if (has_nul(json_at(array, i)))
            return true;
    return false;
}

const char *coerce_texts(const struct json *v, void *target)
{
    struct texts *texts = target, cast = {.items = NULL};
    if (json_is(v, JSON_NULL))
        return MESSAGE_BLANK;
    if (json_is(v, JSON_ARRAY) && !any_has_nul(v))
        cast = texts_of_array(v);
    else if (json_is(v, JSON_STRING) && !has_nul(v))
        cast = texts_of_lines(json_str(v));
    else
        return MESSAGE_INVALID;
    texts_done(texts);
    *texts = cast;
    return NULL;
}
