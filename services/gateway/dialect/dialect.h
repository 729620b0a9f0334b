// What the dialects share: what they are made with, the calls under way, and what every HTTP API reads of a
// request alike. Knows none of their documents. Loop thread only.
#ifndef ROLLCALL_GATEWAY_DIALECT_DIALECT_H
#define ROLLCALL_GATEWAY_DIALECT_DIALECT_H

#include "common/http/http.h"
#include "common/registration/status.h"
#include "services/gateway/auth/password_worker.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/auth/throttle.h"
#include "services/gateway/fair/fair.h"
#include "services/gateway/store/store.h"

#include <sys/queue.h>

struct jobs;

// Borrowed; outlives the dialects.
struct dialect_shared {
    struct store *store;
    struct jobs *jobs; // of this loop: woken by who has given it one; there once all dialects are made
    struct principals_box *principals;
    struct password_client *passwords;
    struct throttle *throttle;
    struct fair *fair;       // of this loop
    struct str token_secret; // HS256 key of the tokens that the gateway issues
    struct str node;         // this gateway's name
    struct str contact;      // where a dialect gives no Contact: "sip:{username}@{local}"
    bool trust_forwarded;    // X-Forwarded-* of a loopback peer is believed
};

// ---- calls under way. A dialect embeds dialect_call in its own call and dialect_calls in its object. Every
// call ends exactly once, also when the gateway stops: the store answers all that it was asked when it is
// freed; passwords are answered by nobody any more, so those calls are answered by the dialect then.
struct dialect_call {
    TAILQ_ENTRY(dialect_call) link;
    struct dialect_calls *calls;
    struct http_request *http;
    struct principals *principals;     // keeps `principal`; NULL: none
    const struct principal *principal; // who asks; NULL: nobody yet
    const struct account *account;     // whose registrations: the principal's own or one below it
    bool in_password_check;
    struct dialect_login *login; // that waits for its turn or its answer; see dialect_check_password
    bool waits; // for a timer of its own or its turn, which do not come any more once the gateway stops
    struct fair_ticket ticket;
    void (*admitted)(struct dialect_call *c), (*dropped)(struct dialect_call *c);
};
struct dialect_calls {
    TAILQ_HEAD(, dialect_call) list;
    bool closing;
    void *owner;
    void (*free_owner)(void *owner); // once closing and the last call has ended
};
void dialect_calls_init(struct dialect_calls *calls, void *owner, void (*free_owner)(void *owner));
void dialect_call_begin(struct dialect_calls *calls, struct dialect_call *c, struct http_request *r);
// Takes it from the list and lets go of its principals; the caller frees the memory around it BEFORE, and the
// owner may be gone afterwards: hence `memory`, which is freed here in between.
void dialect_call_end(struct dialect_call *c, void *memory);
// `answer_stopping` answers and ends a call. The owner is freed here or with its last call.
void dialect_calls_close(struct dialect_calls *calls, void (*answer_stopping)(struct dialect_call *c));

// Takes the present principals for the call; c->principal stays NULL.
const struct principals *dialect_principals(struct dialect_call *c, const struct dialect_shared *shared);

// ---- what is read of a request

// The traceparent header where it is one (W3C Trace Context 3.2.2), else STR_NONE.
struct str dialect_traceparent(const struct http_request *r);
// Who writes and with which trace; borrows from the call.
struct store_write_context dialect_write_context(const struct dialect_call *c);
// A request's path with a single slash at its beginning: clients join a base that ends in one with a path
// that begins with one. Borrows.
struct str dialect_path(struct str path);
// The client's address: the peer, or behind a trusted proxy on this machine the last address of
// X-Forwarded-For that is not on this machine.
struct str dialect_client(const struct dialect_shared *shared, const struct http_request *r,
                          struct buf *scratch);
// Whether p may ask from there (allowed_ips).
bool dialect_allows_client(const struct dialect_shared *shared, const struct http_request *r,
                           const struct principal *p);
// "https" over TLS or where a trusted proxy says so, else "http".
const char *dialect_scheme(const struct dialect_shared *shared, const struct http_request *r);
// X-Request-Id without what no header may hold, at most 255 bytes; a random one of 32 hex digits where there
// is none. Appends.
void dialect_request_id(const struct http_request *r, struct buf *out);

