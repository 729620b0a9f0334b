// One event loop of the gateway: a thread with its own HTTP servers on the shared ports, Redis connection and
// dialects.
#ifndef ROLLCALL_GATEWAY_LOOP_H
#define ROLLCALL_GATEWAY_LOOP_H

#include "common/http/http.h"
#include "common/metrics/metrics.h"
#include "services/gateway/auth/password_worker.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/auth/throttle.h"
#include "services/gateway/fair/company.h"
#include "services/gateway/publish/bus.h"
#include "services/gateway/settings.h"

struct loop;

// What all loops share; outlives them.
struct loop_shared {
    const struct gateway_settings *settings;
    struct key_ring_box *keys;
    struct principals_box *principals;
    struct password_worker *passwords;
    struct metrics *metrics;
    struct bus *bus;
    struct store_gate *gate;
    struct throttle *throttle;
    struct company *accounts, *addresses; // who asked of late: fair turns
    struct http_tls *tls;                 // NULL: no listener with TLS
    atomic_size_t *http_buffered;         // bytes of request bodies that all loops hold
    atomic_size_t *http_unsent;           // bytes of answers that clients have not taken
    size_t http_connections;              // of one loop at one listener
};

// A loop's own sockets of the ports that all loops serve; -1: not that one.
struct loop_sockets {
    int http_fd, https_fd;
    bool leads; // this one does what a gateway does once
};

// The sockets are taken. The thread runs when this returns 0.
must_use int loop_start(const struct loop_shared *shared, const struct loop_sockets *take_sockets,
                        struct loop **ret, struct error *err);
void loop_drain(
    struct loop *l); // any thread: accept no more, finish what is in flight, at most ROLLCALL_DRAIN, then end
void loop_join(struct loop *l); // frees

#endif
