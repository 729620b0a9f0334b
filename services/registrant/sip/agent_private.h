// What the files of the agent share: agent.c makes it, client.c sends, response.c takes answers, incoming.c
// answers strangers.
#ifndef ROLLCALL_REGISTRANT_SIP_AGENT_PRIVATE_H
#define ROLLCALL_REGISTRANT_SIP_AGENT_PRIVATE_H

#include "services/registrant/sip/agent.h"
#include "services/registrant/sip/message.h"
#include "services/registrant/sip/transaction.h"

// Nearly every answer comes from where the one before it came from: its text is kept.
struct target_text {
    enum registration_transport kind;
    struct address address;
    struct buf text; // empty: none yet
};

// Requests of strangers that are answered at most, so that a flood of them starves nobody.
struct stranger_budget {
    uint64_t until_us;
    unsigned left;
};

struct agent {
    struct transport *transport;
    struct resolver *resolver;
    struct transactions all;
    char *user_agent;
    bool has_tls;
    uint64_t timeout_us; // timer F
    const struct networks *networks;
    const struct agent_ops *ops;
    void *arg;
    bool sending; // inside agent_send
    struct transaction_list finished;
    struct transaction *answering;
    struct target_text last_target;
    struct stranger_budget strangers;
    uint64_t tag_seed;
    struct buf local, received, reply; // scratch
    struct sip_stats stats;
};

// ---- client.c

void client_unreachable(struct agent *a, const struct address *to, const char *cause);
void client_flow_lost(struct agent *a, uint32_t flow, bool was_up, const char *cause);

// ---- target.c: what an outcome says of the target (RFC 3263 4.3)

enum target_fault {
    TARGET_SILENT,      // not even a provisional answer
    TARGET_UNREACHABLE, // ICMP, no connection, a refused certificate
    TARGET_BROKE_OFF,   // a connection that was up
    TARGET_UNAVAILABLE  // 503
};
// Sets it aside and says whether there is another. asked_s: of Retry-After, negative none.
bool target_failed(struct agent *a, struct transaction *t, enum target_fault fault, int64_t asked_s);
void target_answered(struct agent *a, const struct transaction *t);
// The first of them that can be sent to from the transaction's interface, those set aside last; NULL: none.
// *ret_usable: how many that are not set aside can be.
const struct resolve_target *target_choose(struct agent *a, const struct transaction *t,
                                           const struct resolve_answer *answer, size_t *ret_usable);
// Why none could be chosen: local 403 or 503 and its cause.
int target_refused(const struct agent *a, const struct resolve_answer *answer, struct buf *ret_cause);
struct str target_text(struct agent *a, const struct transaction *t); // "udp:192.0.2.1:5060"

// ---- response.c

void response_received(struct agent *a, const struct transport_path *path, struct str message);
// Gives the engine its answer and frees t. `answer` needs no addresses.
void response_deliver(struct agent *a, struct transaction *t, struct sip_answer *answer);

// ---- incoming.c

void incoming_request(struct agent *a, const struct transport_path *path, struct str message);

#endif
