// What one registrar taught us, for as long as it is asked for anything: the age at which it refuses nonces,
// what it grants, the least that it accepts, where it sees us. Pure numbers; a lesson that cannot teach
// itself away by what is sent is forgotten after a day.
#ifndef ROLLCALL_REGISTRANT_CORE_LEARNED_H
#define ROLLCALL_REGISTRANT_CORE_LEARNED_H

#include "common/base/str.h"

struct learned { // all zero: nothing yet
    uint64_t nonce_refused_us, nonce_age_ms;
    uint32_t nonce_refusals, nonces_skipped;
    uint32_t granted_s, granted_votes, granted_least_s;
    uint32_t min_expires_s;
    uint64_t min_expires_us; // when
    bool outbound;
    char received[64];
    uint32_t lost_flow, young_flows; // the last one lost; how many in a row were lost young
    uint64_t lost_flow_us;           // when
};

void learned_nonce_refused(struct learned *l, uint64_t age_ms, uint64_t now_us);
void learned_nonce_accepted(struct learned *l, uint64_t age_ms);
// Is one so old worth sending? Not once two so old were refused; but now and then it is tried again, since
// the refusals may have been of a registrar that forgot all nonces.
bool learned_nonce_is_worth(struct learned *l, uint64_t age_ms, uint64_t now_us);
uint64_t learned_nonce_age_s(const struct learned *l); // 0: none is refused

// granted_s becomes the expiry that most grants had, where more than half had the same.
void learned_grant(struct learned *l, uint32_t granted_s);

void learned_min_expires(struct learned *l, uint32_t min_expires_s, uint64_t now_us);
uint32_t learned_least_s(const struct learned *l, uint64_t now_us); // to ask for; 0: anything

void learned_outbound(struct learned *l, bool supported);
// That flow was lost, age_ms after something was bound over it. Is what was bound over it to be bound anew
// before its time? Not once four in a row were lost within ten minutes: such a registrar closes connections
// that are idle, and what is sent again for that only makes the next one.
bool learned_flow_is_worth(struct learned *l, uint32_t flow, uint64_t age_ms, uint64_t now_us);
// host:port as the registrar sees us, empty where that is what we sent. True when it is another than before.
bool learned_received(struct learned *l, struct str hostport);

#endif
