// See form.h.
#include "services/gateway/ribbon/form.h"

#include "common/base/encode.h"

#include <string.h>

// What WHATWG's serializer, RFC 3986's unreserved set and .NET's encoder leave as it is.
static bool is_left_by_encoders(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("%+-._~!*'()", c));
}

static bool may_be_encoded(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is_left_by_encoders(text.p[i]))
            return false;
    return true;
}

// -1: no escape, or one of NUL, which no value may hold.
static int escape_at(struct str text, size_t i)
{
    if (text.p[i] != '%' || i + 2 >= text.n)
        return -1;
    int high = decode_hex_digit(text.p[i + 1]), low = decode_hex_digit(text.p[i + 2]);
    int byte = high < 0 || low < 0 ? -1 : high * 16 + low;
    return byte ? byte : -1;
}

static void decode(struct str text, struct buf *out)
{
    bool plus_is_blank = may_be_encoded(text);
    buf_clear(out);
    for (size_t i = 0; i < text.n; i++) {
        int byte = escape_at(text, i);
        if (byte > 0) {
            buf_add_char(out, (char)byte);
            i += 2;
        } else {
            buf_add_char(out, text.p[i] == '+' && plus_is_blank ? ' ' : text.p[i]);
        }
    }
}

bool form_next(struct str *rest, struct buf *name, struct buf *value)
{
    struct str pair;
    do {
        if (!str_split(rest, '&', &pair))
            return false;
    } while (!pair.n);
    size_t eq = str_find(pair, '=', 0);
    decode(str_trim(str_slice(pair, 0, eq)), name);
    decode(str_slice(pair, eq + 1, pair.n), value);
    return true;
}

bool form_fits(struct str body)
{
    size_t pairs = 1;
    for (size_t at = str_find(body, '&', 0); at < body.n && pairs <= FORM_PAIRS_MAX;
         at = str_find(body, '&', at + 1))
        pairs++;
    return pairs <= FORM_PAIRS_MAX;
}

void path_split(struct str below_prefix, struct path *ret)
{
    struct str rest = below_prefix, part;
    *ret = (struct path){.count = 0};
    while (str_split(&rest, '/', &part)) {
        if (!part.n)
            continue;
        if (ret->count == PATH_PARTS_MAX) {
            ret->too_long = true;
            return;
        }
        ret->parts[ret->count++] = part;
    }
}
