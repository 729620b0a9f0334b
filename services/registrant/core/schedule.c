// See schedule.h.
#include "services/registrant/core/schedule.h"

#define MIN_MARGIN_MS  60000u
#define MARGIN_PERCENT 15u
#define JITTER_PERCENT 10u

static uint64_t latest_refresh_ms(uint64_t lifetime_ms)
{
    uint64_t margin = lifetime_ms * MARGIN_PERCENT / 100;
    if (margin < MIN_MARGIN_MS)
        margin = MIN_MARGIN_MS;
    if (margin > lifetime_ms / 2)
        margin = lifetime_ms / 2;
    return lifetime_ms - margin;
}

static uint64_t not_before_half(uint64_t at_ms, uint64_t lifetime_ms)
{
    uint64_t half = (lifetime_ms + 1) / 2;
    return at_ms < half ? half : at_ms;
}

uint64_t schedule_refresh_ms(uint64_t lifetime_s, struct rng *rng)
{
    uint64_t lifetime = lifetime_s * 1000, at = latest_refresh_ms(lifetime);
    return not_before_half(at - rng_below(rng, at * JITTER_PERCENT / 100 + 1), lifetime);
}

uint64_t schedule_latest_ms(uint64_t lifetime_s)
{
    return latest_refresh_ms(lifetime_s * 1000);
}

uint64_t schedule_mean_refresh_ms(uint64_t lifetime_s)
{
    uint64_t lifetime = lifetime_s * 1000, at = latest_refresh_ms(lifetime);
    return not_before_half(at - at * JITTER_PERCENT / 200, lifetime);
}

uint64_t schedule_backoff_ms(enum registration_retry_shape shape, uint32_t base_s, uint32_t failures,
                             uint32_t cap_s, struct rng *rng)
{
    uint64_t base = base_s ? (uint64_t)base_s * 1000 : 1000;
    if (shape == RETRY_FIXED)
        return base;
    uint64_t cap = (uint64_t)cap_s * 1000;
    uint64_t most = failures < 32 ? base << failures : cap;
    if (most > cap)
        most = cap;
    return most / 2 + rng_below(rng, most / 2 + 1);
}

uint64_t schedule_slow_ms(uint32_t retry_s, struct rng *rng)
{
    uint64_t ms = (uint64_t)retry_s * 1000;
    return ms / 2 + rng_below(rng, ms + 1);
}

uint64_t schedule_lengthen_ms(uint64_t wait_ms, int64_t retry_after_s, uint32_t cap_s)
{
    if (retry_after_s <= 0)
        return wait_ms;
    uint64_t wanted = (uint64_t)(retry_after_s > (int64_t)cap_s ? (int64_t)cap_s : retry_after_s) * 1000;
    return wanted > wait_ms ? wanted : wait_ms;
}
