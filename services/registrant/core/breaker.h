// The circuit breaker of one registrar: opens after 5 silences in a row, 503 to half of
// the last 20 answers of at least 3 registrations, or a 503 with Retry-After; then one registration probes,
// and an answer ramps the flights up, doubling, until the usual cap is reached.
#ifndef ROLLCALL_REGISTRANT_CORE_BREAKER_H
#define ROLLCALL_REGISTRANT_CORE_BREAKER_H

#include "common/base/base.h"

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_WINDOW 20

struct breaker {
    uint64_t open_until_us; // 0: not open
    uint32_t flights;       // allowed now; 0: no limit of the breaker's
    uint32_t silences;      // in a row
    uint32_t seen;          // answers in the window
    uint32_t at;
    uint64_t ids[BREAKER_WINDOW]; // registration, with the top bit for 503
};

enum breaker_event { BREAKER_ANSWER, BREAKER_UNAVAILABLE, BREAKER_SILENCE };

// An attempt of registration id ended so. retry_after_us: 0 none. cap: the usual limit of flights.
void breaker_event(struct breaker *b, enum breaker_event event, uint64_t id, uint64_t retry_after_us,
                   uint32_t cap, uint64_t now_us);

// Flights that it allows now (UINT32_MAX: no limit); 0 while open: ask again at open_until_us.
uint32_t breaker_allows(struct breaker *b, uint64_t now_us);

#endif
