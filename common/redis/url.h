// Where a Redis is, how it is found and who we are there: the parsed form of ROLLCALL_REDIS_URL.
//
//   redis://[user[:password]@]host[:port][/db]       one server
//   unix:///path                                      one server, over a unix socket
//   redis-sentinel://[user[:password]@]host[:port],…/master[/db]   the master that Sentinel names
//   redis-cluster://[user[:password]@]host[:port],…   a cluster, found from any of its nodes
//
// rediss://, rediss-sentinel:// and rediss-cluster:// are the same over TLS, for every connection.
#ifndef ROLLCALL_REDIS_URL_H
#define ROLLCALL_REDIS_URL_H

#include "common/base/error.h"
#include "common/base/str.h"

enum redis_kind { REDIS_ONE, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_address {
    char *host;
    uint16_t port;
};

struct redis_url {
    enum redis_kind kind;
    bool tls;
    struct redis_address *addresses; // of the server, of the sentinels, or of nodes of the cluster
    size_t address_count;            // 0 with a path
    char *path;                      // of a unix socket; NULL with addresses
    char *master;                    // what Sentinel calls it; NULL for the other kinds
    char *user;                      // NULL: the default user
    char *password;
    uint32_t db;
};

// 0 or -EINVAL with a sentence that does not show the password. `ret` is owned by the caller: redis_url_done.
must_use int redis_url_parse(struct str text, struct redis_url *ret, struct error *err);
void redis_url_done(struct redis_url *url);

#endif
