// See tls.h: what a connection is checked against. Sessions are not resumed: one connection carries all that
// goes to a registrar, so little would be saved, and a certificate that has expired since would go unseen.
#include "services/registrant/transport/tls_private.h"

#include "common/base/mem.h"
#include "common/tls/files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls_store {
    char *ca_file, *certificate_file, *key_file;
    int min_version;
    SSL_CTX *context;
};

// ---- what a session knows

static int check_index;
static pthread_once_t check_once = PTHREAD_ONCE_INIT;

static void free_check(void *parent, void *check, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    free(check);
}

static void make_check_index(void)
{
    check_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_check);
}

struct tls_check *tls_check_of(const SSL *session)
{
    (void)pthread_once(&check_once, make_check_index);
    return SSL_get_ex_data(session, check_index);
}

// ---- the peer's certificate

// RFC 5924: a certificate for SIP need not be one for web servers.
static bool is_for_sip(X509 *certificate)
{
    bool found = false;
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages) && !found; i++) {
        char oid[64] = "";
        (void)OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(usages, i), 1);
        found = strcmp(oid, "1.3.6.1.5.5.7.3.20") == 0 || strcmp(oid, "2.5.29.37.0") == 0;
    }
    EXTENDED_KEY_USAGE_free(usages);
    return found;
}

// Once for each certificate of the chain, the peer's own last.
static int on_verify(int good, X509_STORE_CTX *chain)
{
    SSL *session = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_check *check = tls_check_of(session);
    X509 *certificate = X509_STORE_CTX_get_current_cert(chain);
    int depth = X509_STORE_CTX_get_error_depth(chain), error = X509_STORE_CTX_get_error(chain);
    if (!good && error == X509_V_ERR_INVALID_PURPOSE && depth == 0 && is_for_sip(certificate))
        good = 1;
    if (!good) {
        tls_cause_of_chain(check, certificate, error, depth);
        return 0;
    }
    if (depth == 0 && !tls_name_matches(certificate, str_of(check->name))) {
        tls_cause_of_name(check, certificate);
        X509_STORE_CTX_set_error(chain, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }
    return 1;
}

// Called only where a certificate is asked for and there is none.
static int on_no_certificate(SSL *session, X509 **certificate, EVP_PKEY **key)
{
    tls_check_of(session)->asked_in_vain = true;
    return 0;
}

// ---- the files

static void set_rules(SSL_CTX *context, int min_version)
{
    tls_files_set_rules(context);
    (void)SSL_CTX_set_min_proto_version(context, min_version);
    // what waits to be written grows, and is moved, meanwhile
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_client_cert_cb(context, on_no_certificate);
}

static int new_context(const struct tls_store *s, SSL_CTX **ret, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        abort();
    set_rules(context, s->min_version);
    int rc = tls_files_load_trust(context, s->ca_file, err);
    if (!rc && s->certificate_file)
        rc = tls_files_load_pair(context, s->certificate_file,
                                 s->key_file ? s->key_file : s->certificate_file, err);
    if (rc)
        SSL_CTX_free(context);
    else
        *ret = context;
    return rc;
}

// ---- the store

static int version_of(const char *text, int *ret, struct error *err)
{
    if (!text || strcmp(text, "1.2") == 0)
        *ret = TLS1_2_VERSION;
    else if (strcmp(text, "1.3") == 0)
        *ret = TLS1_3_VERSION;
    else
        return error_set(err, -EINVAL, "the least TLS version is 1.2 or 1.3, not \"%s\"", text);
    return 0;
}

int tls_store_new(const struct tls_settings *settings, struct tls_store **ret, struct error *err)
{
    int version = 0;
    int rc = version_of(settings->min_version, &version, err);
    if (rc)
        return rc;
    struct tls_store *s = mem_alloc(sizeof(*s));
    s->ca_file = mem_dup_cstr(settings->ca_file);
    s->certificate_file = mem_dup_cstr(settings->certificate_file);
    s->key_file = mem_dup_cstr(settings->key_file);
    s->min_version = version;
    rc = new_context(s, &s->context, err);
    if (rc)
        tls_store_free(s);
    else
        *ret = s;
    return rc;
}

int tls_store_reload(struct tls_store *s, struct error *err)
{
    SSL_CTX *next;
    int rc = new_context(s, &next, err);
    if (rc)
        return rc;
    SSL_CTX_free(s->context); // connections made with it keep it
    s->context = next;
    return 0;
}

void tls_store_free(struct tls_store *s)
{
    if (!s)
        return;
    SSL_CTX_free(s->context);
    free(s->ca_file);
    free(s->certificate_file);
    free(s->key_file);
    free(s);
}

// ---- sessions

int tls_session_new(struct tls_store *s, struct str name, SSL **ret, struct error *err)
{
    if (name.n > 1 && name.p[name.n - 1] == '.') // the root's dot is not sent (RFC 6066 3)
        name.n--;
    if (name.n == 0 || name.n >= sizeof(((struct tls_check *)0)->name) || memchr(name.p, '\0', name.n))
        return error_set(err, -EINVAL, "there is no name that a certificate could be for");
    SSL *session = SSL_new(s->context);
    if (!session)
        abort();
    struct tls_check *check = mem_alloc(sizeof(*check));
    memcpy(check->name, name.p, name.n);
    (void)tls_check_of(session); // makes the index
    if (SSL_set_ex_data(session, check_index, check) != 1)
        abort();
    if (!tls_is_number(name))
        (void)SSL_set_tlsext_host_name(session, check->name);
    SSL_set_connect_state(session);
    *ret = session;
    return 0;
}
