// HTTP/1.1 server and a small client on libevent's evhttp; the only place that includes it. What evhttp lets
// through is put right here once: limits with JSON errors, deadlines, two Content-Lengths, missing Host, HEAD
// with a body, methods.
#ifndef ROLLCALL_HTTP_HTTP_H
#define ROLLCALL_HTTP_HTTP_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

struct event_base;
struct http_server;
struct http_request; // lives until it is answered; loop thread only

struct http_limits {
    size_t header_bytes;        // 16 KiB -> 431
    size_t body_bytes;          // 1 MiB -> 413
    uint32_t header_timeout_ms; // from the first byte of a request to the end of its header -> 408
    uint32_t body_timeout_ms;   // to the end of its body -> 408
    uint32_t idle_timeout_ms;   // between requests on a kept-alive connection: closed
    size_t connections;         // of one server; past it new ones are closed
};
#define HTTP_LIMITS_DEFAULT                                                                                  \
    ((struct http_limits){.header_bytes = 16384,                                                             \
                          .body_bytes = 1048576,                                                             \
                          .header_timeout_ms = 10000,                                                        \
                          .body_timeout_ms = 30000,                                                          \
                          .idle_timeout_ms = 60000,                                                          \
                          .connections = 10000})

struct http_server_params {
    struct event_base *base;
    int listen_fd; // taken; from http_listen
    struct http_limits limits;
    void *arg;
    void (*on_request)(void *arg, struct http_request *r); // must be answered exactly once, now or later
    // Error document of the server's own answers (400, 408, 413, 431, 501, 503); NULL:
    // {"errors":[{title,detail,code,status}]}.
    void (*write_error)(struct buf *out, int status, const char *title, const char *detail);
    const char *error_type; // its media type, a constant; NULL: application/json
};

// "host:port", "[::]:port"; port 0: any. SO_REUSEPORT where `shared` (several servers on one port). ret_port
// optional.
must_use int http_listen(const char *address, bool shared, int *ret_fd, uint16_t *ret_port,
                         struct error *err);

struct http_server *http_server_new(const struct http_server_params *p);
void http_server_stop(
    struct http_server *s); // stops accepting; answers carry "connection: close"; idle ones close
size_t http_server_active_count(const struct http_server *s); // requests not answered yet
void http_server_free(struct http_server *s);

// ---- the request: everything borrowed until it is answered

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER
};
const char *http_method_name(enum http_method m);
enum http_method http_method(const struct http_request *r);
struct str http_target(const struct http_request *r); // raw path and query
struct str http_path(const struct http_request *r);   // raw path (still percent-encoded), without query
struct str http_query(const struct http_request *r);  // raw, without '?'
struct str http_header(const struct http_request *r, const char *name); // first; STR_NONE when absent
size_t http_header_count(const struct http_request *r, const char *name);
struct str http_body(const struct http_request *r);
struct str http_peer(const struct http_request *r);      // address text without port
struct str http_host(const struct http_request *r);      // Host header
uint64_t http_received_us(const struct http_request *r); // monotonic

// Percent-decoding. path segments: '+' stays. 0 or -EINVAL for a broken escape or %00.
must_use int http_decode(struct buf *out, struct str encoded, bool plus_is_space);
void http_encode(struct buf *out, struct str text); // everything but unreserved characters (RFC 3986 2.3)

// Query string or form body as decoded pairs in their order.
struct http_pair {
    char *name, *value;
};
struct http_pairs {
    struct http_pair *items;
    size_t count;
};
must_use int http_pairs_parse(struct str text, struct http_pairs *ret,
                              struct error *err); // -EINVAL, -E2BIG (> 256)
void http_pairs_done(struct http_pairs *p);
const char *http_pairs_get(const struct http_pairs *p, const char *name); // last value, or NULL

// ---- the answer. Header names are written as given, in the order of the calls; content-length is put last
// by the server.

void http_reply_header(struct http_request *r, const char *name,
                       struct str value);                             // copied; CR, LF, NUL: dropped
void http_reply(struct http_request *r, int status, struct str body); // copied; r is gone afterwards
// For long bodies: chunked, with back-pressure. on_ready runs when more is wanted; on_gone when the client
// left (no calls on r after it).
struct http_stream_fns {
    void (*on_ready)(void *arg);
    void (*on_gone)(void *arg);
};
void http_stream_begin(struct http_request *r, int status, const struct http_stream_fns *fns, void *arg);
bool http_stream_write(struct http_request *r, struct str chunk); // false: enough for now, wait for on_ready
void http_stream_end(struct http_request *r);                     // r is gone afterwards

// ---- client

struct http_fetch_params {
    struct event_base *base;
    const char *url;     // http://host:port/path?query
    const char *bearer;  // Authorization: Bearer …; NULL
    uint32_t timeout_ms; // between two pieces of the answer
    size_t line_bytes;   // longest line; longer: fails
    void *arg;
    void (*on_line)(void *arg, struct str line); // each line of a 200's body, without its end; borrowed
    void (*on_done)(void *arg, int status, const struct error *err); // once; the fetch frees itself
};
struct http_fetch;
must_use int http_fetch_lines(const struct http_fetch_params *p, struct http_fetch **ret, struct error *err);
void http_fetch_cancel(struct http_fetch *f); // on_done is not called
// Stops reading from the socket and delivering lines, so that the sender is pushed back; the time-out rests.
void http_fetch_pause(struct http_fetch *f, bool paused);

#endif
