// A growing byte buffer with one owner. Memory that runs out aborts, so adding never fails.
#ifndef ROLLCALL_BASE_BUF_H
#define ROLLCALL_BASE_BUF_H

#include "common/base/str.h"

struct buf {
    char *p; // NUL-terminated once anything was added
    size_t n;
    size_t size; // allocated
};

#define BUF_INIT ((struct buf){0})

void buf_done(struct buf *b);  // frees; the buffer is empty and usable again
void buf_clear(struct buf *b); // keeps the memory
void buf_add(struct buf *b, const void *bytes, size_t count);
void buf_add_str(struct buf *b, struct str s);
static inline void buf_add_cstr(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t value); // decimal, without the cost of printf
void buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

struct str buf_str(const struct buf *b); // borrows until the next change
char *buf_steal(struct buf *b);          // caller frees; never NULL; the buffer is empty

#endif
