// What an engine counts for its operator: answers by code, how long answers and turns took, and what is known
// of each registrar. Numbers of fixed size only: what a peer sends never makes a new series. Names no metric;
// that is admin.c's.
#ifndef ROLLCALL_REGISTRANT_CORE_OBSERVE_H
#define ROLLCALL_REGISTRANT_CORE_OBSERVE_H

#include "common/base/str.h"

// Upper bounds in seconds of every histogram here, ended by 0.
#define OBSERVE_BOUNDS_S                                                                                     \
    {                                                                                                        \
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 32, 60, 300, 1800, 0         \
    }
#define OBSERVE_BUCKETS 17

struct histogram {
    uint64_t counts[OBSERVE_BUCKETS + 1]; // the last: above all bounds
    uint64_t sum_us;
};
void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *sum, const struct histogram *more);

// Answers by code: one place for each code that registrars are known to give, one for each other class, and
// the stack's own time-out and transport error apart from what was received.
#define OBSERVE_CODES 40
unsigned observe_code(int status, bool local);
const char *observe_code_name(unsigned code); // "200", "4xx", "local_408"; NULL: no such place

#define OBSERVE_STATES     9 // of enum status_state
#define REGISTRAR_MAX_NAME 128

// One registrar as one thread sees it, or several summed up (then nothing is learned).
struct registrar_view {
    char name[REGISTRAR_MAX_NAME]; // transport:host:port, the port 0 where none is given; cut where longer
    uint64_t registrars;           // how many are summed: 1
    uint64_t registrations, bound, waiting, in_flight;
    uint64_t requests; // REGISTERs, each challenge's answer included
    uint64_t lapsed;   // bindings that ran out while they waited for their turn
    uint64_t states[OBSERVE_STATES];
    uint64_t codes[OBSERVE_CODES];
    // How many of them: whose live refreshes need more than the rate allows; whose rate is kept all the same;
    // that have not answered for 4 s; whose breaker is open.
    uint64_t overcommitted, hard, suspect, open;
    uint64_t open_for_ms; // the longest
    double rate;          // REGISTERs a second that this thread may send now; 0: no limit
    double need;          // that live refreshes need
    // Learned; 0 or empty: not yet.
    uint32_t granted_s, granted_least_s; // most usual, least
    uint32_t min_expires_s;              // of a 423
    uint64_t nonce_age_s;                // at which it refuses nonces
    bool outbound;                       // keeps to RFC 5626
    char received[64];                   // host:port that it sees us at
};
// Adds what may be added; the name and what is learned stay those of `sum` where it has them.
void registrar_view_merge(struct registrar_view *sum, const struct registrar_view *more);

#endif
