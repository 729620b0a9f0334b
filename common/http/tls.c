// Certificate and key as an SSL_CTX that can be swapped while connections come in.
#include "common/http/tls.h"

#include "common/base/mem.h"
#include "common/base/present.h"
#include "common/tls/files.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct http_tls {
    char *certificate_file, *key_file;
    struct present context; // SSL_CTX
};

static int new_context(const struct http_tls *tls, SSL_CTX **ret, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        abort();
    tls_files_set_rules(context);
    // sessions are resumed by tickets, not out of a cache of ours
    (void)SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    int rc = tls_files_load_pair(context, tls->certificate_file, tls->key_file, err);
    if (rc)
        SSL_CTX_free(context);
    else
        *ret = context;
    return rc;
}

int http_tls_new(const char *certificate_file, const char *key_file, struct http_tls **ret, struct error *err)
{
    struct http_tls *tls = mem_alloc(sizeof(*tls));
    tls->certificate_file = mem_dup_cstr(certificate_file);
    tls->key_file = mem_dup_cstr(key_file);
    SSL_CTX *context = NULL;
    int rc = new_context(tls, &context, err);
    present_init(&tls->context, context);
    if (rc)
        http_tls_free(tls);
    else
        *ret = tls;
    return rc;
}

int http_tls_reload(struct http_tls *tls, struct error *err)
{
    SSL_CTX *next;
    int rc = new_context(tls, &next, err);
    if (rc)
        return rc;
    SSL_CTX_free(present_swap(&tls->context, next)); // connections made with the former one keep it
    return 0;
}

void http_tls_free(struct http_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(present_done(&tls->context));
    free(tls->certificate_file);
    free(tls->key_file);
    free(tls);
}

static void ref(void *context)
{
    (void)SSL_CTX_up_ref(context);
}

struct bufferevent *tls_bufferevent(struct http_tls *tls, struct event_base *base)
{
    SSL_CTX *context = present_get(&tls->context, ref);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context); // the session has a reference of its own
    if (!ssl)
        abort();
    return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                          BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
}

void tls_close_notify(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (!ssl || !SSL_is_init_finished(ssl) || SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN)
        return;
    (void)SSL_shutdown(ssl);
    ERR_clear_error(); // or it would be taken for another connection's
}
