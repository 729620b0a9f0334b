// All registrations of one SIP thread and what is to be done with them when. Pure: no clock, no socket, no
// log; the caller passes the time in and carries out what `engine_ops` asks for. The SIP thread drives it in
// production, the scenario runner in simulated time. One thread.
#ifndef ROLLCALL_REGISTRANT_CORE_ENGINE_H
#define ROLLCALL_REGISTRANT_CORE_ENGINE_H

#include "common/registration/seal.h"
#include "common/registration/status.h"
#include "services/registrant/core/observe.h"

struct engine;
struct rules;

// Both clocks at one instant; never one without the other, because reports speak in wall time and timers do
// not.
struct moment {
    uint64_t us;      // monotonic
    uint64_t wall_ms; // since 1970
};

// ---- what goes out

// One REGISTER, in parts; everything borrowed during the call. sip/request.c puts it into text.
struct sip_request {
    struct str request_uri, to, from; // from: with its tag
    struct str call_id;
    uint32_t cseq;
    const struct str *contacts; // whole header values, parameters included; {local} is replaced
    size_t contact_count;       // 0: asks only what is bound (RFC 3261 10.2.3)
    uint32_t expires;           // Expires header; not sent where there is no Contact
    const struct str *routes;
    size_t route_count;
    struct str next_hop; // SIP URI to send to: registrar, else first loose route, else the Request-URI
    enum registration_transport transport;
    struct str interface;             // empty: automatic
    const struct str *authorizations; // whole header lines without their end: "Authorization: Digest …"
    size_t authorization_count;
    struct str supported; // option tags of Supported: "path", "path, outbound, gruu"
    struct str require;   // of Require and Proxy-Require: "gin"; empty: none
    struct str registrar; // the pacer's key of it, by which engine_targets_changed names it
    uint64_t affinity;    // the same for all requests of a registration: DNS targets are drawn by it
};

// ---- what comes back, also made locally for time-outs (408) and transport errors (503)

// A report keeps STATUS_MAX_LIST of them, but ours may stand behind as many of others.
#define ANSWER_MAX_CONTACTS 128
struct sip_answer_contact {
    struct str text; // the header value as received
    int64_t expires; // its parameter, or -1
};

struct sip_answer {
    int status;
    struct str reason;
    bool local;          // made by the stack, nothing was received: reason says in words what was wrong
    bool another_target; // there is one more target of the next hop that is not set aside (RFC 3263 4.3)
    struct str warning;
    int64_t retry_after_s, min_expires_s, expires_s; // or -1
    struct sip_answer_contact contacts[ANSWER_MAX_CONTACTS];
    size_t contact_count;
    struct str challenges[16]; // header values: "Digest realm=…"
    bool challenge_is_proxy[16];
    size_t challenge_count;
    struct str nextnonce, proxy_nextnonce; // Authentication-Info and Proxy-Authentication-Info, unquoted
    struct str service_routes[STATUS_MAX_LIST], paths[STATUS_MAX_LIST], associated[STATUS_MAX_LIST];
    size_t service_route_count, path_count, associated_count;
    struct str target, local_address; // "udp:192.0.2.1:5060"; empty when unknown
    struct str received; // "203.0.113.7:40000": what the registrar saw of us, where that is another address
    struct str unsupported; // of a 420
    bool outbound;          // Require: outbound in a 2xx: the registrar keeps to RFC 5626
    uint32_t flow_timer_s;  // Flow-Timer; 0: none
    uint32_t flow;          // the connection, or kept-alive UDP flow, that it came by; 0: none
};

