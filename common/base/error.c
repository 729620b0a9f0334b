// See error.h.
#include "common/base/error.h"

#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    err->code = code;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return 0;
    char prefix[sizeof(err->text)];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    struct buf whole = BUF_INIT;
    buf_addf(&whole, "%s: %s", prefix, err->text);
    size_t kept = whole.n < sizeof(err->text) ? whole.n : sizeof(err->text) - 1;
    memcpy(err->text, whole.p, kept);
    err->text[kept] = '\0';
    buf_done(&whole);
    return err->code;
}
