// What both sides of TLS share: certificates and keys from PEM files, with a sentence that names the file at
// fault. Refuses TLS below 1.2, renegotiation, and asking anybody for a pass phrase.
#ifndef ROLLCALL_TLS_FILES_H
#define ROLLCALL_TLS_FILES_H

#include "common/base/error.h"

#include <openssl/ssl.h>

// The rules that hold for every context: renegotiation and compression off, an end without close_notify is an
// end (what a message says of its own length tells a cut one from a whole one), idle connections keep no
// record buffers, no cache of sessions, keys have no pass phrase.
void tls_files_set_rules(SSL_CTX *context);

// A certificate with its chain, and its key. 0; -errno, -EINVAL.
must_use int tls_files_load_pair(SSL_CTX *context, const char *certificate_file, const char *key_file,
                                 struct error *err);

// Whom to trust; NULL: the system's trust store. Whom the file names is trusted, be it a root or not.
must_use int tls_files_load_trust(SSL_CTX *context, const char *ca_file, struct error *err);

#endif
