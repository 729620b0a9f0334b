// One next hop with what RFC 3263 makes of it: the walk from its name by NAPTR and SRV to addresses, its
// result for as long as it holds, and those who wait for it. Private to this folder.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_ROUTE_H
#define ROLLCALL_REGISTRANT_RESOLVE_ROUTE_H

#include "common/base/keyed_table.h"
#include "services/registrant/resolve/aside.h"
#include "services/registrant/resolve/hosts.h"
#include "services/registrant/resolve/order.h"
#include "services/registrant/resolve/question.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SECOND_US UINT64_C(1000000)
#define ROUTE_IN_USE_US                                                                                      \
    (7200 * SECOND_US) // after its last use it is kept current for so long, then forgotten
#define ROUTE_STALE_US    (3600 * SECOND_US) // so long after its end an answer serves while DNS fails
#define ROUTE_PATIENCE_US (2 * SECOND_US)    // then such an answer is given without waiting for DNS
#define ROUTE_RETRY_US    (10 * SECOND_US)   // while it serves, DNS is asked so often
#define ROUTE_REFRESH_US  (2 * SECOND_US)    // unasked-for it is not asked more often
#define ROUTE_SLOTS       4096u              // of a second each, of the wheel
#define ROUTE_MAX         131072u            // more are forgotten within a second

struct resolve_request {
    TAILQ_ENTRY(resolve_request) link;
    struct route *route;
    uint64_t round; // of the route's walks: who asks while others are answered waits for the next
    uint64_t affinity;
    resolve_fn *fn;
    void *arg;
};

struct route {
    UT_hash_handle hh;
    LIST_ENTRY(route) slot;         // of the wheel
    TAILQ_ENTRY(route) walk_link;   // while a walk waits
    TAILQ_ENTRY(route) change_link; // while a change is to be told
    struct resolver *resolver;

    struct candidate *list;
    size_t count;
    char *cause;            // count 0
    uint64_t expires_us;    // 0: nothing is known yet
    uint64_t good_until_us; // by its TTLs
    uint64_t told_set;      // hash of the set of targets that was told last; 0: none
    bool stale;             // DNS fails: the list is what it said last
    bool by_naptr;          // the list came by NAPTR
    bool told;              // it is among the changes

    TAILQ_HEAD(, resolve_request) requests;
    LIST_HEAD(, question_wait) waits;
    size_t wait_count;
    bool walking;
    bool impatient; // the walk takes long: the old list serves meanwhile
    uint64_t round, began_us, generation;

    bool transient; // one too many: is forgotten at once
    uint64_t used_us, due_us;
    uint16_t port;
    enum registration_transport transport;
    bool transport_given, sips;
    size_t key_bytes, host_bytes;
    char key[]; // five bytes of parameters, host, NUL, registrar
};
#define ROUTE_KEY_HEAD 5u

LIST_HEAD(route_slot, route);

struct resolver {
    struct event_base *base;
    struct dns *dns;
    struct questions *questions;
    struct hosts *hosts;
    struct aside *aside;
    bool ipv4, ipv6, tls;
    void (*changed)(void *arg, struct str registrar, const struct resolve_target *targets, size_t count);
    void *arg;
    uint64_t seed;
    uint64_t (*now_us)(void);
    struct event *tick, *tell;
    struct route *routes;
    TAILQ_HEAD(, route) walking, changes;
    struct route_slot slots[ROUTE_SLOTS];
    uint64_t ticked_s;
    uint64_t generation;          // of the hosts file
    uint64_t stale, changed_sets; // counted
};

static inline struct str route_host(const struct route *route)
{
    return (struct str){route->key + ROUTE_KEY_HEAD, route->host_bytes};
}

static inline struct str route_registrar(const struct route *route)
{
    size_t before = ROUTE_KEY_HEAD + route->host_bytes + 1;
    return (struct str){route->key + before, route->key_bytes - before};
}

// Begins a walk, or does nothing while one is under way; it may end at once. Those who wait are answered, and
// the wheel is set, whenever it ends.
void route_walk(struct route *route, uint64_t now_us);
void route_answered(struct question_wait *w); // for questions_new
// A walk takes longer than anybody should wait who could have the old answer.
void route_lose_patience(struct route *route, uint64_t now_us);
void route_unlink(struct route *route); // leaves its walk; before it is freed

// Answers one, with what is known now.
void route_give(const struct route *route, uint64_t affinity, uint64_t now_us, resolve_fn *fn, void *arg);

// ---- of resolve.c
void resolver_schedule(struct route *route, uint64_t due_us);
void resolver_tell(struct route *route); // `changed`, soon

#endif
