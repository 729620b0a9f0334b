// See tls.h.
#include "common/redis/tls.h"

#include "common/tls/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

static int load(SSL_CTX *context, const struct redis_tls *tls, struct error *err)
{
    tls_files_set_rules(context);
    int rc = tls_files_load_trust(context, tls->ca_file, err);
    if (!rc && tls->certificate_file)
        rc = tls_files_load_pair(context, tls->certificate_file, tls->key_file, err);
    return rc;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

// An address stands in the certificate as such and is not sent as the server's name (RFC 6066 section 3).
static bool expect(SSL *ssl, const char *host)
{
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int redis_tls_session(const struct redis_tls *tls, const char *host, SSL **ret, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        abort(); // only when memory is out
    int rc = load(context, tls, err);
    SSL *ssl = rc ? NULL : SSL_new(context);
    SSL_CTX_free(context); // the session has a reference of its own
    if (rc)
        return rc;
    if (!ssl)
        abort();
    if (!expect(ssl, host)) {
        SSL_free(ssl);
        return error_set(err, -EINVAL, "%s cannot be looked for in a certificate", host);
    }
    *ret = ssl;
    return 0;
}
