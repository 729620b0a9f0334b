// How fast each registrar may be asked: a token bucket, a cap on what is in flight, a rate for each address
// of record, classes of waiting work, suspicion after a silence and a circuit breaker.
// Knows nothing of SIP: it orders waiting items and says which may go now. Pure; the wheel gives it its
// wake-ups.
#ifndef ROLLCALL_REGISTRANT_CORE_PACER_H
#define ROLLCALL_REGISTRANT_CORE_PACER_H

#include "common/base/str.h"
#include "services/registrant/core/learned.h"
#include "services/registrant/core/observe.h"
#include "services/registrant/core/wheel.h"

struct pacer;
struct aor;
struct pacer_target; // one registrar: where to send, and by which transport

enum pacer_class {
    PACE_LIVE,   // a binding that lives: the one that ends first goes first
    PACE_LAPSED, // was bound: in order of asking
    PACE_NEW,    // everything else: in order of asking
    // Like PACE_NEW, but one at a time with a pause after each (struct quirks): a second where one thread
    // owns all partitions, a second divided by its share else. So to one registrar there is at most one a
    // second from all threads together on the average, and from one thread never two within a second; two
    // threads do not know of each other's turns. Nothing of another class waits for the pause.
    PACE_STAGGERED,
};

enum pacer_result {
    PACER_ANSWERED,    // something was received
    PACER_UNAVAILABLE, // 503 was received
    PACER_SILENT,      // nothing was received
    PACER_DROPPED,     // nobody waits for it any more
};

// What one target takes.
struct pacer_limits {
    double rate;            // a second, before the share; 0: no limit
    uint32_t in_flight;     // at least 1
    uint32_t aor_rate;      // a second for one address of record, in this thread; 0: no limit
    uint32_t expires_min_s; // least expiry to ask for; 0: any
    bool hard;              // the rate is never raised for live refreshes
};

struct pacer_params {
    struct wheel *wheel;        // outlives the pacer
    uint8_t wheel_kind;         // of the timers that pacer_wake takes
    uint32_t max_in_flight;     // all targets together
    struct pacer_limits limits; // of a target of which limits_of says nothing else
    void *arg;
    void (*limits_of)(void *arg, struct str key, struct pacer_limits *limits); // or NULL
    uint32_t retry_after_cap_s;
};

// In what waits; all zero is "not waiting".
struct pacer_item {
    uint32_t heap_at; // 1 + index
    uint32_t aor;     // the caller's, set while it does not wait: hash of its address of record; 0: no limit
};

// In what is in flight.
struct pacer_ticket {
    struct pacer_target *target;
    uint64_t id;     // registration, for the breaker's "of at least three registrations"
    struct aor *aor; // aor_rate.c; NULL: no limit
    bool probe;      // sent while the target was suspect
    bool reserves;   // a place of its address, for the answer to a challenge
};

struct pacer *pacer_new(const struct pacer_params *p);
void pacer_free(struct pacer *p); // all targets must have been given back

// owned / all partitions of the place, divided by the SIP threads: 0 … 1. Divides rates and staggered turns.
void pacer_set_share(struct pacer *p, double share);

struct pacer_target *pacer_target_get(struct pacer *p, struct str key);        // a reference for the caller
struct pacer_target *pacer_target_find(const struct pacer *p, struct str key); // or NULL; no reference
struct str pacer_target_key(const struct pacer_target *t);                     // as long as the target
struct pacer_target *pacer_target_ref(struct pacer_target *t);
void pacer_target_put(struct pacer *p, struct pacer_target **t);
// Walks all targets that are there from begin to end, while others come and go; one walk at a time. NULL:
// that was all, and the next call begins anew.
struct pacer_target *pacer_walk(struct pacer *p);
bool pacer_walk_begins(const struct pacer *p); // is the next call the first of a walk?
// limits_of says other things than before.
void pacer_limits_changed(struct pacer *p);

// What live refreshes at this target need: each adds its mean interval and takes the same away later.
void pacer_need_add(struct pacer_target *t, uint64_t interval_ms);
void pacer_need_remove(struct pacer_target *t, uint64_t interval_ms);
// A live refresh is over and took so many requests: each of those to come needs as many.
void pacer_refresh_took(struct pacer_target *t, uint32_t requests);

// Waits, or waits anew with another class. order: for PACE_LIVE the end of the binding; others are in order
// of asking.
void pacer_wait(struct pacer *p, struct pacer_target *t, struct pacer_item *item, enum pacer_class class,
                uint64_t order, uint64_t now_us);
// Harmless when it waits elsewhere or nowhere.
void pacer_cancel(struct pacer *p, struct pacer_target *t, struct pacer_item *item);
bool pacer_waits(const struct pacer_item *item);
// Does it wait at that target, as that class?
bool pacer_waits_as(struct pacer_target *t, const struct pacer_item *item, enum pacer_class class);

// The next item that may go now, no longer waiting; or NULL. The caller sends it (pacer_sent) or not.
struct pacer_item *pacer_next(struct pacer *p, uint64_t now_us);

void pacer_sent(struct pacer *p, struct pacer_target *t, const struct pacer_item *item, uint64_t id,
                struct pacer_ticket *ret_ticket, uint64_t now_us);
// The same work sends again (a challenge was answered): takes from the bucket, never waits.
void pacer_sent_again(struct pacer *p, struct pacer_ticket *ticket, uint64_t now_us);
// What was sent had its turn as one of PACE_STAGGERED: the pause begins.
void pacer_stagger(struct pacer *p, struct pacer_target *t, uint64_t now_us);
// Nothing came for 4 s: the target is suspect until it answers.
void pacer_unanswered(struct pacer *p, struct pacer_ticket *ticket);
// Something was received, though the work goes on (a challenge).
void pacer_heard(struct pacer *p, struct pacer_ticket *ticket, uint64_t now_us);
// The work is over. retry_after_s: of a 503, or -1.
void pacer_done(struct pacer *p, struct pacer_ticket *ticket, enum pacer_result result, int64_t retry_after_s,
                uint64_t now_us);

// A timer of kind wheel_kind expired.
void pacer_wake(struct pacer *p, struct wheel_node *node, uint64_t now_us);

// ---- what is known of a target

struct learned *pacer_learned(struct pacer_target *t);
// The least expiry to ask for: by its limits or as learned; 0: any.
uint32_t pacer_least_expires_s(const struct pacer_target *t, uint64_t now_us);
// Registrations in a state (enum status_state) that are wanted there.
void pacer_count_state(struct pacer_target *t, unsigned state, int change);
void pacer_count_answer(struct pacer_target *t, int status, bool local);
void pacer_count_lapsed(struct pacer_target *t);
void pacer_target_view(const struct pacer_target *t, uint64_t now_us, struct registrar_view *ret);
// The owner's mark; NULL at first.
void pacer_target_set_mark(struct pacer_target *t, void *mark);
void *pacer_target_mark(const struct pacer_target *t);

uint64_t pacer_waiting(const struct pacer *p);
uint64_t pacer_raised(const struct pacer *p);        // targets whose rate was raised for their live refreshes
uint64_t pacer_overcommitted(const struct pacer *p); // these, and those that are hard and would need it
size_t pacer_bytes(const struct pacer *p);

#endif
