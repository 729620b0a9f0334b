// What the files of the server share: the server with its queues of deadlines, a connection, a request. Not
// for anyone outside this folder.
//
// evhttp accepts, parses and owns connections and requests; it never sees the socket's bytes first. The
// callbacks of each bufferevent are ours: they wait until one whole request that head.h approves of is there,
// then call evhttp's read callback with exactly its bytes. Answers are written by us and evhttp is told when
// they are out. So its own error pages, its header order and its per-read time-outs never come into play.
#ifndef ROLLCALL_HTTP_SERVER_H
#define ROLLCALL_HTTP_SERVER_H

#include "common/http/chunked.h"
#include "common/http/head.h"
#include "common/http/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdatomic.h>
#include <sys/queue.h>

// What a connection is waited for. All of one kind wait equally long, so each queue is in order of deadline.
enum wait_for {
    WAIT_HANDSHAKE, // TLS
    WAIT_REQUEST,   // first byte of the next request
    WAIT_HEAD,
    WAIT_BODY,
    WAIT_UPLOAD, // some bytes of it
    WAIT_TAKE,   // the client takes some of its answer
    WAIT_LATE,   // until its answer goes out: http_answer_late
    WAIT_LINGER, // the client closes after an answer that it may not have expected
    WAIT_NOTHING
};

enum conn_state {
    CONN_IDLE,      // no byte of a request
    CONN_HEAD,      // some bytes
    CONN_BODY,      // head approved
    CONN_UPLOAD,    // with the handler, while the body is on its way
    CONN_BUSY,      // with the handler
    CONN_LATE,      // the answer is complete and held back
    CONN_STREAMING, // a long answer is under way
    CONN_WRITING,   // the answer is complete and on its way out
    CONN_LINGER     // nothing more is answered
};

enum conn_after { AFTER_NEXT, AFTER_CLOSE, AFTER_LINGER };

struct conn {
    struct http_server *server;
    struct bufferevent *bev;         // owned by evcon
    struct evhttp_connection *evcon; // its freeing is the one way a connection ends
    bufferevent_data_cb evhttp_read;
    enum conn_state state;
    enum conn_after after; // once the answer is out
    bool running;          // conn_run is on the stack
    bool closed;           // evcon is gone; freed when conn_run is through
    bool broken;           // to be closed by conn_run
    bool preferred;        // see http_prefer
    bool answers_late;     // the present request: see http_answer_late
    struct buf late;       // that answer
    bool in_crowd;         // what came waits until it is looked at
    bool ended;            // while it waited there
    TAILQ_ENTRY(conn) of_crowd;

    struct head_scan scan;
    struct head head;
    size_t head_bytes;
    struct buf head_text; // of a chunked request, while its body is decoded
    struct chunked chunks;
    struct evbuffer *body; // decoded so far; NULL until needed
    struct evbuffer *held; // bytes behind the present request; NULL until needed
    size_t charged_bytes;  // of the server's limit on bodies

    bool uploading; // the handler has not been told of the end of its upload
    bool upload_paused;
    uint64_t upload_left;               // of a body with Content-Length
    uint64_t upload_bytes, upload_mark; // come so far, framing included; at the last look
    uint64_t thrown_bytes, thrown_mark; // likewise of what nobody reads any more
    uint64_t linger_until_us;           // 0: does not linger yet

    struct evhttp_request *evreq; // with the handler or being answered
    struct http_request *request; // NULL once answered

    enum wait_for waiting;
    uint64_t deadline_us;
    uint64_t given_bytes, taken_mark; // into `output` so far; of these taken at the last look
    size_t unsent_bytes;              // of the server's limit on answers
    TAILQ_ENTRY(conn) in_queue;
    TAILQ_ENTRY(conn) in_server;
};

TAILQ_HEAD(conn_queue, conn);

struct http_server {
    struct http_server_params params;
    struct evhttp *http;
    struct evhttp_bound_socket *bound; // NULL once stopped
    struct event *adopt;               // runs right after evhttp made connections
    struct event *go_on;               // with accepting, on the next turn of the loop
    struct event *serve;               // some of the crowd, on the next turn
    TAILQ_HEAD(, conn) crowd;          // connections that are not preferred and of which something came
    struct event *timer;
    struct event *accept_again;
    uint64_t timer_us; // when `timer` fires; UINT64_MAX: not armed
    struct conn_queue queues[WAIT_NOTHING];
    struct conn_queue fresh; // made by evhttp and not yet adopted
    struct conn_queue conns;
    size_t conn_count, active_count;
    unsigned accepted; // in this turn of the loop
    TAILQ_HEAD(, http_request) requests;
    atomic_size_t own_buffered; // where the servers of a process share no count
    atomic_size_t own_unsent;
    atomic_size_t *buffered, *unsent;
    struct conn *delivering; // while evhttp's read callback runs
    struct buf scratch;
    bool stopping;
};

