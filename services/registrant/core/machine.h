// What a registration should do next: level-triggered, from what is wanted against what is bound, whatever
// events led there. Pure: reads an entry, changes nothing. The answers' side is outcome.h.
#ifndef ROLLCALL_REGISTRANT_CORE_MACHINE_H
#define ROLLCALL_REGISTRANT_CORE_MACHINE_H

#include "services/registrant/core/entry.h"

enum plan_kind {
    PLAN_NOTHING, // in flight, silent or done: an event brings it back
    PLAN_BIND,    // REGISTER what is wanted
    PLAN_REFRESH, // REGISTER what is bound, as it is
    PLAN_UNBIND,  // REGISTER with expires=0 what is bound
    PLAN_CLEAR,   // REGISTER with expires=0 what is wanted, before it is bound
    PLAN_LEAVE,   // REGISTER with expires=0 what was left behind under another address of record
    PLAN_FETCH,   // REGISTER without a Contact: an audit
    PLAN_HOLD,    // there is work that may not be done now: without a lease, or in a parked partition
    PLAN_GONE,    // what was to be removed is proved gone
};

struct plan {
    enum plan_kind kind;
    int64_t at_ms; // of what sends
    enum pacer_class class;
    enum status_proof proof; // of GONE
};

// May anything be sent, or only what keeps a binding alive?
enum permission { PERMIT_ALL, PERMIT_REFRESH, PERMIT_NOTHING };

bool plan_sends(const struct plan *plan);

struct plan machine_plan(const struct entry *r, enum permission permission, int64_t now_ms);
enum status_state machine_state(const struct entry *r, int64_t now_ms);

bool machine_is_live(const struct entry *r, int64_t now_ms); // a granted binding that has not run out
// When what may be bound has lapsed by itself, if nothing more is sent.
int64_t machine_lapse_ms(const struct entry *r);

#endif
