// See buf.h.
#include "common/base/buf.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void grow(struct buf *b, size_t wanted)
{
    size_t size = b->size ? b->size * 2 : 128;
    if (size < wanted)
        size = wanted;
    b->p = mem_resize(b->p, size, 1);
    b->size = size;
}

static inline void reserve(struct buf *b, size_t more)
{
    if (b->n + more >= b->size)
        grow(b, b->n + more + 1);
}

void buf_done(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t count)
{
    reserve(b, count);
    if (count)
        memcpy(b->p + b->n, bytes, count);
    b->n += count;
    b->p[b->n] = '\0';
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_char(struct buf *b, char c)
{
    reserve(b, 1);
    b->p[b->n++] = c;
    b->p[b->n] = '\0';
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    reserve(b, 0);
    int count = vsnprintf(b->p + b->n, b->size - b->n, fmt, args);
    va_end(args);
    if (count > 0 && (size_t)count >= b->size - b->n) { // it did not fit
        reserve(b, (size_t)count);
        (void)vsnprintf(b->p + b->n, (size_t)count + 1, fmt, again);
    }
    va_end(again);
    b->n += count > 0 ? (size_t)count : 0;
    b->p[b->n] = '\0';
}

struct str buf_str(const struct buf *b)
{
    return (struct str){.p = b->p ? b->p : "", .n = b->n};
}

char *buf_steal(struct buf *b)
{
    char *text = b->p ? b->p : mem_dup_bytes("", 0);
    *b = BUF_INIT;
    return text;
}
