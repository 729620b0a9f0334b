// A code for the machine and one sentence for the log, returned together.
#ifndef ROLLCALL_BASE_ERROR_H
#define ROLLCALL_BASE_ERROR_H

#include "common/base/base.h"

// Codes are negative errno values. The sentence has no final full stop, names what is wrong and never holds a
// secret.
struct error {
    int code;
    char text[320];
};

// Writes code and sentence and returns the code, so that `return error_set(err, -EINVAL, …)` is one line.
// `err` may be NULL when the caller wants the code alone; the sentence is cut at its end if it is too long.
int error_set(struct error *err, int code, const char *fmt, ...) printf_like(3, 4);

// Puts "prefix: " before the sentence that `err` holds; returns err->code.
int error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);

#endif
