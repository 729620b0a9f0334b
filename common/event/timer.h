// Timers of libevent in the units that are counted in here. One with EV_PERSIST comes again after as long.
#ifndef ROLLCALL_EVENT_TIMER_H
#define ROLLCALL_EVENT_TIMER_H

#include <event2/event.h>
#include <stdint.h>

static inline void timer_in_us(struct event *timer, uint64_t us)
{
    const struct timeval wait = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    (void)event_add(timer, &wait);
}

static inline void timer_in_ms(struct event *timer, uint64_t ms)
{
    timer_in_us(timer, ms * 1000);
}

// 0, or how long it is until then.
static inline void timer_at_us(struct event *timer, uint64_t due_us, uint64_t now_us)
{
    timer_in_us(timer, due_us > now_us ? due_us - now_us : 0);
}

#endif