// ---- how much one may ask (auth/throttle.h). Whom these refuse is answered late (http_answer_late).

// Takes `cost` requests of c->principal's, or of `who`, as it is counted there.
struct throttle_answer dialect_throttle(const struct dialect_shared *shared, const struct dialect_call *c,
                                        uint32_t cost);
struct throttle_answer dialect_throttle_as(const struct dialect_shared *shared, const struct dialect_call *c,
                                           struct str who, uint32_t cost);
// Runs `run` now or when the turn of c->principal's account comes (fair.h); the turn ends with the call. A
// client that has left meanwhile is not served: `drop` answers and ends the call. False: too many of the
// account's requests wait already: answer 503 with Retry-After.
must_use bool dialect_admit(const struct dialect_shared *shared, struct dialect_call *c, enum fair_lane lane,
                            unsigned cost, void (*run)(struct dialect_call *c),
                            void (*drop)(struct dialect_call *c));
// Asked before a password or key is checked, told when the check failed. The name may be empty: of an API
// key.
struct throttle_answer dialect_throttle_login(const struct dialect_shared *shared, struct http_request *r,
                                              struct str name);
void dialect_login_failed(const struct dialect_shared *shared, const struct http_request *r, struct str name);

// Checks a password off the loop, in the turn of the client's address (fair.h), and then calls fn, with
// c->in_password_check set until just before. Everything is copied. As with dialect_admit, `drop` ends what
// is not to be checked any more, and false: too many of that address wait already: answer 503 with
// Retry-After.
must_use bool dialect_check_password(const struct dialect_shared *shared, struct dialect_call *c,
                                     const char *hash, struct str password, password_fn *fn, void *arg,
                                     void (*drop)(struct dialect_call *c));
void dialect_login_free(struct dialect_login *login); // for calls.c; NULL is allowed

// ---- what a registration gets where its dialect says nothing

// ROLLCALL_CONTACT for that user name, escaped: what such a registration's Contact is. Appends.
void dialect_contact(const struct dialect_shared *shared, struct str username, struct buf *out);

// ---- one registration, several dialects

// Scheme, user name and domain, as a dialect sets them that shows neither an address of record nor a
// registrar. An address of record that stands apart follows in scheme and user and keeps its host. Another
// domain says where to send: a registrar of its own is given up. The texts may be r's; NULL ones become NULL.
void dialect_set_identity(struct registration *r, enum registration_scheme scheme, struct str username,
                          struct str domain);
// Another transport gives up a registrar that is the domain with ";transport=udp", which would go before it.
void dialect_set_transport(struct registration *r, enum registration_transport transport);

// Labels: what a dialect must give back and the model does not know, an object under the dialect's name, and
// under "index" the texts by which the store finds it. An empty object or text takes the member away. All
// other members stay, each in its place, so that a write which changes nothing leaves the same text.
void dialect_set_label(struct registration *r, const char *name, const struct buf *object);
void dialect_set_index(struct registration *r, const char *name, struct str value);

// ---- what a record says of its registration now

// The last report as far as it is believed. has_report false: none yet, or what Redis holds cannot be read.
struct dialect_status {
    bool has_report, believed, in_sync; // in_sync: it is about the present revision
    bool is_bound;                      // a binding lives now: reported, and not past its expires_at
    const char *state;    // "registered" …; "pending" without a report, "unknown" unless believed
    struct status report; // where has_report
};
void dialect_status_of(struct dialect_status *ret_init, const struct store_record *record,
                       uint64_t now_wall_ms);
void dialect_status_done(struct dialect_status *s);

// ---- what the store's answers mean to any client

enum dialect_failure {
    FAILURE_ABSENT,      // -ENOENT
    FAILURE_CONFLICT,    // -EEXIST: the name is taken
    FAILURE_UNAVAILABLE, // for now: come again in a second
    FAILURE_DAMAGED,     // what Redis holds of it cannot be read
    FAILURE_INTERNAL,    // was logged here
};
// `detail` for the client (a constant, or err's text); `reads` says whether the call only reads.
enum dialect_failure dialect_failure_of(const char *dialect, uint64_t id, int rc, const struct error *err,
                                        bool reads, const char **ret_detail);

#endif
