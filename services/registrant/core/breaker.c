// See breaker.h.
#include "services/registrant/core/breaker.h"

#define SILENCES_TO_OPEN   5
#define REGISTRATIONS      3
#define UNAVAILABLE        (UINT64_C(1) << 63)
#define SILENCE_PAUSE_US   4000000u  // a probe to a dead registrar each 4 s and its time-out
#define OVERLOAD_PAUSE_US  10000000u // to one that says 503
#define FLIGHTS_AFTER_OPEN 1

static void open_for(struct breaker *b, uint64_t pause_us, uint64_t now_us)
{
    uint64_t until = now_us + pause_us;
    if (until > b->open_until_us)
        b->open_until_us = until;
    b->flights = FLIGHTS_AFTER_OPEN;
    b->seen = 0;
    b->at = 0;
}

static bool is_overloaded(const struct breaker *b)
{
    uint32_t refused = 0, registrations = 0;
    for (uint32_t i = 0; i < b->seen; i++) {
        if (!(b->ids[i] & UNAVAILABLE))
            continue;
        refused++;
        bool first = true;
        for (uint32_t k = 0; k < i; k++)
            first = first && b->ids[k] != b->ids[i];
        registrations += first;
    }
    return refused * 2 >= BREAKER_WINDOW && registrations >= REGISTRATIONS;
}

static void remember(struct breaker *b, uint64_t id, bool unavailable)
{
    b->ids[b->at] = (id & ~UNAVAILABLE) | (unavailable ? UNAVAILABLE : 0);
    b->at = (b->at + 1) % BREAKER_WINDOW;
    if (b->seen < BREAKER_WINDOW)
        b->seen++;
}

void breaker_event(struct breaker *b, enum breaker_event event, uint64_t id, uint64_t retry_after_us,
                   uint32_t cap, uint64_t now_us)
{
    if (event == BREAKER_SILENCE) {
        if (b->silences < SILENCES_TO_OPEN)
            b->silences++;
        if (b->silences >= SILENCES_TO_OPEN || b->flights)
            open_for(b, SILENCE_PAUSE_US, now_us);
        return;
    }
    b->silences = 0;
    remember(b, id, event == BREAKER_UNAVAILABLE);
    if (event == BREAKER_ANSWER) {
        if (b->flights && now_us >= b->open_until_us)
            b->flights = b->flights >= cap ? 0 : b->flights + 1; // doubles each round trip
        return;
    }
    if (retry_after_us)
        open_for(b, retry_after_us, now_us);
    else if (is_overloaded(b) || b->flights)
        open_for(b, OVERLOAD_PAUSE_US, now_us);
}

uint32_t breaker_allows(struct breaker *b, uint64_t now_us)
{
    if (b->open_until_us && now_us < b->open_until_us)
        return 0;
    b->open_until_us = 0;
    return b->flights ? b->flights : UINT32_MAX;
}
