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

static void name_the_line(struct str text, size_t byte, struct error *err)
{
    size_t line = 1;
    for (size_t i = 0; i < byte && i < text.n; i++)
        line += text.p[i] == '\n';
    (void)error_prefix(err, "line %zu", line);
}

// The sentence of json_parse ends with, or holds, "byte <number>".
static void name_the_byte(struct str text, struct error *err)
{
    const char *word = strstr(err->text, "byte ");
    if (word)
        name_the_line(text, (size_t)strtoull(word + strlen("byte "), NULL, 10), err);
}

// What a sentence begins with, such as users[3].roles[0]: the value there, or as much of the way as there is.
static const struct json *value_at(const struct json *root, const char *path)
{
    const struct json *found = root;
    for (;;) {
        struct buf name cleanup(buf_done) = BUF_INIT;
        size_t length = strcspn(path, ".[ ");
        buf_add(&name, path, length);
        buf_add_char(&name, '\0');
        const struct json *next = json_get(found, name.p);
        path += length;
        if (next && *path == '[') {
            char *end;
            next = json_at(next, (size_t)strtoull(path + 1, &end, 10));
            if (*end != ']')
                return found; // a member with such a name
            path = end + 1;
        }
        if (!next)
            return found;
        found = next;
        if (*path != '.')
            return found;
        path++;
    }
}

// Of what is wrong with a member, where it has one.
static void name_the_member(struct str text, const struct json *root, struct error *err)
{
    const struct json *v = value_at(root, err->text);
    if (v != root)
        name_the_line(text, json_behind(v), err);
}

int principals_parse(struct str text, struct principals **ret, struct error *err)
{
    struct principals *p cleanup(unref_ptr) = mem_alloc(sizeof(*p));
    const struct json_limits limits = {.max_bytes = FILE_BYTES, .max_depth = FILE_DEPTH};
    struct error cause = {0};
    p->refs = 1;
    int rc = json_parse(text, &limits, &p->root, &cause);
    if (rc)
        name_the_byte(text, &cause);
    else if ((rc = principals_read(p, &cause)))
        name_the_member(text, p->root, &cause);
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
