// The parts of a pacer, shared by pacer.c, pacer_target.c and aor_rate.c and by nobody else.
#ifndef ROLLCALL_REGISTRANT_CORE_PACER_PARTS_H
#define ROLLCALL_REGISTRANT_CORE_PACER_PARTS_H

#include "common/base/keyed_table.h"
#include "services/registrant/core/breaker.h"
#include "services/registrant/core/heap.h"
#include "services/registrant/core/pacer.h"

#include <sys/queue.h>

struct aor; // aor_rate.c

struct pacer_target {
    UT_hash_handle hh;
    TAILQ_ENTRY(pacer_target) ring;
    TAILQ_ENTRY(pacer_target) blocked; // waits for room among the suspects
    struct wheel_node timer;
    struct breaker breaker;
    struct heap heap, staggered; // keys: class, then order
    struct aor *aors;            // addresses that something was sent for within a second
    uint32_t parked;             // items that wait for their address's rate
    uint64_t stagger_until_us;
    struct pacer_limits limits;
    uint64_t need;      // NEED_UNIT / interval_ms, summed
    double per_refresh; // requests that a refresh takes on the average: each may be challenged
    double tokens;
    uint64_t tokens_at_us;
    uint32_t refs, in_flight, probes;
    bool suspect, in_ring, is_blocked, overcommitted, raised;
    bool dozes; // its timer is set for the staggered alone
    struct learned learned;
    void *mark; // the owner's
    uint32_t bound, requests, lapsed;
    uint32_t states[OBSERVE_STATES];
    uint32_t codes[OBSERVE_CODES];
    struct pacer *home;
    size_t key_bytes;
    char key[];
};

struct aor_send {
    struct aor *aor;
    uint64_t at_us;
};

struct pacer {
    struct pacer_params params;
    struct pacer_target *targets;
    struct pacer_target *walk; // the next of pacer_walk
    bool walks;
    TAILQ_HEAD(, pacer_target) ring;
    TAILQ_HEAD(, pacer_target) blocked;
    double share;
    uint64_t order, waiting;
    uint32_t in_flight, suspect_in_flight;
    int64_t raised, overcommitted;
    struct { // sends of the last second, oldest first: a ring
        struct aor_send *items;
        size_t head, count, size;
        struct wheel_node timer;
    } sends;
    size_t bytes;
};

// Its work may go on: back into the ring, unless it sleeps.
void target_enter_ring(struct pacer_target *t);
void target_leave_ring(struct pacer_target *t);
void target_leave_blocked(struct pacer_target *t);
bool target_sleeps(const struct pacer_target *t); // has to wait for its timer, whatever comes
// Puts an item into the heap that its key names, without counting it as one more that waits.
void target_add(struct pacer_target *t, uint64_t key, struct pacer_item *item);
double target_rate(const struct pacer_target *t); // a second, of this thread; 0: no limit

#endif
