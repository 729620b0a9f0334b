// Secrets that the command makes or asks for. None is kept longer than needed, none is printed here.
#ifndef ROLLCALL_GATEWAY_PRINCIPALS_SECRET_H
#define ROLLCALL_GATEWAY_PRINCIPALS_SECRET_H

#include "common/base/buf.h"
#include "common/base/error.h"

// From the terminal, twice and unseen, or the first line of a standard input that is none. Caller wipes it.
must_use int secret_ask_password(struct buf *ret, struct error *err);

// Appends the crypt(3) hash of a text, by the method that this machine prefers (Debian: yescrypt).
void secret_hash(struct buf *out, const char *text);
// The same over the hex digest of "username:password" as Kazoo's clients send it; the name is OpenSSL's.
void secret_hash_credentials(struct buf *out, const char *digest_name, const char *username,
                             const char *password);

// Appends both halves of a new RSA-2048 pair in PEM, the private one as PKCS#8.
void secret_make_pair(struct buf *private_pem, struct buf *public_pem);

// Writes a file that must not exist, readable by its owner only.
must_use int secret_write_file(const char *path, struct str text, struct error *err);

#endif
