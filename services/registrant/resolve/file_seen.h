// Whether a file became another one since it was looked at, from outside: by its inode, size and time of
// change. One that is not there is a file of its own kind.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_FILE_SEEN_H
#define ROLLCALL_REGISTRANT_RESOLVE_FILE_SEEN_H

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

// True: it is another than *seen, which becomes what it is now.
static inline bool file_seen_changed(struct stat *seen, const char *path)
{
    struct stat now;
    memset(&now, 0, sizeof(now));
    (void)stat(path, &now);
    bool same = now.st_ino == seen->st_ino && now.st_size == seen->st_size &&
                now.st_mtim.tv_sec == seen->st_mtim.tv_sec && now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
    *seen = now;
    return !same;
}

#endif
