// See encode.h.
#include "common/base/encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void encode_hex(struct buf *out, const void *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < count; i++) {
        const char pair[2] = {digits[p[i] >> 4], digits[p[i] & 15]};
        buf_add(out, pair, sizeof(pair));
    }
}

int decode_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void encode_base64(struct buf *out, const void *bytes, size_t count)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < count; i += 3) {
        size_t have = count - i < 3 ? count - i : 3;
        uint32_t v =
            (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);
        char four[4];
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= have ? alphabet[v >> (18 - 6 * k) & 63] : '=';
        buf_add(out, four, sizeof(four));
    }
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

int decode_base64(struct buf *out, struct str text)
{
    size_t start = out->n;
    while (text.n && text.p[text.n - 1] == '=')
        text.n--;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < text.n; i++) {
        int six = sextet(text.p[i]);
        if (six < 0) {
            out->n = start;
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t)six;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_char(out, (char)(bits >> have & 0xff));
        }
    }
    if (text.n % 4 == 1) {
        out->n = start;
        return -EINVAL;
    }
    return 0;
}

void encode_uuid(char ret_text[37], const unsigned char bytes[16])
{
    unsigned char b[16];
    memcpy(b, bytes, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                   b[15]);
}

void encode_time(char ret_text[ENCODE_TIME_BYTES], uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    size_t n = strftime(ret_text, ENCODE_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret_text + n, ENCODE_TIME_BYTES - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}
