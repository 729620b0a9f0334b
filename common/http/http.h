// HTTP/1.1 server and a small client on libevent's evhttp; the only place that includes it. What evhttp lets
// through is put right here once: limits with JSON errors, deadlines, two Content-Lengths, missing Host, HEAD
// with a body, methods. Everything belongs to the thread of its loop; several servers on several threads
// share a port. The process must ignore SIGPIPE. TLS is OpenSSL's through bufferevents.
// Refuses compression and HTTP/2: a proxy's work.
#ifndef ROLLCALL_HTTP_HTTP_H
#define ROLLCALL_HTTP_HTTP_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdatomic.h>
#include <stdint.h>

struct event_base;
struct http_server;
struct http_request; // lives until it is answered; loop thread only

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

struct http_limits {
    size_t header_bytes;        // 16 KiB -> 431
    size_t body_bytes;          // 1 MiB -> 413
    uint32_t header_timeout_ms; // from the first byte of a request to the end of its header -> 408
    uint32_t
        body_timeout_ms; // from there to the end of its body -> 408; and a client that takes less than 512
                         // bytes a second of its answer for so long is closed, or sends less of an upload
    uint32_t idle_timeout_ms; // between requests on a kept-alive connection: closed
    uint32_t late_ms;         // see http_answer_late
    size_t connections;       // of one server; past it the one that is idle longest makes room for a new one
    size_t buffered_bytes;    // of all bodies collected or with the handler, those shorter than header_bytes
                           // aside; what passes it is answered 503 with retry-after. And as much of answers
                           // that clients have not taken yet; past it the slowest is closed. 0: no limit
};
#define HTTP_LIMITS_DEFAULT                                                                                  \
    ((struct http_limits){.header_bytes = 16384,                                                             \
                          .body_bytes = 1048576,                                                             \
                          .header_timeout_ms = 10000,                                                        \
                          .body_timeout_ms = 30000,                                                          \
                          .idle_timeout_ms = 60000,                                                          \
                          .late_ms = 100,                                                                    \
                          .connections = 10000,                                                              \
                          .buffered_bytes = (size_t)256 << 20})

// A limit that did something, for a counter.
enum http_limit {
    HTTP_LIMIT_CONNECTIONS, // no room for a new connection, and none that could make some: it was closed
    HTTP_LIMIT_IDLE,   // one that waited for its next request, had sent a part of one or was only to hear its
                       // answer made room for a new one
    HTTP_LIMIT_SLOW,   // a client sent or took too little
    HTTP_LIMIT_BODIES, // buffered_bytes was passed by bodies
    HTTP_LIMIT_ANSWERS, // … or by answers that are not taken: the slowest was closed
    HTTP_LIMIT_COUNT
};

struct http_server_params {
    struct event_base *base;
    int listen_fd; // taken; from http_listen
    struct http_limits limits;
    void *arg;
    void (*on_request)(void *arg, struct http_request *r); // must be answered exactly once, now or later
    // Error document of the server's own answers (400, 408, 413, 417, 431, 501, 505), each followed by the
    // end of the connection; NULL: {"errors":[{title,detail,code,status}]}. `on_request` does not hear of
    // these.
    void (*write_error)(struct buf *out, int status, const char *title, const char *detail);
    const char *error_type; // its media type, a constant; NULL: application/json
    struct http_tls *tls;   // NULL: plain; borrowed, swapped by http_tls_reload
    // Count for limits.buffered_bytes over all servers that are given them; NULL: this server counts alone.
    atomic_size_t *buffered, *unsent;
    void (*on_limit)(void *arg, enum http_limit what); // NULL: nobody counts
    // So many connections that are not preferred (http_prefer) are served in a turn of the loop, the others
    // wait for the next turns: however many these are, what else the loop has to do is done in between. 0:
    // all are served at once.
    unsigned crowd_at_once;
    // Asked at the end of the head of a POST, PUT or PATCH, with a body or none: true, the body is not
    // collected (and body_bytes not looked at) but given piece by piece to whom an upload is begun with.
    // NULL: never.
    bool (*takes_upload)(void *arg, enum http_method method, struct str path);
};

// ---- TLS: certificate chain and key, both PEM. TLS 1.2 and later.
struct http_tls;
must_use int http_tls_new(const char *certificate_file, const char *key_file, struct http_tls **ret,
                          struct error *err);
// Both are read again; new connections use them. A bad pair is refused whole and the old one stays. Any
// thread.
must_use int http_tls_reload(struct http_tls *tls, struct error *err);
void http_tls_free(struct http_tls *tls); // after its servers

// "host:port", "[::]:port"; port 0: any. SO_REUSEPORT where `shared` (several servers on one port). ret_port
// optional.
must_use int http_listen(const char *address, bool shared, int *ret_fd, uint16_t *ret_port,
                         struct error *err);

struct http_server *http_server_new(const struct http_server_params *p);
// Stops accepting; answers carry "connection: close"; idle connections close. What has begun goes on.
void http_server_stop(struct http_server *s);
// Requests of which a part has arrived and that are not answered to the last byte. A stopped server may be
// freed when it is 0 and nothing is cut off.
size_t http_server_active_count(const struct http_server *s);
// Not from within a callback of the server. Requests still unanswered stay valid and are answered into the
// void; streams hear on_gone. NULL is allowed.
void http_server_free(struct http_server *s);

// ---- the request: everything borrowed until it is answered. The client may leave before; nothing changes
// for the handler then. Repeated or contradictory framing fields, a missing Host, %00 in the target never get
// here; chunked bodies are decoded; TRACE is HTTP_OTHER, what is not in RFC 9110 or RFC 5789 is answered 501.

