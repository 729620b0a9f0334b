// Flows over UDP (RFC 5626 4.4.2, 8): the binding that a router holds between us and a registrar is kept by
// STUN requests, and lost when they fail or show another binding. Not for anyone outside this folder.
#ifndef ROLLCALL_REGISTRANT_TRANSPORT_STUN_FLOW_H
#define ROLLCALL_REGISTRANT_TRANSPORT_STUN_FLOW_H

#include "services/registrant/transport/private.h"
#include "services/registrant/transport/stun.h"

struct stun_flow {
    struct transport *t;
    uint32_t number;
    struct address peer;
    struct local *local;
    struct event *timer;
    uint32_t flow_timer_s;
    unsigned requests;         // of the transaction under way; 0: none is
    uint8_t id[STUN_ID_BYTES]; // begins with the flow's number
    bool has_mapped;
    struct address mapped; // as whom the registrar sees us
    uint64_t used_us;
    const char *cause; // lost
    struct flow_key key;
    UT_hash_handle hh_number, hh_key;
    TAILQ_ENTRY(stun_flow) in_lost;
};

// The flow to that endpoint, made if there is none; 0: to->name is none.
uint32_t stun_flow_keep(struct transport *t, const struct endpoint *to, struct local *local,
                        uint32_t flow_timer_s);
bool stun_flow_is(const struct transport *t, uint32_t number);
// What stun_is is true of.
void stun_flow_received(struct transport *t, const struct local *local, const struct address *from,
                        struct str datagram);
// ICMP said that nothing arrives there: a request under way has failed (RFC 5389 7.2.1).
void stun_flow_undelivered(struct transport *t, struct local *local, const struct address *to);
void stun_flow_tell_lost(struct transport *t);
void stun_flow_free_all(struct transport *t);

#endif
