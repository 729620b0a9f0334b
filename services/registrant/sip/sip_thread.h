// A SIP thread: its own event loop, transport, resolver, transactions, timer and engine. The main thread
// talks to it by messages; it answers by messages.
#ifndef ROLLCALL_REGISTRANT_SIP_SIP_THREAD_H
#define ROLLCALL_REGISTRANT_SIP_SIP_THREAD_H

#include "services/registrant/core/engine.h"
#include "services/registrant/resolve/resolve.h"
#include "services/registrant/transport/transport.h"

struct sip_thread;

// ---- main → SIP thread

enum sip_command_kind {
    SIP_SHARD_LOAD,
    SIP_SHARD_OPEN,
    SIP_SHARD_CLOSE,
    SIP_SHARD_PARK,
    SIP_SHARD_UNPARK,
    SIP_SHARD_DROP,
    SIP_DESIRED,
    SIP_LEASE,
    SIP_CREDIT,
    SIP_REPORT_FAILED,
    SIP_RELOAD, // certificates, hosts, resolv.conf and the rules for registrars are read again
    SIP_KEYS,   // another key ring
    SIP_STOP
};
// Allocated by the sender, freed by the receiver (sip_command_free).
struct sip_command {
    enum sip_command_kind kind;
    uint32_t shard;
    char place[REGISTRATION_PLACE_BYTES]; // LOAD
    uint64_t epoch;                       // OPEN, UNPARK
    double share;                         // OPEN, UNPARK
    enum engine_lease lease;
    // LEASE, fresh, monotonic: when the proof was asked for (one from before a stall does not end the stall),
    // and when it runs out if it is not repeated by then (0: never).
    uint64_t proved_us, until_us;
    uint32_t credit;
    struct key_ring *ring; // KEYS: its own reference
    uint64_t id;           // REPORT_FAILED, and DESIRED without a registration
    // DESIRED: owned copies
    enum desired_op op;
    bool twin, stray, snapshot, replayed, has_reg, has_last;
    uint64_t revision;
    struct registration reg;
    struct status last;
};
// LEASE: main repeats it with every fresh proof. A thread that stood still for stall_ms takes itself to
// LEASE_STALLED and leaves it only with a proof that was asked for after that; one whose main thread stands
// still takes itself to LEASE_EXPIRED when the last proof runs out. It begins with
// LEASE_EXPIRED where stall_ms is set: nobody has vouched for it yet.
struct sip_command *sip_command_new(enum sip_command_kind kind, uint32_t shard);
void sip_command_free(struct sip_command *c);

// ---- SIP thread → main

enum sip_notice_kind { SIP_REPORT, SIP_CLOSED, SIP_STOPPED };
struct sip_notice {
    enum sip_notice_kind kind;
    uint32_t shard;
    uint64_t id;   // REPORT
    char *account; // REPORT
    char *value;   // REPORT: the record's JSON value
    size_t value_bytes;
};
void sip_notice_free(struct sip_notice *n);

// What the SIP side counts beside its engine.
struct sip_stats {
    struct transport_stats transport;
    struct resolver_stats resolver;
    uint64_t transactions, retransmissions; // transactions: under way
    uint64_t stray;                         // answers to nothing that waits: late, repeated, forged
    uint64_t malformed;                     // messages that could not be read, and changed nothing
    uint64_t incoming;                      // requests of others
};

struct sip_thread_params {
    unsigned index; // 0 …; added to a fixed port, so that each thread has its own
    struct engine_policy policy;
    struct key_ring *ring;   // the thread takes a reference of its own
    const char *listen;      // "host[:port],…" to send from, at most one a family (transport.h); port 0 any
    const char *interfaces;  // "name=host[:port],…"; NULL: none
    struct tls_settings tls; // of connections to registrars
    const char *rules_file;  // of registrars by pattern (core/rules.h); NULL: none
    const char *resolv_conf; // sresolv's file; NULL: the system's
    const struct networks
        *networks;          // that may be sent to (transport/networks.h); NULL: all. Outlives the thread
    const char *hosts_file; // names that are looked up before DNS; NULL: /etc/hosts
    uint32_t max_queue;     // commands and reports that wait at most; 0: 4096
    uint32_t stall_ms;      // half the bus's session time-out; 0: never stalled
};
must_use int sip_thread_start(const struct sip_thread_params *p, struct sip_thread **ret, struct error *err);
// Main thread. 0, or -EAGAIN when its queue is full (the caller keeps the command and tries again).
must_use int sip_thread_post(struct sip_thread *t, struct sip_command *take);
int sip_thread_fd(const struct sip_thread *t); // readable when notices wait
size_t sip_thread_notices(struct sip_thread *t, struct sip_notice **ret, size_t max);
struct engine_stats sip_thread_stats(const struct sip_thread *t); // any thread: as of the last turn
// Any thread: what engine_registrars gave about a second ago, at most BOARD_REGISTRARS (board.h).
size_t sip_thread_registrars(const struct sip_thread *t, struct registrar_view *ret, size_t max,
                             struct registrar_view *ret_rest);
size_t sip_thread_engine_bytes(const struct sip_thread *t);
struct sip_stats sip_thread_sip_stats(const struct sip_thread *t); // any thread: as of the last turn
// host:port of its UDP and TCP sockets; lives as long as the thread.
const char *sip_thread_listens_on(const struct sip_thread *t);
// Stops it if it was not told to (without hand-over), waits for its end and frees it, with what waits in its
// queues. NULL is allowed.
void sip_thread_join(struct sip_thread *t);

#endif