struct http_request {
    struct http_server *server; // NULL once that is freed
    struct event_base *base;
    struct conn *conn;            // NULL once the client is gone
    struct evhttp_request *evreq; // ours from then on
    enum http_method method;
    struct str path, query;
    bool tls;
    uint64_t received_us;
    struct buf headers; // of the answer, as lines
    bool owns_evreq;
    bool streaming, chunked, bodiless;
    bool waits_ready; // http_stream_write said false
    struct event *gone;
    size_t charged_bytes; // of a request that outlives its connection
    bool upload_begun;
    struct http_upload_fns upload;
    void *upload_arg;
    struct http_stream_fns fns;
    void *fns_arg;
    TAILQ_ENTRY(http_request) in_server;
};

// ---- connection.c

struct bufferevent *conn_new(struct event_base *base, void *server); // evhttp's bevcb
void conn_adopt(struct conn *c);                                     // takes the callbacks over
void conn_run(struct conn *c);   // goes on as far as it can; c may be gone afterwards
void conn_close(struct conn *c); // at once; c may be gone afterwards
// Closes politely: the client can read what it was sent before the kernel resets the connection over bytes
// that nobody read. Always false: conn_run has nothing more to do.
bool conn_linger(struct conn *c);
void conn_read(struct conn *c); // looks at what came; c may be gone afterwards
void conn_prefer(struct conn *c, bool preferred);
void conn_hold_back(struct conn *c, struct str head, struct str body); // until conn_say_late
void conn_say_late(struct conn *c); // what is held back is written; conn_run it then
// What of its answer the client has not taken counts for the limit of them all; past it, those that take
// their time are closed. c may be broken afterwards.
void conn_charge_unsent(struct conn *c);
void conn_fail(struct conn *c, int status, const char *why); // answers with an error; conn_run follows
void conn_orphan(struct conn *c);                            // its request outlives it
bool conn_write(struct conn *c, struct str a, struct str b); // false: broken
void conn_take_callbacks(struct conn *c);

// ---- server.c

void server_accepted(struct http_server *s);    // before evhttp has it
void server_serve_crowd(struct http_server *s); // on the next turn of the loop
void server_limited(struct http_server *s, enum http_limit what);

// ---- receive.c

// One step of reading a request; false when more bytes are needed.
bool receive_head(struct conn *c);
bool receive_body(struct conn *c);
void receive_set_aside(struct conn *c, size_t keep); // what lies behind the first `keep` bytes of the input
void receive_reset(struct conn *c);                  // ready for the next request

// Counts the body's bytes so far for the limit of them all; false when that is passed.
bool receive_charge(struct conn *c, size_t bytes);
void receive_discharge(struct http_server *s, size_t *bytes);

// ---- upload.c

void upload_start(struct conn *c);        // the head of one is whole
bool upload_receive(struct conn *c);      // one step
bool upload_is_due(const struct conn *c); // bytes of it are still to come
void upload_expire(struct conn *c);
void upload_gone(struct http_request *r);

// ---- deadline.c

void deadline_init(struct http_server *s);
void deadline_done(struct http_server *s);
void deadline_set(struct conn *c, enum wait_for what); // WAIT_NOTHING: none
// Who can do without its connection best: one that is answered, but for reading it or for waiting, else the
// one that has let itself be waited for longest, for a first byte or for the rest of a head or body. NULL:
// none.
struct conn *deadline_idlest(struct http_server *s);
bool deadline_is_fast_upload(const struct conn *c); // since its deadline was set

// ---- request.c

struct http_request *request_new(struct conn *c, struct evhttp_request *evreq);
void request_free(struct http_request *r);
// Calls back on the next turn of the loop, with the request, unless it is answered before.
void request_tell_gone(struct http_request *r, void (*tell)(evutil_socket_t fd, short what, void *arg));
// Path and query of a target in origin-form or absolute-form (RFC 9112 3.2).
void request_split_target(struct str target, bool absolute, struct str *ret_path, struct str *ret_query);

// ---- reply.c

// Status line and header fields of an answer into the server's scratch buffer. `framing`: the line that says
// how long the body is, or empty.
struct str reply_head(struct http_server *s, int status, struct str headers, const char *connection,
                      struct str framing);
const char *reply_connection(struct conn *c); // decides what follows the answer; NULL: nothing to say
void reply_error(struct conn *c, int status, const char *why);

// ---- stream.c

void stream_writable(struct conn *c); // the output has run down
void stream_gone(struct http_request *r);

#endif
