// Rate limits: so many requests a second of a principal, so many failed logins a minute of a name and of an
// address. One object for the process, shared by its loops; a deployment of N gateways allows N times as
// much. Bounded memory: what is idle longest makes room.
#ifndef ROLLCALL_GATEWAY_AUTH_THROTTLE_H
#define ROLLCALL_GATEWAY_AUTH_THROTTLE_H

#include "common/base/str.h"

#include <stdint.h>

struct throttle;

struct throttle_params {
    uint32_t requests_per_s; // of one principal; 0: no limit. A burst of two seconds' worth is let through.
    uint32_t failed_logins_per_min; // of one name, and of one address; 0: no limit
};
struct throttle *throttle_new(const struct throttle_params *p);
void throttle_free(struct throttle *t); // NULL is allowed

struct throttle_answer {
    bool passes;
    uint32_t wait_ms;   // where it does not: when to come again
    uint32_t remaining; // of the present burst; UINT32_MAX: no limit
};
// Takes `cost` requests from who's bucket ("account/username"). Any thread.
struct throttle_answer throttle_request(struct throttle *t, struct str who, uint32_t cost, uint64_t now_us);

// Asked before a password is checked; a check that failed is told by throttle_login_failed. An empty name or
// address is not counted. Any thread.
struct throttle_answer throttle_login(struct throttle *t, struct str name, struct str address,
                                      uint64_t now_us);
// What an address is counted as: itself, of IPv6 the network of 64 bits that one host has to itself. Borrows
// from either.
struct str throttle_address(struct str address, unsigned char scratch[16]);
void throttle_login_failed(struct throttle *t, struct str name, struct str address, uint64_t now_us);

#endif
