// Names of /etc/hosts. DNS servers know nothing of "localhost" and the aliases of a container network. Reads
// the file itself, not the resolver of libc, because that one blocks. One thread.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_HOSTS_H
#define ROLLCALL_REGISTRANT_RESOLVE_HOSTS_H

#include "services/registrant/transport/address.h"

struct hosts;

// Reads the file. One that does not exist is the same as an empty one.
struct hosts *hosts_new(const char *path);
void hosts_free(struct hosts *h); // NULL is allowed

// Reads it again if it looks different from outside. True: it was read.
bool hosts_refresh(struct hosts *h);

// Addresses of a name (any case, no final dot) in the file's order, with port 0; at most `max`. 0: not there.
size_t hosts_find(const struct hosts *h, struct str name, struct address *ret, size_t max);

#endif
