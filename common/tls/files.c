// See files.h.
#include "common/tls/files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

static int no_pass_phrase(char *buffer, int size, int writing, void *arg)
{
    return 0;
}

void tls_files_set_rules(SSL_CTX *context)
{
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(context,
                              SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
}

static int refuse(struct error *err, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(err, -EINVAL, "%s %s: %s", what, file, reason ? reason : "not PEM");
}

static int check_readable(const char *what, const char *file, struct error *err)
{
    return access(file, R_OK) ? error_set(err, -errno, "%s %s: %s", what, file, strerror(errno)) : 0;
}

int tls_files_load_pair(SSL_CTX *context, const char *certificate_file, const char *key_file,
                        struct error *err)
{
    int rc = check_readable("certificate file", certificate_file, err);
    if (!rc)
        rc = check_readable("key file", key_file, err);
    if (rc)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        return refuse(err, "certificate file", certificate_file);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return refuse(err, "key file", key_file);
    return 0;
}

int tls_files_load_trust(SSL_CTX *context, const char *ca_file, struct error *err)
{
    if (!ca_file) {
        if (SSL_CTX_set_default_verify_paths(context) != 1)
            return refuse(err, "trust store", "of the system");
        return 0;
    }
    int rc = check_readable("CA file", ca_file, err);
    if (!rc && SSL_CTX_load_verify_file(context, ca_file) != 1)
        rc = refuse(err, "CA file", ca_file);
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    return rc;
}
