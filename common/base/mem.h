// Heap allocation that aborts when memory is out (crash-only: a restart loses nothing).
#ifndef ROLLCALL_BASE_MEM_H
#define ROLLCALL_BASE_MEM_H

#include <stddef.h>

// All return memory that the caller owns and frees with free(3); none returns NULL. Any thread.
void *mem_alloc(size_t size_bytes);               // zeroed
void *mem_array(size_t count, size_t size_bytes); // zeroed; aborts on overflow
void *mem_resize(void *take_ptr, size_t count, size_t size_bytes);
char *mem_dup_cstr(const char *text);                 // NULL gives NULL
char *mem_dup_bytes(const void *bytes, size_t count); // a NUL is appended

// For cleanup(): frees the char * and sets it to NULL.
void mem_free_cstr(char **text);

// Overwrites secrets in a way that the compiler keeps; NULL is allowed.
void mem_wipe(void *bytes, size_t count);

#endif
