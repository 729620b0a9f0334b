// Character classes of RFC 3261 25.1. Private to common/sip.
#ifndef ROLLCALL_SIP_CHARS_H
#define ROLLCALL_SIP_CHARS_H

#include "common/base/encode.h"
#include "common/base/str.h"

#include <string.h>

static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool char_is_alnum(char c)
{
    return char_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool char_is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static inline bool char_is_unreserved(char c)
{
    return char_is_alnum(c) || char_is_in(c, "-_.!~*'()");
}

static inline bool char_is_token(char c)
{
    return char_is_alnum(c) || char_is_in(c, "-.!%*_+`'~");
}

static inline bool char_is_lws(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool char_starts_escape(struct str s, size_t at)
{
    return at + 2 < s.n && s.p[at] == '%' && decode_hex_digit(s.p[at + 1]) >= 0 &&
           decode_hex_digit(s.p[at + 2]) >= 0;
}

#endif
