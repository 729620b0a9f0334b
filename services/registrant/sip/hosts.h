// Names of /etc/hosts. sofia's resolver asks DNS servers only, so "localhost" and the aliases of a container
// network would fail. Reads the file itself, not the resolver of libc, because that one blocks. One thread.
#ifndef ROLLCALL_REGISTRANT_SIP_HOSTS_H
#define ROLLCALL_REGISTRANT_SIP_HOSTS_H

#include "common/base/str.h"

struct hosts;

// A file that does not exist is the same as an empty one.
struct hosts *hosts_new(const char *path);
void hosts_free(struct hosts *h);

// The first address of that family (AF_INET or AF_INET6) in numbers without brackets, or NULL; it lives until
// the next call. The file is looked at once a second at most and read again when it has changed.
const char *hosts_address(struct hosts *h, struct str name, int family, uint64_t now_us);

#endif
