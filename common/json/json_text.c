// The checks on the bytes of a JSON text that yajl does not make, done before it sees them: RFC 8259 section
// 8.1 asks for UTF-8, and section 8.2 warns of escapes that name half a surrogate pair. Refuses to know
// anything else of the grammar.
#include "common/base/encode.h"
#include "common/json/json_tree.h"

#include <errno.h>
#include <string.h>

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

// The second byte's range is what excludes overlong forms, surrogates and everything above U+10FFFF.
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_continuation(second);
    }
}

size_t json_utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < length || !second_fits(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_continuation(p[i]))
            return 0;
    }
    return length;
}

// Bytes of ASCII at the front, eight at a time; may stop up to seven bytes early.
static size_t ascii_run(const char *p, size_t left)
{
    size_t at = 0;
    uint64_t word;
    for (; at + sizeof(word) <= left; at += sizeof(word)) {
        memcpy(&word, p + at, sizeof(word));
        if (word & 0x8080808080808080u)
            break;
    }
    return at;
}

static int check_utf8(struct str text, struct error *err)
{
    size_t at = 0;
    while (at < text.n) {
        at += ascii_run(text.p + at, text.n - at);
        if (at == text.n)
            break;
        size_t length = json_utf8_length((const unsigned char *)text.p + at, text.n - at);
        if (!length)
            return error_set(err, -EINVAL, "not UTF-8 at byte %zu", at);
        at += length;
    }
    return 0;
}

// The four digits of a \u escape at `at` (the backslash); 0, which is no surrogate, when it is not one.
static unsigned escape_unit(struct str text, size_t at)
{
    unsigned unit = 0;
    if (at + 6 > text.n || text.p[at] != '\\' || text.p[at + 1] != 'u')
        return 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = decode_hex_digit(text.p[i]);
        if (digit < 0)
            return 0;
        unit = unit << 4 | (unsigned)digit;
    }
    return unit;
}

static bool is_high(unsigned unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(unsigned unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

// A backslash takes the next character with it, inside strings; outside it is an error that yajl reports.
static int check_surrogates(struct str text, struct error *err)
{
    for (size_t at = str_find(text, '\\', 0); at < text.n; at = str_find(text, '\\', at)) {
        unsigned unit = escape_unit(text, at);
        if (is_low(unit) || (is_high(unit) && !is_low(escape_unit(text, at + 6))))
            return error_set(err, -EINVAL, "half of a surrogate pair at byte %zu", at);
        at += is_high(unit) ? 12 : 2;
    }
    return 0;
}

int json_text_check(struct str text, struct error *err)
{
    int rc = check_utf8(text, err);
    return rc ? rc : check_surrogates(text, err);
}
