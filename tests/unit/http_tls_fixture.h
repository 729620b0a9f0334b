// TLS for the tests of common/http: a certificate in its files, and a client that shares the server's loop.
#ifndef ROLLCALL_TESTS_HTTP_TLS_FIXTURE_H
#define ROLLCALL_TESTS_HTTP_TLS_FIXTURE_H

#include "tests/unit/certificates.h"
#include "tests/unit/http_fixture.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

// ---- a certificate

struct pair_files {
    char folder[32], cert[64], key[64];
};

static inline void write_pair(const struct pair_files *p, const char *name, bool matching)
{
    const struct wish wish = {.cn = name};
    struct pair pair = make_pair(NULL, &wish), other = make_pair(NULL, &wish);
    write_pem(p->cert, &pair, NULL);
    write_pem(p->key, NULL, matching ? &pair : &other);
    free_pair(&pair);
    free_pair(&other);
}

// ---- a client

struct tls_client {
    struct fixture *f;
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    struct buf got;
    bool closed, notified; // `notified`: by close_notify
    bool connected;
};

static inline void pump(struct tls_client *c)
{
    static char bytes[65536];
    if (!c->connected)
        c->connected = SSL_connect(c->ssl) == 1;
    int count = 0;
    while (c->connected && !c->closed && (count = SSL_read(c->ssl, bytes, sizeof(bytes))) > 0)
        buf_add(&c->got, bytes, (size_t)count);
    int why = SSL_get_error(c->ssl, count);
    c->notified = c->notified || why == SSL_ERROR_ZERO_RETURN;
    c->closed = c->closed || (c->connected && count <= 0 && why != SSL_ERROR_WANT_READ);
    ERR_clear_error();
    (void)event_base_loop(c->f->base, EVLOOP_NONBLOCK);
}

#define TLS_UNTIL(c, condition)                                                                              \
    do {                                                                                                     \
        begin_wait((c)->f);                                                                                  \
        while (!(condition)) {                                                                               \
            pump(c);                                                                                         \
            if ((c)->f->late)                                                                                \
                fail_msg("not within a minute: %s", #condition);                                             \
        }                                                                                                    \
        (void)event_del((c)->f->deadline);                                                                   \
    } while (0)

static inline int loopback(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    (void)evutil_make_socket_nonblocking(fd);
    return fd;
}

static inline void tls_connect(struct tls_client *c, struct fixture *f)
{
    *c = (struct tls_client){.f = f, .fd = loopback(f), .context = SSL_CTX_new(TLS_client_method())};
    c->ssl = SSL_new(c->context);
    (void)SSL_set_fd(c->ssl, c->fd);
}

static inline void tls_say(struct tls_client *c, struct str bytes)
{
    TLS_UNTIL(c, c->connected || c->closed);
    begin_wait(c->f);
    while (bytes.n && !c->closed) {
        int count = SSL_write(c->ssl, bytes.p, bytes.n < 16384 ? (int)bytes.n : 16384);
        if (count > 0)
            bytes = str_slice(bytes, (size_t)count, bytes.n);
        ERR_clear_error();
        (void)event_base_loop(c->f->base, EVLOOP_NONBLOCK);
        if (c->f->late)
            fail_msg("the server does not read");
    }
    (void)event_del(c->f->deadline);
}

static inline void tls_expect(struct tls_client *c, const char *text)
{
    TLS_UNTIL(c, c->got.n >= strlen(text) || c->closed);
    assert_string_equal(c->got.n ? c->got.p : "", text);
    buf_clear(&c->got);
}

static inline void tls_close(struct tls_client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    (void)close(c->fd);
    buf_done(&c->got);
}

static inline void expect_certificate(struct tls_client *c, const char *name)
{
    char found[64] = "";
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, found, sizeof(found));
    X509_free(cert);
    assert_string_equal(found, name);
}

#endif
