// See wire.h. SIGPIPE must be ignored by the process: OpenSSL writes without MSG_NOSIGNAL.
#include "services/registrant/transport/wire.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The system's words begin with a capital, as no part of a sentence does.
void wire_add_error(struct buf *out, int error)
{
    char words[128];
    const char *text = strerror_r(error, words, sizeof(words));
    buf_add_char(out, (char)(text[0] >= 'A' && text[0] <= 'Z' ? text[0] + ('a' - 'A') : text[0]));
    buf_add_cstr(out, text[0] ? text + 1 : "");
}

static ssize_t failed(int error, struct buf *cause)
{
    if (error == EAGAIN || error == EINTR)
        return -EAGAIN;
    wire_add_error(cause, error);
    return -error;
}

static ssize_t ended(struct buf *cause)
{
    buf_add_cstr(cause, "closed by the registrar");
    return -ECONNRESET;
}

// After an SSL call that gave `rc`, with errno as it left it.
static ssize_t tls_failed(struct wire *w, int rc, struct buf *cause)
{
    int error = errno;
    switch (SSL_get_error(w->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        w->needs_write = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ended(cause);
    case SSL_ERROR_SYSCALL:
        return error ? failed(error, cause) : ended(cause);
    default:
        w->refused = tls_refuses_us(w->ssl);
        tls_cause(w->ssl, cause);
        return -EPROTO;
    }
}

int wire_connected(const struct wire *w, struct buf *cause)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
        error = errno;
    if (error)
        wire_add_error(cause, error);
    return -error;
}

// Before each call: errors of other connections are in the thread's queue, and errno tells an end without
// close_notify from a broken connection.
static void begin(struct wire *w)
{
    w->needs_write = false;
    ERR_clear_error();
    errno = 0;
}

int wire_handshake(struct wire *w, struct buf *cause)
{
    if (!w->ssl)
        return 0;
    begin(w);
    int rc = SSL_connect(w->ssl);
    return rc == 1 ? 0 : (int)tls_failed(w, rc, cause);
}

static int int_of(size_t count)
{
    return count > INT_MAX ? INT_MAX : (int)count;
}

ssize_t wire_read(struct wire *w, void *ret_bytes, size_t size, struct buf *cause)
{
    begin(w);
    if (w->ssl) {
        int rc = SSL_read(w->ssl, ret_bytes, int_of(size));
        return rc > 0 ? rc : tls_failed(w, rc, cause);
    }
    ssize_t count = recv(w->fd, ret_bytes, size, MSG_DONTWAIT);
    if (count > 0)
        return count;
    return count ? failed(errno, cause) : ended(cause);
}

ssize_t wire_write(struct wire *w, const void *bytes, size_t count, struct buf *cause)
{
    begin(w);
    if (w->ssl) {
        int rc = SSL_write(w->ssl, bytes, int_of(count));
        return rc > 0 ? rc : tls_failed(w, rc, cause);
    }
    ssize_t sent = send(w->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    w->needs_write = sent < 0;
    return sent >= 0 ? sent : failed(errno, cause);
}

bool wire_has_more(const struct wire *w)
{
    return w->ssl && SSL_has_pending(w->ssl);
}

void wire_close(struct wire *w)
{
    if (w->ssl) {
        if (SSL_is_init_finished(w->ssl) && !(SSL_get_shutdown(w->ssl) & SSL_SENT_SHUTDOWN))
            (void)SSL_shutdown(w->ssl);
        ERR_clear_error(); // or it would be taken for another connection's
        SSL_free(w->ssl);
        w->ssl = NULL;
    }
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
}
