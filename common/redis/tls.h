// TLS toward Redis: whom to trust, who we are, and a connection's half of it. Refuses a server whose
// certificate does not name the host that was asked for.
#ifndef ROLLCALL_REDIS_TLS_H
#define ROLLCALL_REDIS_TLS_H

#include "common/base/error.h"

#include <openssl/ssl.h>

// Paths of PEM files, read at each connection, so that new ones need no restart.
struct redis_tls {
    char *ca_file;                     // NULL: the system's trust store
    char *certificate_file, *key_file; // NULL: we show none
};

// For a connection to `host`, a name or an address. 0; -errno, -EINVAL with a sentence that names the file.
must_use int redis_tls_session(const struct redis_tls *tls, const char *host, SSL **ret, struct error *err);

#endif
