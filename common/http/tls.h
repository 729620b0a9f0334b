// TLS of a server's connections: what connection.c needs of OpenSSL. Not for anyone outside this folder.
#ifndef ROLLCALL_HTTP_TLS_H
#define ROLLCALL_HTTP_TLS_H

#include "common/http/http.h"

struct bufferevent;

// For a connection about to be accepted; its callbacks are deferred, as an SSL_write may finish at once.
struct bufferevent *tls_bufferevent(struct http_tls *tls, struct event_base *base);

// Sends close_notify (RFC 8446 6.1) where there is a session to close; waits for nothing.
void tls_close_notify(struct bufferevent *bev);

#endif