const char *http_method_name(enum http_method m);
enum http_method http_method(const struct http_request *r);
struct str http_path(const struct http_request *r);  // raw path (still percent-encoded), without query
struct str http_query(const struct http_request *r); // raw, without '?'
struct str http_header(const struct http_request *r, const char *name); // first; STR_NONE when absent
// All fields of that name as one list, ", " between them (RFC 9110 5.3).
void http_header_list(const struct http_request *r, const char *name, struct buf *out);
struct str http_body(const struct http_request *r);
struct str http_peer(const struct http_request *r);      // address text without port
struct str http_host(const struct http_request *r);      // Host header
uint64_t http_received_us(const struct http_request *r); // monotonic; when it was whole

// Whether what its connection sends next is looked at as soon as it is there, or with the crowd
// (crowd_at_once). Connections begin with the crowd.
void http_prefer(struct http_request *r, bool preferred);
// For one who asks too much: http_reply's answer goes out limits.late_ms after it was given, or when the
// server is stopped. However fast a client asks again, refusing it then costs others nothing; and behind a
// proxy nobody else's request is on its connection meanwhile.
void http_answer_late(struct http_request *r);

// The client has left, or at least sends no more, which looks the same from here: answer it, but do no work
// for it. Asks the kernel.
bool http_is_gone(const struct http_request *r);
bool http_is_tls(const struct http_request *r);
// The value of a cookie (RFC 6265 5.4; also of a whole Set-Cookie echoed back), STR_NONE: none.
struct str http_cookie(const struct http_request *r, const char *name);

// ---- uploads: only for a request that takes_upload was true of; http_body is empty.
struct http_upload_fns {
    void (*on_data)(void *arg, struct str bytes); // borrowed
    void (*on_end)(void *arg);                    // the body came whole: answer now or later
    void (*on_gone)(void *arg); // broken off (client gone, too slow, bad framing): no calls on r any more
};
// None of these runs from within a call on r. Begun from on_request or later; until then nothing is read.
void http_upload_begin(struct http_request *r, const struct http_upload_fns *fns, void *arg);
// Stops reading from the socket, so that the sender is pushed back; no time-out runs meanwhile and nothing is
// given. Otherwise body_timeout_ms is the time in which some bytes have to come. A client that leaves while
// paused is noticed afterwards.
void http_upload_pause(struct http_request *r, bool paused);
// For a handler that collects an upload after all: `bytes` is what it holds of it now. Counts for
// limits.buffered_bytes until the request is answered or gone; false: past it, to be answered 503.
must_use bool http_upload_hold(struct http_request *r, size_t bytes);
// The request may be answered before its end: what still comes is read and thrown away within limits, then
// the connection ends.

// ---- texts that requests carry

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
// The media type that a Content-Type field names, without its parameters (RFC 9110 8.3.1). Borrows from it.
struct str http_media_type(struct str content_type);

// multipart/form-data (RFC 7578) as such pairs; `content_type` is the header with its boundary. Parts with a
// file name are pairs too. The same codes.
must_use int http_multipart_parse(struct str content_type, struct str body, struct http_pairs *ret,
                                  struct error *err);
void http_pairs_done(struct http_pairs *p);
const char *http_pairs_get(const struct http_pairs *p, const char *name); // last value, or NULL

// ---- the answer. Header names are written as given, in the order of the calls; then "connection" where it
// must be said, and content-length last. Nothing else is added. Answers to HEAD have the length and no body;
// 204 and 304 have neither body nor length, and a content-type given for them is left out.

// Copied; CR, LF, NUL: dropped from the value. The server's own fields (content-length, transfer-encoding,
// connection) are ignored. `name` is a constant of the program.
void http_reply_header(struct http_request *r, const char *name, struct str value);
void http_reply(struct http_request *r, int status, struct str body); // copied; r is gone afterwards

// For long bodies: chunked (to HTTP/1.0 until the connection ends), with back-pressure. None of these runs
// from within a call on r.
struct http_stream_fns {
    void (*on_ready)(void *arg); // more is wanted, after http_stream_write said false
    void (*on_gone)(
        void *arg); // the client left, or the server was freed: r is gone, no calls on it any more
};
void http_stream_begin(struct http_request *r, int status, const struct http_stream_fns *fns, void *arg);
// Copied. False: enough for now, wait for on_ready; what was given is kept all the same.
bool http_stream_write(struct http_request *r, struct str chunk);
void http_stream_end(struct http_request *r); // r is gone afterwards

// ---- client: one GET, the body of a 200 line by line, in bounded memory. Names are resolved off the loop;
// all addresses of a name are tried. No redirects, no TLS.

struct http_fetch_params {
    struct event_base *base;
    const char *url;     // http://host:port/path?query
    const char *bearer;  // Authorization: Bearer …; NULL
    uint32_t timeout_ms; // between two pieces of the answer, and to the first
    size_t line_bytes;   // longest line; longer: fails
    void *arg;
    void (*on_line)(void *arg, struct str line); // each line of a 200's body, without its end; borrowed
    // Once; the fetch frees itself. `err` is NULL only for a 200 whose body came whole; `status` 0: no
    // answer.
    void (*on_done)(void *arg, int status, const struct error *err);
};
struct http_fetch;
// -EINVAL at once for a URL or token that cannot be; all else is told by on_done, never from within this
// call.
must_use int http_fetch_lines(const struct http_fetch_params *p, struct http_fetch **ret, struct error *err);
void http_fetch_cancel(struct http_fetch *f); // on_done is not called
// Stops reading from the socket and delivering lines, so that the sender is pushed back; the time-out rests.
void http_fetch_pause(struct http_fetch *f, bool paused);

#endif
