// The principals file as text and as a tree: for loading it, and for the command that changes it.
#ifndef ROLLCALL_GATEWAY_AUTH_PRINCIPALS_FILE_H
#define ROLLCALL_GATEWAY_AUTH_PRINCIPALS_FILE_H

#include "common/base/buf.h"
#include "services/gateway/auth/principals.h"

// Appends the file's bytes: 0, -errno, or -E2BIG over 64 MiB.
must_use int principals_file_read(const char *path, struct buf *out, struct error *err);

// As principals_load, of a text that was read before; ret NULL only checks it.
must_use int principals_parse(struct str text, struct principals **ret, struct error *err);

#endif
