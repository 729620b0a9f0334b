// See edit.h. The file is written anew with a line for each record, so that a line number in an error leads
// to it; what the records say stays as it was.
#include "services/gateway/principals/edit.h"

#include "common/base/mem.h"
#include "services/gateway/auth/principals_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const lists[] = {"accounts", "users", "keys"};

static int lock_directory(struct edit *e, struct error *err)
{
    char *copy cleanup(mem_free_cstr) = mem_dup_cstr(e->path);
    e->lock_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e->lock_fd < 0 || flock(e->lock_fd, LOCK_EX) != 0)
        return error_set(err, -errno, "the directory of %s: %s", e->path, strerror(errno));
    return 0;
}

int edit_open(struct edit *e, const char *path, bool may_be_new, struct error *err)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    char *real = realpath(path, NULL);
    bool is_new = !real && errno == ENOENT;
    *e = (struct edit){.path = real ? real : mem_dup_cstr(path), .lock_fd = -1};
    int rc = lock_directory(e, err);
    if (rc || (is_new && may_be_new))
        return rc;
    rc = principals_file_read(e->path, &text, err);
    if (rc)
        return rc;
    rc = principals_parse(buf_str(&text), &e->principals, err);
    if (rc)
        return error_prefix(err, "%s", e->path);
    const struct json_limits limits = {.max_bytes = SIZE_MAX, .max_depth = 64};
    return json_parse(buf_str(&text), &limits, &e->root, err);
}

void edit_done(struct edit *e)
{
    principals_unref(e->principals);
    json_free(e->root);
    if (e->lock_fd >= 0)
        (void)close(e->lock_fd); // and with it the lock
    free(e->path);
}

static void write_list(struct buf *out, const struct json *records, struct str added)
{
    size_t count = json_count(records);
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i ? ",\n  " : "\n  ");
        json_write_value(out, json_at(records, i));
    }
    if (added.n)
        buf_add_cstr(out, count ? ",\n  " : "\n  ");
    buf_add_str(out, added);
    buf_add_cstr(out, count || added.n ? "\n]" : "]");
}

static void write_all(struct buf *out, const struct edit *e, const char *list, struct str record)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        bool is_it = strcmp(lists[i], list) == 0;
        buf_addf(out, "%s\n\"%s\": ", i ? "," : "", lists[i]);
        write_list(out, json_get(e->root, lists[i]), is_it ? record : STR_NONE);
    }
    buf_add_cstr(out, "\n}\n");
}

// What stands in the file's place afterwards has the owner and the mode of what stood there.
static int keep_owner(const struct edit *e, int fd)
{
    struct stat old;
    if (!e->root)
        return 0;
    if (stat(e->path, &old) != 0 || fchmod(fd, old.st_mode & 07777) != 0)
        return -errno;
    bool same = old.st_uid == geteuid() && old.st_gid == getegid();
    return same || fchown(fd, old.st_uid, old.st_gid) == 0 ? 0 : -errno;
}

static int write_to(const struct edit *e, int fd, struct str text)
{
    int rc = keep_owner(e, fd);
    while (!rc && text.n) {
        ssize_t sent = write(fd, text.p, text.n);
        if (sent < 0)
            rc = -errno;
        else
            text = str_slice(text, (size_t)sent, text.n);
    }
    return !rc && fsync(fd) != 0 ? -errno : rc;
}

static int replace(const struct edit *e, struct str text, struct error *err)
{
    struct buf temporary cleanup(buf_done) = BUF_INIT;
    buf_addf(&temporary, "%s.XXXXXX", e->path);
    int fd = mkstemp(temporary.p); // mode 0600
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", temporary.p, strerror(errno));
    int rc = write_to(e, fd, text);
    (void)close(fd);
    if (!rc && rename(temporary.p, e->path) != 0)
        rc = -errno;
    if (rc) {
        (void)unlink(temporary.p);
        return error_set(err, rc, "%s cannot be written: %s", e->path, strerror(-rc));
    }
    (void)fsync(e->lock_fd); // the directory's entry; the file stands in either case
    return 0;
}

int edit_add(struct edit *e, const char *list, struct str record, struct error *err)
{
    struct buf text cleanup(buf_done) = BUF_INIT;
    write_all(&text, e, list, record);
    int rc = principals_parse(buf_str(&text), NULL, err);
    return rc ? error_prefix(err, "%s", e->path) : replace(e, buf_str(&text), err);
}
