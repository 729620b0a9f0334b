// A connected stream socket, plain or with TLS over it: bytes in, bytes out, its end, and why it ended in
// words. Never blocks. Refuses to know what the bytes are, and to wait for anything.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_WIRE_H
#define ROLLCALL_REGISTRANT_TRANSPORT_WIRE_H

#include "services/registrant/transport/tls.h"

#include <sys/types.h>

struct wire {
    int fd;           // −1: closed
    SSL *ssl;         // NULL: plain
    bool refused;     // by the peer, for our certificate
    bool needs_write; // after -EAGAIN of any call: it is waiting to write rather than to read
};

// What follows gives -EAGAIN, or another negative code with its cause appended to `cause`.

// The socket's connect() has ended: 0 if it is connected.
must_use int wire_connected(const struct wire *w, struct buf *cause);
// 0: over, and the peer is who it should be.
must_use int wire_handshake(struct wire *w, struct buf *cause);
// Never 0: the peer's end is -ECONNRESET, "closed by the registrar".
must_use ssize_t wire_read(struct wire *w, void *ret_bytes, size_t size, struct buf *cause);
must_use ssize_t wire_write(struct wire *w, const void *bytes, size_t count, struct buf *cause);
// Bytes are at hand that the socket does not show as readable.
bool wire_has_more(const struct wire *w);

// Says close_notify where there is a session, and waits for nothing.
void wire_close(struct wire *w);

// "connection refused"
void wire_add_error(struct buf *out, int error);

#endif
