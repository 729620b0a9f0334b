// What the files of the agent share: agent.c makes it, transaction.c sends, incoming.c answers strangers.
#ifndef ROLLCALL_REGISTRANT_SIP_AGENT_PRIVATE_H
#define ROLLCALL_REGISTRANT_SIP_AGENT_PRIVATE_H

#include "services/registrant/sip/agent.h"
#include "services/registrant/sip/hosts.h"
#include "services/registrant/sip/sofia.h"

#include <netinet/in.h>
#include <sys/queue.h>

LIST_HEAD(transaction_list, transaction);
STAILQ_HEAD(transaction_queue, transaction);

struct agent_watch {
    struct agent *agent;
    int fd;
    int index; // of su_root_register
    void (*fn)(void *arg);
    void *arg;
    su_wait_t wait[1];
};

// Nearly every answer comes from where the one before it came from: its text is kept.
struct target {
    su_sockaddr_t address;
    bool tcp;
    size_t bytes;
    char text[INET6_ADDRSTRLEN + 16];
};

struct agent {
    su_root_t *root;
    nta_agent_t *nta;
    struct hosts *hosts;
    char *user_agent;
    int family;      // of the listen address
    char *udp, *tcp; // "udp:host:port" as in Via; NULL: no such transport
    struct target last_target;
    void (*answered)(void *arg, uint64_t token, const struct sip_answer *answer);
    void *arg;
    struct agent_watch watches[AGENT_MAX_WATCHES];
    size_t watch_count;
    struct transaction_list under_way;
    // Finished while agent_send was running (one broken connection fails all that wait on it): answered
    // after.
    struct transaction_queue finished;
    bool sending;
    bool active;            // something was handled in this step
    unsigned barren;        // steps in a row in which nothing was
    struct buf text, route; // scratch of agent_send
};

// NTA's callback for requests that belong to no dialog and for stray responses.
int incoming_message(struct agent *a, nta_agent_t *nta, msg_t *msg, sip_t *sip);

void transactions_deliver_finished(struct agent *a);
void transactions_drop_all(struct agent *a);

#endif
