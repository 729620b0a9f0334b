// Who asked of late, over all loops of a process: whether an account is alone says how much of it may be
// under way, and the loop that serves another account is often not the one that a flood is at. Any thread.
#ifndef ROLLCALL_GATEWAY_FAIR_COMPANY_H
#define ROLLCALL_GATEWAY_FAIR_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

struct company;

struct company *company_new(void);
void company_free(struct company *c); // NULL is allowed
// `who`: a hash of the name; two that collide are one here. Times are monotonic.
void company_note(struct company *c, uint32_t who, uint64_t now_us);
bool company_is_alone(struct company *c, uint32_t who, uint64_t now_us); // no other asked within a second

#endif