struct engine_ops {
    // Sends; the answer comes by engine_answer(token), never from inside this call. Negative: it could not be
    // sent at all.
    int (*send)(void *arg, const struct sip_request *request, uint64_t token);
    // A settled change to report; borrowed. shard: what the partition was opened with.
    void (*report)(void *arg, uint32_t shard, const struct status *status);
    // A closing partition is drained: nothing in flight, everything reported, its registrations forgotten.
    void (*closed)(void *arg, uint32_t shard);
    // host:port that {local} stands for, given transport and interface; empty when there is none such.
    // host: of the next hop, or our own that the last request left from; a number has the address of its own
    // family.
    struct str (*local_hostport)(void *arg, enum registration_transport transport, struct str interface,
                                 struct str host);
    // The registrar supports RFC 5626 on the flow of this answer: it is to be kept alive at that pace (0: the
    // default). Returns the flow's number: of a UDP flow it is known only now.
    uint32_t (*keep_alive)(void *arg, uint64_t token, uint32_t flow_timer_s);
    // What was sent with that token is another's concern now: it is not repeated, and no answer waited for.
    void (*forget)(void *arg, uint64_t token);
};

// ---- policy: numbers that settings may change; defaults by engine_policy_default

struct engine_policy {
    uint32_t rejected_retry_s;    // 3600, ± half
    uint32_t backoff_cap_s;       // 1800 (RFC 5626 4.5)
    uint32_t min_expires_cap_s;   // 86 400: a 423 above it is not followed
    uint32_t granted_cap_s;       // 604 800
    uint32_t retry_after_cap_s;   // 86 400
    uint32_t max_in_flight;       // 1 000 in the thread
    uint32_t registrar_rate;      // REGISTERs a second to one registrar, all shares together; 0: no limit
    uint32_t registrar_in_flight; // 200
    bool registrar_hard;          // the rate is never raised for live refreshes
    uint32_t aor_rate;            // 5: REGISTERs a second for one address of record; 0: no limit
    const struct rules *rules;    // rules.h: of registrars by pattern; NULL: none. engine_rules replaces them
    bool nat_contact;             // {local} in a Contact is the address that the registrar sees us at
    uint32_t move_over_s;         // 300: registrations whose target left DNS, or whose flow broke, at most
    uint32_t max_redirects;       // 5
    uint32_t transaction_timeout_s; // 32
    uint32_t close_wait_s;          // 5: for what is in flight when a partition is closed
    const char *node;               // name in reports; must outlive the engine
    const char *user_agent;
};
struct engine_policy engine_policy_default(void);

struct engine_params {
    const struct engine_ops *ops;
    void *ops_arg;
    struct engine_policy policy;
    const struct key_ring *ring;
    uint64_t seed; // of its generator
};
struct engine *engine_new(const struct engine_params *p, struct moment now);
void engine_free(struct engine *e);

// ---- partitions. A shard is the caller's number for one (place, partition).

// Registrations of a shard are held but not acted on until it is open.
void engine_shard_load(struct engine *e, uint32_t shard, const char *place);
// epoch: reports carry it. share: this partition's part of its place, 1 / partitions (divided by the SIP
// threads where there are several); the engine adds its partitions up, for pacing.
void engine_shard_open(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now);
// Revoked by a working group: finish what is in flight, report, forget, then ops->closed. Never unregisters.
void engine_shard_close(struct engine *e, uint32_t shard, struct moment now);
// Lost: go on refreshing what is bound; do nothing else and report nothing.
void engine_shard_park(struct engine *e, uint32_t shard, struct moment now);
// Assigned to us again: continue from memory; reports what it touched meanwhile. New epoch.
void engine_shard_unpark(struct engine *e, uint32_t shard, uint64_t epoch, double share, struct moment now);
// Parked and given to another: report what it touched, forget, then ops->closed.
void engine_shard_drop(struct engine *e, uint32_t shard, struct moment now);

// ---- desired state, from a snapshot line or a change record. Ignored when its revision is not above the one
// held; the same revision reports again.

