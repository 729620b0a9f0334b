// Certificates made on the spot, and a TLS server that shares the test's loop.
#ifndef ROLLCALL_TESTS_TRANSPORT_TLS_PEER_H
#define ROLLCALL_TESTS_TRANSPORT_TLS_PEER_H

#include "tests/unit/transport_fixture.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// ---- certificates

struct pair {
    EVP_PKEY *key;
    X509 *cert;
};

struct wish {
    const char *cn, *san, *usage; // san and usage as in openssl.cnf; NULL: none
    long from_s, to_s;            // from now; both 0: an hour from now on
    bool is_ca;
};

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

// Signed by `ca`; by itself where that is NULL.
static inline struct pair make_pair(const struct pair *ca, const struct wish *w)
{
    static long serial = 1;
    struct pair p = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(p.cert);
    (void)X509_set_version(p.cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial++);
    if (w->cn)
        (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)w->cn, -1, -1,
                                         0);
    (void)X509_set_issuer_name(p.cert, ca ? X509_get_subject_name(ca->cert) : subject);
    (void)X509_gmtime_adj(X509_getm_notBefore(p.cert), w->from_s ? w->from_s : -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(p.cert), w->to_s ? w->to_s : 3600);
    (void)X509_set_pubkey(p.cert, p.key);
    if (w->is_ca)
        add_extension(p.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (w->san)
        add_extension(p.cert, NID_subject_alt_name, w->san);
    if (w->usage)
        add_extension(p.cert, NID_ext_key_usage, w->usage);
    assert_true(X509_sign(p.cert, ca ? ca->key : p.key, EVP_sha256()) > 0);
    return p;
}

static inline void free_pair(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
}

// Certificate and key into one file; the key may be left out.
static inline void write_pair(const char *file, const struct pair *p, bool with_key)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, p->cert), 1);
    if (with_key)
        assert_int_equal(PEM_write_PrivateKey(out, p->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(out);
}

// ---- a server

struct tls_peer {
    struct fixture *f;
    SSL_CTX *context;
    int listener, fd;
    struct address at;
    SSL *ssl;
    bool up, ended, notified; // `notified`: by close_notify
    bool abrupt;              // closes at once what has failed, with all that came and was not read
    struct buf got;
    char sni[256]; // empty: none came
    struct event *pump;
};

static inline int take_any(int good, X509_STORE_CTX *chain)
{
    return good;
}

static inline void peer_pump(struct tls_peer *p)
{
    char bytes[4096];
    if (p->fd < 0 && !p->ended)
        p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (p->fd < 0 || p->ended)
        return;
    if (!p->ssl) {
        p->ssl = SSL_new(p->context);
        (void)SSL_set_fd(p->ssl, p->fd);
    }
    ERR_clear_error();
    int rc = p->up ? 1 : SSL_accept(p->ssl);
    if (rc == 1 && !p->up) {
        const char *name = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
        (void)snprintf(p->sni, sizeof(p->sni), "%s", name ? name : "");
        p->up = true;
    }
    while (p->up && (rc = SSL_read(p->ssl, bytes, sizeof(bytes))) > 0)
        buf_add(&p->got, bytes, (size_t)rc);
    int why = SSL_get_error(p->ssl, rc);
    p->notified = why == SSL_ERROR_ZERO_RETURN;
    p->ended = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
    if (p->ended && !p->notified)
        (void)shutdown(p->fd, SHUT_WR);
    if (p->ended && p->abrupt) {
        (void)close(p->fd);
        p->fd = -1;
    }
    ERR_clear_error();
}

static inline void on_pump(evutil_socket_t fd, short what, void *arg)
{
    peer_pump(arg);
}

static inline void peer_begin(struct tls_peer *p, struct fixture *f, const struct pair *own)
{
    *p = (struct tls_peer){.f = f, .fd = -1, .context = SSL_CTX_new(TLS_server_method())};
    assert_int_equal(SSL_CTX_use_certificate(p->context, own->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(p->context, own->key), 1);
    p->listener = peer_socket(AF_INET, SOCK_STREAM, &p->at);
    const struct timeval often = {.tv_usec = 1000};
    p->pump = event_new(f->base, -1, EV_PERSIST, on_pump, p);
    (void)event_add(p->pump, &often);
}

static inline void peer_ask_for_certificate(struct tls_peer *p, const struct pair *ca)
{
    SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, take_any);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(p->context), ca->cert), 1);
}

static inline void peer_end(struct tls_peer *p)
{
    event_free(p->pump);
    SSL_free(p->ssl);
    SSL_CTX_free(p->context);
    if (p->fd >= 0)
        (void)close(p->fd);
    (void)close(p->listener);
    buf_done(&p->got);
}

#endif
