// The two clocks. Nothing pure may include this: there, `now` is an argument.
#ifndef ROLLCALL_BASE_CLOCK_H
#define ROLLCALL_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_us(void); // CLOCK_MONOTONIC
uint64_t clock_wall_ms(void);      // CLOCK_REALTIME, since 1970

#endif
