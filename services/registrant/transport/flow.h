// A stream connection: made by us to an endpoint, or by another to us. Its messages, its keep-alive (RFC 5626
// 4.4.1), its deadlines and its end. Not for anyone outside this folder.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_FLOW_H
#define ROLLCALL_REGISTRANT_TRANSPORT_FLOW_H

#include "services/registrant/transport/frame.h"
#include "services/registrant/transport/private.h"
#include "services/registrant/transport/wire.h"

enum flow_state {
    FLOW_CONNECTING,
    FLOW_HANDSHAKE, // of TLS
    FLOW_UP,
    FLOW_LOST // closed; waits to be told of
};

// Monotonic; 0: nothing is waited for.
struct flow_deadlines {
    uint64_t up_by_us;
    uint64_t message_by_us; // the rest of what has begun to come
    uint64_t write_by_us;   // the peer takes something of what waits
    uint64_t pong_by_us;
    uint64_t ping_at_us; // of an incoming connection: when to look whether it is idle
};

struct flow {
    struct transport *t;
    uint32_t number;
    enum flow_state state;
    bool incoming;
    enum registration_transport kind;
    struct address peer;
    struct local *local;
    struct wire wire;
    struct event *readable, *writable, *timer;
    uint64_t armed_us; // when the timer fires; 0: never
    struct flow_deadlines by;
    struct frame frame;
    struct buf in;    // the beginning of a message
    struct buf out;   // whole messages
    size_t out_taken; // of `out`, by the socket
    bool is_unsent;   // in t->unsent
    bool broken;      // writing failed: what still comes is read, then it is lost
    bool owes_pong;   // one for all the pings that came together
    bool pinged;      // and the ping not answered
    bool answers;     // its peer does answer pings
    bool required;    // its peer said that it does
    uint32_t flow_timer_s;
    uint64_t active_us; // when something was last sent or came
    uint64_t heard_us;  // when something last came that was no part of a handshake; 0: never
    uint64_t used_us;   // when somebody last sent by it or asked for it
    bool was_up;        // LOST
    struct buf cause;   // LOST, or broken
    struct flow_key key;
    UT_hash_handle hh_number, hh_key;
    TAILQ_ENTRY(flow) in_unsent, in_lost, in_strangers;
};

// The connection to that endpoint, begun if there is none.
must_use int flow_to(struct transport *t, const struct endpoint *to, struct local *local, struct flow **ret);
struct flow *flow_by_number(struct transport *t, uint32_t number); // NULL: lost, or never made
void flow_accepted(struct transport *t, struct local *local, int take_fd, const struct address *peer);

must_use int flow_send(struct flow *f, struct str message); // -ENOBUFS
void flow_flush_all(struct transport *t);
void flow_keep_alive(struct flow *f, uint32_t flow_timer_s);

// Closes it; ops hears of it from the event loop. Appends to f->cause if that says nothing yet.
void flow_lose(struct flow *f, const char *cause);
void flow_tell_lost(struct transport *t);
void flow_free_all(struct transport *t);

// Sets the timer for the nearest deadline.
void flow_arm(struct flow *f, uint64_t now_us);

// ---- flow_io.c

void flow_on_readable(int fd, short what, void *arg);
void flow_on_writable(int fd, short what, void *arg);
void flow_write(struct flow *f);

// ---- flow_time.c

void flow_on_timer(int fd, short what, void *arg);
void flow_plan_ping(struct flow *f, uint64_t now_us);
// A line end came between messages.
void flow_line_end(struct flow *f, bool second);
void flow_pong(struct flow *f);

#endif