enum desired_op { DESIRED_KEEP, DESIRED_REMOVE, DESIRED_MOVED, DESIRED_BURIED };
struct desired {
    enum desired_op op;
    const struct registration *reg; // KEEP and REMOVE; id and revision are set for every op
    uint64_t id, revision;
    const struct status
        *last;     // what the store last heard, or NULL. BURIED: what was reported of a buried id: remove it
    bool twin;     // REMOVE: a twin holds the binding: do not send if nothing was sent for the removal yet
    bool snapshot; // part of taking the shard over: `last` is ours to continue from
    // KEEP and REMOVE: older than the snapshot. Whatever that does not hold was proved to be removed, or sent
    // from another place, since: it is not begun again.
    bool replayed;
    // KEEP and REMOVE: `last` is not the last report, but that of a former owner who could not be heard until
    // now: what it has bound and is not wanted is to be removed. Also where the revision is the one held.
    bool stray;
};
void engine_desired(struct engine *e, uint32_t shard, const struct desired *d, struct moment now);

// ---- lease

enum engine_lease {
    LEASE_FRESH,   // anything may be sent
    LEASE_EXPIRED, // only refreshes of what is bound
    LEASE_STALLED, // the loop stood still: nothing at all
};
void engine_lease(struct engine *e, enum engine_lease lease, struct moment now);

// ---- reports flow by credits, so that a slow bus never grows a queue: the newest of each registration is a
// mark on it.

void engine_credit(struct engine *e, uint32_t more,
                   struct moment now); // that many more reports may be given out
void engine_report_failed(struct engine *e, uint64_t id, struct moment now); // mark it again

// ---- time and answers

void engine_answer(struct engine *e, uint64_t token, const struct sip_answer *a, struct moment now);
// Does what is due. To be called after any other call too: what they set may be due sooner. Returns the
// monotonic time at which it wants to be called again (UINT64_MAX: nothing
// waits).
uint64_t engine_tick(struct engine *e, struct moment now);

// A connection, or a UDP flow that is kept alive, is gone: what was bound over it is sent again, live ones by
// time left, at its registrar's rate, spread over at most move_over_s (RFC 5626 4.5 for those of outbound).
void engine_flow_lost(struct engine *e, uint32_t flow, struct moment now);
// DNS gives other addresses for this registrar than before (texts as in sip_answer.target): registrations
// bound at one that is no longer among them are refreshed earlier, spread over move_over_s.
void engine_targets_changed(struct engine *e, struct str registrar, const struct str *targets, size_t count,
                            struct moment now);
// Other rules for registrars; the caller keeps them until the next call.
void engine_rules(struct engine *e, const struct rules *rules, struct moment now);

// Another key ring; the caller keeps it until the next call. What failed for want of a key is tried again.
void engine_keys(struct engine *e, const struct key_ring *ring, struct moment now);

// Hand-over before a graceful stop: like closing every shard.
void engine_stop(struct engine *e, struct moment now);

struct engine_stats {
    uint64_t registrations, bound, in_flight, waiting; // gauges
    // Registrars whose live refreshes need more than their rate allows; of these, whose rate was raised.
    uint64_t overcommitted, rates_raised; // gauges
    uint64_t lapsed;                      // bindings that ran out while they waited for their turn
    uint64_t requests, answers_2xx, answers_4xx, answers_5xx, answers_other, timeouts, challenges;
    uint64_t states[16]; // registrations by status_state
    // From a request to its answer; from the time at which a refresh or another try was due to its sending.
    struct histogram answer_times, lateness;
};
struct engine_stats engine_stats(const struct engine *e);
void engine_stats_merge(struct engine_stats *sum, const struct engine_stats *more);
// The registrars with the most registrations, in a pass over all of them: each call looks at some more, so
// that no turn of the loop pays for a million. True: the pass is over, items are largest first, and the next
// call begins another. The caller owns items (max of them) and leaves the ranking alone meanwhile.
struct registrar_ranking {
    struct registrar_view *items, rest; // rest: the others, summed up
    size_t max, count;
};
bool engine_registrars(struct engine *e, struct moment now, struct registrar_ranking *r);
// Bytes held for registrations now (what malloc was asked for).
size_t engine_bytes(const struct engine *e);
// Where they are. Looks at every registration: for the benchmark.
struct engine_memory {
    size_t entries, specs, nonces, shown, extra; // of registrations
    size_t index, shared, pacing;                // tables; texts that many share; registrars
};
struct engine_memory engine_memory(const struct engine *e);

#endif
