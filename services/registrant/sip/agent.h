// The SIP of one thread: REGISTER transactions (RFC 3261 17.1.2) over transport/, towards where resolve/
// says. Knows nothing of registrations. Everything on the thread of its event loop.
#ifndef ROLLCALL_REGISTRANT_SIP_AGENT_H
#define ROLLCALL_REGISTRANT_SIP_AGENT_H

#include "services/registrant/sip/sip_thread.h"

struct agent;
struct event_base;

struct agent_ops {
    // The final answer to what agent_send took, exactly once; `answer` is borrowed during the call. Never
    // called from inside agent_send.
    void (*answered)(void *arg, uint64_t token, const struct sip_answer *answer);
    void (*flow_lost)(void *arg, uint32_t flow); // one that was up
    void (*targets_changed)(void *arg, struct str registrar, const struct str *targets, size_t count);
    bool (*may_send)(void *arg); // what had to wait: false once the loop stood still. NULL: always
};

struct agent_params {
    struct event_base *base;
    const char *listen, *interfaces; // as transport_params
    const struct tls_settings *tls;
    const char *resolv_conf, *hosts_file, *user_agent; // as resolver_params; user_agent NULL or empty: none
    uint32_t transaction_timeout_s;                    // timer F
    const struct networks *networks;                   // that may be sent to; NULL: all. Outlives it
    const struct agent_ops *ops;
    void *arg;
};
must_use int agent_new(const struct agent_params *p, struct agent **ret, struct error *err);
void agent_free(struct agent *a); // transactions under way are dropped without an answer; NULL is allowed
must_use int agent_reload(struct agent *a, struct error *err);

// Sends one REGISTER. Negative: nothing was sent and no answer will come (-EINVAL a part is unusable,
// -EPROTONOSUPPORT WebSocket, or TLS without settings for it, -EADDRNOTAVAIL no such interface). What only
// shows later (no such name, no connection, a refused certificate) is an answer: 503, local, with the cause
// as its reason; silence is 408 (RFC 3261 8.1.3.1). Addresses that may not be sent to are passed over; where
// there is no other it is 403, local: nothing was sent.
must_use int agent_send(struct agent *a, const struct sip_request *request, uint64_t token);

// What was sent with that token is not repeated, and its answer is told to nobody.
void agent_forget(struct agent *a, uint64_t token);
// The loop stood still: of what is under way nothing is sent any more. Answers that come are told.
void agent_hush(struct agent *a);

// During `answered`, of the token it names: see engine_ops.keep_alive.
uint32_t agent_keep_alive(struct agent *a, uint64_t token, uint32_t flow_timer_s);

// Does what is due: requests that are repeated or given up, answers that could not be given inside
// agent_send.
void agent_tick(struct agent *a, uint64_t now_us);
// What was gathered in this turn leaves now. Returns the monotonic time of the next agent_tick: 0 at once,
// UINT64_MAX when nothing waits.
uint64_t agent_flush(struct agent *a);

// host:port for {local} of what goes to `host`: of the family of a number, else of the first that there is.
// Empty: there is no such transport or interface. Lives as long as the agent.
struct str agent_hostport(const struct agent *a, enum registration_transport transport, struct str interface,
                          struct str host);

struct sip_stats agent_stats(const struct agent *a);

#endif
