// Carries whole SIP messages over UDP, TCP and TLS from one or several local addresses, keeps the connections
// alive (RFC 5626 4.4) and says when one is gone. Knows messages only by where they end; what they mean and
// what is to be sent again is its caller's. Everything on the thread of its event loop. The process ignores
// SIGPIPE.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_TRANSPORT_H
#define ROLLCALL_REGISTRANT_TRANSPORT_TRANSPORT_H

#include "common/base/error.h"
#include "services/registrant/transport/address.h"
#include "services/registrant/transport/tls.h"

struct event_base;
struct transport;

// Where to send. Two endpoints with equal members share one connection.
struct endpoint {
    enum registration_transport kind; // UDP, TCP or TLS
    struct address address;
    struct str name;      // TLS: whom the certificate must be for (the URI's host, RFC 5922 4); else unused
    struct str interface; // empty: automatic
};

// By what way a message came.
struct transport_path {
    enum registration_transport kind;
    struct address from;
    uint32_t flow;     // of a connection; 0: a datagram
    const char *local; // host:port of the socket it came to, as transport_local gives it
};

struct transport_ops {
    // A datagram, or one message of a stream from its start line to the end of its body, without the line
    // ends of keep-alives. Borrowed during the call. Sending from inside is allowed.
    void (*message)(void *arg, const struct transport_path *path, struct str message);
    // ICMP said that datagrams to that address do not arrive; not of each of them. cause: "connection
    // refused" Called from the event loop only.
    void (*unreachable)(void *arg, const struct address *to, const char *cause);
    // A connection could not be made, or is gone, or (keep-alive) has failed: nothing more comes by it and
    // what waits for it was not sent. was_up: it had been connected (and had passed its handshake; a server
    // of TLS 1.3 refuses our certificate only after that, and such a connection was not up). Called from the
    // event loop only, never from inside a call of this file. Connections that others made are not told of.
    void (*flow_lost)(void *arg, uint32_t flow, bool was_up, const char *cause);
};

// How long this and that may last.
struct transport_times {
    uint32_t connect_ms;               // until a connection is up, with its handshake
    uint32_t message_ms;               // from a message's first bytes to its last
    uint32_t write_ms;                 // without the peer taking a byte of what waits
    uint32_t ping_min_ms, ping_max_ms; // of idleness, without a Flow-Timer (RFC 5626 4.4)
    uint32_t pong_ms;
    uint32_t stun_min_ms, stun_max_ms; // on UDP, where routers forget sooner
    uint32_t stun_rto_ms;              // RFC 5389 7.2.1
    uint32_t incoming_idle_ms;         // of a connection that another made
    uint32_t idle_ms;                  // see transport_keep_alive
};
struct transport_times transport_times_default(void);

struct transport_params {
    struct event_base *base;
    // "host[:port],…": where to send from when no interface is named, at most one of each family; port 0 or
    // none: any free one, the same for UDP and TCP.
    const char *listen;
    const char *interfaces;              // "name=host[:port],…", a name at most once a family; NULL: none
    const struct tls_settings *tls;      // NULL: no TLS
    const struct transport_times *times; // NULL: transport_times_default
    const struct transport_ops *ops;
    void *arg;
};
must_use int transport_new(const struct transport_params *p, struct transport **ret, struct error *err);
void transport_free(struct transport *t); // closes everything without a word to ops; NULL is allowed

// Certificates are read again; on an error the old ones stay. -ENOTSUP: there is no TLS here.
must_use int transport_reload(struct transport *t, struct error *err);

// host:port of the socket that a message to that family leaves from (streams: where the TCP socket of the
// same address listens), for Via and {local}: a real address also where it listens on all. NULL: there is no
// such interface or family. family AF_UNSPEC: the first there is. Lives as long as the transport.
const char *transport_local(const struct transport *t, enum registration_transport kind, struct str interface,
                            int family);

// Takes one whole message. Messages are gathered and leave with transport_flush (or when enough wait).
// *ret_flow: the connection's number, made if there is none yet (the message waits for it); 0 for UDP.
// A flow number is not given again before 2^32 others. -EADDRNOTAVAIL no such interface, or none of that
// family; -EPROTONOSUPPORT no TLS here, or WebSocket; -ENOBUFS too much waits for that connection; -EMSGSIZE
// too large for a datagram; -EINVAL the name is none.
must_use int transport_send(struct transport *t, const struct endpoint *to, struct str message,
                            uint32_t *ret_flow);
// Answers a message on the way that it came by. Errors are nobody's concern.
void transport_reply(struct transport *t, const struct transport_path *path, struct str message);
void transport_flush(struct transport *t);

// Keep-alive of RFC 5626 4.4: CRLF on a connection, STUN on UDP. Every connection is pinged when it was idle
// for some two minutes, and once it has answered a ping it is expected to go on; one that never did is not
// held dead for its silence. This call says that the registrar supports it (Require: outbound in its answer),
// so that a ping unanswered for 10 s (UDP: retransmissions, 5389 7.2.1) is a lost flow. flow_timer_s: of
// Flow-Timer, 0 none.
// *flow: of the connection; for UDP 0, replaced by a flow of its own, shared by all to that endpoint. A flow
// is kept alive until it is lost or nobody has called this for it (or sent by it: connections only) for
// times.idle_ms; it is then lost, too, "unused".
void transport_keep_alive(struct transport *t, const struct endpoint *to, uint32_t flow_timer_s,
                          uint32_t *flow);

// What was sent by that connection at since_us (monotonic) had no answer in all the time that it was given.
// Where nothing at all came by it since then, it is taken for dead and lost: a peer that acknowledges and
// never reads would be sent to for ever. Harmless for a datagram (0) and for one that is gone.
void transport_doubt(struct transport *t, uint32_t flow, uint64_t since_us);

// Does anything wait to be written to that connection, which may not be up yet?
bool transport_holds_back(struct transport *t, uint32_t flow);
// What waits to be written is not: its connections are lost.
void transport_hush(struct transport *t);

struct transport_stats {
    uint64_t connections;               // now, established, ours
    uint64_t connected, lost, failed;   // ever, ours: established, lost after that, never established
    uint64_t accepted;                  // ever: those that others made
    uint64_t received, sent, malformed; // messages; malformed: nothing that could be a message
    uint64_t pings, pongs;
};
struct transport_stats transport_stats(const struct transport *t);

#endif
