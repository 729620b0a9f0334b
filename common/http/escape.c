// Percent-encoding (RFC 3986) and name=value pairs of query strings and form bodies. Pure. Refuses what would
// have to be guessed: a broken escape, and NUL in any spelling, since decoded values are C strings.
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/http/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 256

// The byte that starts at `at`, and where the next one starts; -1 for what is refused.
static int decoded_byte(struct str s, size_t at, bool plus_is_space, size_t *ret_next)
{
    unsigned char c = (unsigned char)s.p[at];
    *ret_next = at + 1;
    if (c == '+' && plus_is_space)
        return ' ';
    if (c != '%')
        return c ? c : -1;
    if (s.n - at < 3)
        return -1;
    int high = decode_hex_digit(s.p[at + 1]), low = decode_hex_digit(s.p[at + 2]);
    *ret_next = at + 3;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

int http_decode(struct buf *out, struct str encoded, bool plus_is_space)
{
    size_t before = out->n;
    buf_add(out, "", 0);
    for (size_t at = 0; at < encoded.n;) {
        int byte = decoded_byte(encoded, at, plus_is_space, &at);
        if (byte < 0) {
            out->n = before;
            out->p[before] = '\0';
            return -EINVAL;
        }
        buf_add_char(out, (char)byte);
    }
    return 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

void http_encode(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_unreserved((char)c)) {
            buf_add_char(out, (char)c);
            continue;
        }
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        buf_add(out, escape, sizeof(escape));
    }
}

static int decode_dup(struct str encoded, char **ret)
{
    struct buf out = BUF_INIT;
    int rc = http_decode(&out, encoded, true);
    if (rc) {
        buf_done(&out);
        return rc;
    }
    *ret = buf_steal(&out);
    return 0;
}

static int decode_pair(struct str piece, struct http_pair *ret)
{
    size_t equals = str_find(piece, '=', 0);
    int rc = decode_dup(str_slice(piece, 0, equals), &ret->name);
    return rc ? rc : decode_dup(str_slice(piece, equals + 1, piece.n), &ret->value);
}

struct http_pair *pairs_add(struct http_pairs *p, struct error *err)
{
    if (p->count == PAIRS_MAX) {
        (void)error_set(err, -E2BIG, "more than %d parameters", PAIRS_MAX);
        return NULL;
    }
    if (p->count % 16 == 0)
        p->items = mem_resize(p->items, p->count + 16, sizeof(*p->items));
    p->items[p->count] = (struct http_pair){.name = NULL};
    return &p->items[p->count++];
}

int http_pairs_parse(struct str text, struct http_pairs *ret, struct error *err)
{
    struct http_pairs pairs = {.items = NULL};
    struct str piece;
    int rc = 0;
    while (!rc && str_split(&text, '&', &piece)) {
        if (!piece.n)
            continue;
        struct http_pair *pair = pairs_add(&pairs, err);
        if (!pair)
            rc = -E2BIG;
        else if (decode_pair(piece, pair))
            rc = error_set(err, -EINVAL, "parameter %zu is not percent-encoded text", pairs.count);
    }
    if (rc) {
        http_pairs_done(&pairs);
        return rc;
    }
    *ret = pairs;
    return 0;
}

void http_pairs_done(struct http_pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].name);
        free(p->items[i].value);
    }
    free(p->items);
    *p = (struct http_pairs){.items = NULL};
}

const char *http_pairs_get(const struct http_pairs *p, const char *name)
{
    for (size_t i = p->count; i > 0; i--)
        if (!strcmp(p->items[i - 1].name, name))
            return p->items[i - 1].value;
    return NULL;
}
