// See rules_file.h.
#include "services/registrant/sip/rules_file.h"

#include "common/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES (1u << 20)

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

int rules_file_read(const char *path, struct rules **ret, struct error *err)
{
    if (!path) {
        *ret = NULL;
        return 0;
    }
    FILE *file cleanup(close_file) = fopen(path, "re");
    if (!file)
        return error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
    struct buf text cleanup(buf_done) = BUF_INIT;
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), file)) > 0 && text.n <= FILE_BYTES;)
        buf_add(&text, chunk, got);
    if (ferror(file)) // of a folder, for one
        return error_set(err, -EINVAL, "%s cannot be read", path);
    if (text.n > FILE_BYTES)
        return error_set(err, -EINVAL, "%s is longer than %u bytes", path, FILE_BYTES);
    struct error cause = {0};
    int rc = rules_parse(buf_str(&text), ret, &cause);
    return rc ? error_set(err, rc, "%s: %s", path, cause.text) : 0;
}
