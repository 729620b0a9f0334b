// TLS of connections to registrars: trust, the client's certificate, the least version, and whom a
// certificate is for (RFC 5922). Says what was wrong with a certificate in words. One thread.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_TLS_H
#define ROLLCALL_REGISTRANT_TRANSPORT_TLS_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <openssl/ssl.h>

struct tls_settings {             // borrowed
    const char *ca_file;          // PEM; NULL: the system's trust store
    const char *certificate_file; // the client's own, PEM with its chain; NULL: none
    const char *key_file;         // NULL: in certificate_file
    const char *min_version;      // "1.2" (also where NULL) or "1.3"
};

struct tls_store;

must_use int tls_store_new(const struct tls_settings *settings, struct tls_store **ret, struct error *err);
// Reads the files again. On an error what was read before stays in force. Connections that stand are left
// alone.
must_use int tls_store_reload(struct tls_store *s, struct error *err);
void tls_store_free(struct tls_store *s); // connections that were made from it may live on; NULL is allowed

// A client's session towards `name`, ready for a handshake: SNI where the name is no number, and the
// peer's certificate must be valid and be for that name (tls_name_matches), or the handshake fails.
// tls_cause tells why afterwards.
must_use int tls_session_new(struct tls_store *s, struct str name, SSL **ret, struct error *err);

// Appends why the handshake or the connection failed: "the certificate has expired (CN=…)", "the
// certificate is for other.example, not for example.com", "the registrar asks for a certificate", else
// OpenSSL's own words.
// Called at once after the OpenSSL call that failed; takes the thread's errors.
void tls_cause(SSL *session, struct buf *out);
// As tls_cause, before it: whether the peer refuses this connection for our certificate (or for want of one).
bool tls_refuses_us(SSL *session);

// RFC 5922 7.1 and 7.2: subjectAltName URIs of scheme sip without user part; dNSName where there is none of
// these; the CN only where there is no subjectAltName at all; no wildcards. A numeric name, of which the RFC
// knows nothing, matches iPAddress alone.
bool tls_name_matches(X509 *certificate, struct str name);

#endif
