// Where a Redis is and who we are there: the parsed form of a redis:// or unix:// URL. Knows no other scheme;
// rediss:// (TLS) is refused, since hiredis 0.14 has none and a sidecar carries it.
#ifndef ROLLCALL_REDIS_URL_H
#define ROLLCALL_REDIS_URL_H

#include "common/base/error.h"
#include "common/base/str.h"

struct redis_url {
    char *host; // NULL with a path
    uint16_t port;
    char *path; // of a unix socket; NULL with a host
    char *user; // NULL: the default user
    char *password;
    uint32_t db;
};

// 0 or -EINVAL with a sentence that does not show the password. `ret` is owned by the caller: redis_url_done.
must_use int redis_url_parse(struct str text, struct redis_url *ret, struct error *err);
void redis_url_done(struct redis_url *url);

#endif
