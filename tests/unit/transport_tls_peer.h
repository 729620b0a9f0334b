// A TLS server that shares the test's loop.
#ifndef ROLLCALL_TESTS_TRANSPORT_TLS_PEER_H
#define ROLLCALL_TESTS_TRANSPORT_TLS_PEER_H

#include "tests/unit/certificates.h"
#include "tests/unit/transport_fixture.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

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
