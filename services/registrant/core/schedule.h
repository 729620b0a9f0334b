// When to act next: refresh, back-off, Retry-After. Pure arithmetic; what a registrar sent is clamped here.
#ifndef ROLLCALL_REGISTRANT_CORE_SCHEDULE_H
#define ROLLCALL_REGISTRANT_CORE_SCHEDULE_H

#include "common/base/rng.h"
#include "common/registration/registration.h"

// Time from the first sending of the answered request to the refresh: lifetime less a margin of 15 %, at
// least 60 s, at most half; jitter takes off up to 10 % more, but never below half (RFC 3261 10.2.4: before
// expiry).
uint64_t schedule_refresh_ms(uint64_t lifetime_s, struct rng *rng);

// The latest that the above gives.
uint64_t schedule_latest_ms(uint64_t lifetime_s);

// The mean of the above, for the rate that live refreshes need.
uint64_t schedule_mean_refresh_ms(uint64_t lifetime_s);

// Wait after a failure: the fixed delay, or uniform in 50–100 % of min(cap, base · 2^failures) (RFC
// 5626 4.5). failures: in a row, this one included.
uint64_t schedule_backoff_ms(enum registration_retry_shape shape, uint32_t base_s, uint32_t failures,
                             uint32_t cap_s, struct rng *rng);

// Uniform in 50–150 % of retry_s.
uint64_t schedule_slow_ms(uint32_t retry_s, struct rng *rng);

// Retry-After only lengthens, and never beyond the cap (RFC 3261 20.33). retry_after_s: or -1.
uint64_t schedule_lengthen_ms(uint64_t wait_ms, int64_t retry_after_s, uint32_t cap_s);

#endif
