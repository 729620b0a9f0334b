// Text on its way into a SIP header: what is safe, quoting, escaping.
#include "common/sip/uri.h"

#include "common/sip/chars.h"

#include <string.h>

// Bytes of the UTF-8 character at the start of s (RFC 3629: no overlong form, no surrogate), or 0.
static size_t utf8_char(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t more = p[0] < 0x80 ? 0 : p[0] >= 0xc2 && p[0] < 0xe0 ? 1 : (p[0] & 0xf0) == 0xe0 ? 2 : 3;
    if (more == 3 && (p[0] < 0xf0 || p[0] > 0xf4))
        return 0;
    if (s.n <= more)
        return 0;
    for (size_t i = 1; i <= more; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || beyond ? 0 : more + 1;
}

// How many bytes at the start, in steps of eight, are printable ASCII: nearly all text that is ever checked.
static size_t printable_words(struct str text)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t n = 0;
    for (uint64_t word; n + sizeof(word) <= text.n; n += sizeof(word)) {
        memcpy(&word, text.p + n, sizeof(word));
        uint64_t below_space = (word - ones * ' ') & ~word, is_delete = (word ^ ones * 0x7f) - ones;
        if ((word | below_space | is_delete) & highs)
            break;
    }
    return n;
}

bool sip_text_is_safe(struct str text)
{
    size_t checked = printable_words(text);
    text = str_slice(text, checked, text.n);
    while (text.n) {
        unsigned char c = (unsigned char)text.p[0];
        size_t bytes = utf8_char(text);
        if (bytes == 0 || (c < ' ' && c != '\t') || c == 0x7f)
            return false;
        text = str_slice(text, bytes, text.n);
    }
    return true;
}

void sip_quote(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, text.p[i]);
    }
    buf_add_char(out, '"');
}

void sip_escape_user(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0; // as it is up to here
    while (plain < text.n && char_is_alnum(text.p[plain]))
        plain++;
    buf_add_str(out, str_slice(text, 0, plain));
    for (size_t i = plain; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (char_is_unreserved(text.p[i]) || char_is_in(text.p[i], "&=+$,;?/")) {
            buf_add_char(out, text.p[i]);
        } else {
            buf_add_char(out, '%');
            buf_add_char(out, digits[c >> 4]);
            buf_add_char(out, digits[c & 15]);
        }
    }
}
