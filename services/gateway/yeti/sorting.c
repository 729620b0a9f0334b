// See sorting.h. Each key's part: a mark (value or null), the value in hexadecimal digits, a terminator below
// any digit. A descending part has every character turned round.
#include "services/gateway/yeti/sorting.h"

#include "common/base/encode.h"

#include <string.h>

#define MARK_VALUE '4'
#define MARK_NULL  '5'
#define TERMINATOR ' '
#define MIRROR     (' ' + '~') // c and MIRROR - c change places within the printable characters

struct sorting sorting_of(const struct query *q)
{
    struct sorting s = {.count = q->sort_count};
    memcpy(s.sorts, q->sorts, sizeof(s.sorts));
    return s;
}

bool sorting_is_by_id(const struct sorting *s, bool *ret_descending)
{
    *ret_descending = s->count && s->sorts[0].descending;
    return !s->count || !s->sorts[0].attribute;
}

static void add_integer(struct buf *out, int64_t value)
{
    uint64_t shifted = (uint64_t)value ^ (1ull << 63); // so that negative ones come first
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(shifted >> (56 - 8 * i));
    encode_hex(out, bytes, sizeof(bytes));
}

static void add_texts(struct buf *out, const struct texts *t)
{
    for (size_t i = 0; i < t->count; i++) {
        encode_hex(out, t->items[i], strlen(t->items[i]));
        buf_add_char(out, TERMINATOR);
    }
}

// false: null.
static bool add_value(struct buf *out, const struct attribute *a, const void *item)
{
    const char *at = (const char *)item + (a ? a->offset : 0);
    const char *text;
    const struct integer *integer;
    if (!a) {
        add_integer(out, type_item_id(item));
        return true;
    }
    switch (a->kind) {
    case KIND_TEXT:
    case KIND_JSON:
        text = *(char *const *)(const void *)at;
        if (text)
            encode_hex(out, text, strlen(text));
        return text != NULL;
    case KIND_FLAG:
        buf_add_char(out, *(const bool *)at ? '1' : '0');
        return true;
    case KIND_INTEGER:
        integer = (const void *)at;
        if (integer->set)
            add_integer(out, integer->value);
        return integer->set;
    case KIND_TEXTS:
        add_texts(out, (const void *)at);
        return true;
    case KIND_TIME:
    case KIND_ID:
        break;
    }
    add_integer(out, (int64_t) * (const uint64_t *)(const void *)at);
    return true;
}

static void add_part(struct buf *out, const struct sort *s, const void *item)
{
    struct buf value cleanup(buf_done) = BUF_INIT;
    bool present = add_value(&value, s->attribute, item);
    size_t from = out->n;
    buf_add_char(out, present ? MARK_VALUE : MARK_NULL);
    buf_add_str(out, buf_str(&value));
    buf_add_char(out, TERMINATOR);
    for (size_t i = from; s->descending && i < out->n; i++)
        out->p[i] = (char)(MIRROR - out->p[i]);
}

char *sorting_key(const struct sorting *s, const void *item)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < s->count; i++)
        add_part(&out, &s->sorts[i], item);
    return buf_steal(&out);
}
