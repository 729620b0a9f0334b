// See principals_file.h. Turns what the reader of JSON says of a byte into a line, since people edit this
// file.
#include "services/gateway/auth/principals_file.h"

#include "common/base/mem.h"
#include "services/gateway/auth/principals_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 64 << 20, FILE_DEPTH = 16 };

static void unref_ptr(struct principals **p)
{
    principals_unref(*p);
}

int principals_file_read(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    char chunk[16384];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0 && out->n <= FILE_BYTES)
        buf_add(out, chunk, (size_t)got);
    (void)close(fd);
    if (got < 0)
        return error_set(err, -EIO, "%s cannot be read", path);
    return out->n > FILE_BYTES ? error_set(err, -E2BIG, "%s is longer than %d bytes", path, FILE_BYTES) : 0;
}

// The sentence of json_parse ends with, or holds, "byte <number>".
static void name_the_line(struct str text, struct error *err)
{
    const char *word = strstr(err->text, "byte ");
    if (!word)
        return;
    size_t byte = (size_t)strtoull(word + strlen("byte "), NULL, 10), line = 1;
    for (size_t i = 0; i < byte && i < text.n; i++)
        line += text.p[i] == '\n';
    (void)error_prefix(err, "line %zu", line);
}

int principals_parse(struct str text, struct principals **ret, struct error *err)
{
    struct principals *p cleanup(unref_ptr) = mem_alloc(sizeof(*p));
    const struct json_limits limits = {.max_bytes = FILE_BYTES, .max_depth = FILE_DEPTH};
    struct error cause = {0};
    p->refs = 1;
    int rc = json_parse(text, &limits, &p->root, &cause);
    if (rc)
        name_the_line(text, &cause);
    else
        rc = principals_read(p, &cause);
    if (rc)
        return error_set(err, -EINVAL, "%s", cause.text);
    if (ret) {
        *ret = p;
        p = NULL;
    }
    return 0;
}

int principals_load(const char *path, struct principals **ret, struct error *err)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    int rc = principals_file_read(path, &text, err);
    if (rc)
        return rc;
    rc = principals_parse(buf_str(&text), ret, err);
    return rc && err ? error_prefix(err, "%s", path) : rc;
}
