// sofia-sip's transaction layer on one local address: an su_root, an NTA agent with a UDP and a TCP
// transport, and the REGISTER transactions under way. Knows nothing of registrations. Everything on the
// thread that made it.
#ifndef ROLLCALL_REGISTRANT_SIP_AGENT_H
#define ROLLCALL_REGISTRANT_SIP_AGENT_H

#include "services/registrant/core/engine.h"

struct agent;

struct agent_params {
    const char *listen;      // "host" or "host:port"; port 0 or none: any free one, the same for UDP and TCP
    const char *resolv_conf; // sresolv's file; NULL: the system's
    const char *hosts_file;  // NULL: /etc/hosts
    const char *user_agent;
    uint32_t transaction_timeout_s; // timer F
    // The final answer to what agent_send took, exactly once; `answer` is borrowed during the call. Never
    // called from inside agent_send.
    void (*answered)(void *arg, uint64_t token, const struct sip_answer *answer);
    void *arg;
};
must_use int agent_new(const struct agent_params *p, struct agent **ret, struct error *err);
void agent_free(struct agent *a); // transactions under way are dropped without an answer; NULL is allowed

// Calls fn(arg) from agent_step whenever fd is readable. At most AGENT_MAX_WATCHES.
#define AGENT_MAX_WATCHES 2
must_use int agent_watch(struct agent *a, int fd, void (*fn)(void *arg), void *arg);

// Waits for events at most that long and handles what there is.
void agent_step(struct agent *a, uint32_t max_wait_ms);

// Sends one REGISTER. Negative: nothing was sent and no answer will come (-EINVAL a part is unusable,
// -EPROTONOSUPPORT transport or scheme, -EADDRNOTAVAIL no such interface).
must_use int agent_send(struct agent *a, const struct sip_request *request, uint64_t token);

// host:port for {local}; empty when there is no such transport or interface. Lives as long as the agent.
struct str agent_hostport(const struct agent *a, enum registration_transport transport, struct str interface);

#endif
