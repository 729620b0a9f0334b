// Where a SIP URI leads to (RFC 3263): numbers, ports, NAPTR, SRV with weights, A and AAAA, the hosts file.
// Keeps answers for their TTL, asks again for what is in use, says when an answer has changed, and holds
// targets that failed aside for a time. DNS itself is sofia's sresolv. Everything on the thread of its loop.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_RESOLVE_H
#define ROLLCALL_REGISTRANT_RESOLVE_RESOLVE_H

#include "common/base/error.h"
#include "services/registrant/transport/address.h"

struct event_base;
struct resolver;

// What a next hop asks for.
struct resolve_query {
    struct str host;                       // name or number, IPv6 without brackets
    uint16_t port;                         // 0: none given
    enum registration_transport transport; // wanted
    bool transport_given;                  // by the URI's own parameter: NAPTR is not asked (RFC 3263 4.1)
    bool sips;                             // TLS targets only
    struct str registrar;                  // what `changed` names it by: the pacer's key
    uint64_t affinity; // of the registration: the same gets the same order while DNS says the same
};

struct resolve_target {
    enum registration_transport transport; // UDP, TCP or TLS
    struct address address;
};

// In the order in which they are to be tried: by priority, by weight within (drawn by affinity, so that
// weights hold over many registrations and a changed answer moves few); those set aside last.
struct resolve_answer {
    const struct resolve_target *targets; // borrowed during the call
    size_t count;
    size_t usable; // how many of them, from the first, are not set aside
    // count 0: "no address for example.com", "the DNS servers do not answer for …". Else NULL, or that DNS
    // fails and what it said last is used on.
    const char *cause;
};
typedef void resolve_fn(void *arg, const struct resolve_answer *answer);

struct resolver_params {
    struct event_base *base;
    const char *resolv_conf; // NULL: the system's
    const char *hosts_file;  // NULL: /etc/hosts
    bool ipv4, ipv6; // families that can be sent from; both: IPv6 and IPv4 as DNS orders them, IPv4 first
    bool tls;        // TLS can be spoken: NAPTR's SIPS+D2T is taken also where the URI is no sips
    // The addresses behind a name that is in use are others than before (the same set in another order is no
    // change). Borrowed. Called from the loop, never from inside a function of this header.
    void (*changed)(void *arg, struct str registrar, const struct resolve_target *targets, size_t count);
    void *arg;
    uint64_t seed;            // of the affinity's hash: with the same all choose alike, also after a restart
    uint64_t (*now_us)(void); // NULL: clock_monotonic_us; a test brings its own
};
must_use int resolver_new(const struct resolver_params *p, struct resolver **ret, struct error *err);
void resolver_free(struct resolver *r);   // what is asked is never answered; NULL is allowed
void resolver_reload(struct resolver *r); // resolv.conf and hosts are read again, answers are kept

// Calls fn exactly once: before it returns where the answer is known (then the result is NULL), else later.
struct resolve_request *resolver_find(struct resolver *r, const struct resolve_query *q, resolve_fn *fn,
                                      void *arg);
void resolve_cancel(struct resolve_request *request); // fn is not called; NULL is allowed

// What its timer does once a second: TTLs that have ended, what nobody uses, the hosts file.
void resolver_tick(struct resolver *r);

// A target failed (no answer, transport error, 503; RFC 3263 4.3): it comes last for so long.
void resolver_set_aside(struct resolver *r, const struct resolve_target *t, uint32_t for_s);
// It answered: no longer.
void resolver_take_back(struct resolver *r, const struct resolve_target *t);

struct resolver_stats {
    uint64_t names;     // next hops that are kept current
    uint64_t stale;     // of these: served by an answer that has run out, because DNS fails
    uint64_t questions; // asked of DNS, ever
    uint64_t failures;  // of these: could not be answered
    uint64_t changes;   // sets of addresses that became others, ever
};
struct resolver_stats resolver_stats(const struct resolver *r);

#endif
