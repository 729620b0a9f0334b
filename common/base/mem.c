// See mem.h. There is one reaction to an allocation that fails: abort, so that no caller has a path for it.
#include "common/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *ptr)
{
    if (!ptr) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size_bytes)
{
    return checked(calloc(1, size_bytes ? size_bytes : 1));
}

void *mem_array(size_t count, size_t size_bytes)
{
    return checked(calloc(count ? count : 1, size_bytes ? size_bytes : 1));
}

void *mem_resize(void *take_ptr, size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total))
        return checked(NULL);
    return checked(realloc(take_ptr, total ? total : 1));
}

char *mem_dup_cstr(const char *text)
{
    return text ? mem_dup_bytes(text, strlen(text)) : NULL;
}

char *mem_dup_bytes(const void *bytes, size_t count)
{
    char *copy = checked(malloc(count + 1));
    if (count)
        memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

void mem_free_cstr(char **text)
{
    free(*text);
    *text = NULL;
}

void mem_wipe(void *bytes, size_t count)
{
    if (bytes)
        explicit_bzero(bytes, count);
}
