// The attributes and macros that every file may use. Refuses to grow: anything with a body lives in its own
// file.
#ifndef ROLLCALL_BASE_BASE_H
#define ROLLCALL_BASE_BASE_H

#include <stddef.h>

// The result carries an error: ignoring it is a compile error.
#define must_use __attribute__((warn_unused_result))

// Like printf from argument `fmt`; the first variadic argument is `args`.
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

// Runs fn(&variable) when the variable leaves its scope.
#define cleanup(fn) __attribute__((cleanup(fn)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// The object that holds `member` at address `ptr`.
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
