// The parts of an engine, shared by the files of this folder and by nobody else. An idle registration is one
// `entry`, one spec block, its nonces and what the registrar showed; all else exists while something is under
// way.
#ifndef ROLLCALL_REGISTRANT_CORE_ENTRY_H
#define ROLLCALL_REGISTRANT_CORE_ENTRY_H

#include "common/base/rng.h"
#include "services/registrant/core/engine.h"
#include "services/registrant/core/nonces.h"
#include "services/registrant/core/pacer.h"
#include "services/registrant/core/spec.h"
#include "services/registrant/core/sweep.h"
#include "services/registrant/core/table.h"
#include "services/registrant/core/wheel.h"

enum timer_kind { TIMER_ENTRY, TIMER_FLIGHT, TIMER_TARGET, TIMER_SHARD, TIMER_SWEEP };

#define NEVER_MS         INT64_MAX
#define PENDING_SHOWN_MS 1000  // an unsettled state is reported once it has lasted so long
#define LAPSE_MARGIN_MS  32000 // a request may still arrive so long after its first sending (64 · T1)
// Kept so long, as a report is given up for lost after 30 s: a proved removal, and what moved away, also in
// case an older change comes late.
#define PROVED_KEPT_MS       60000
#define MOVED_KEPT_MS        60000
#define REQUEST_MAX_CONTACTS 32
#define CSEQ_EPOCH_S         1577836800u // 2020-01-01
#define FLOW_BASE_S          30          // RFC 5626 4.5: of a user agent all of whose flows failed

// What most registrations never have.
struct extra {
    uint64_t refresh_wanted, refresh_acted;
    uint64_t flush_wanted, flush_acted, flush_emptied; // emptied: unregistered for that flush
    uint64_t audit_wanted, audit_acted;
    uint64_t audited_wall_ms; // 0: never
    uint64_t moved_revision;  // of the move that its last word was not told of yet
    int64_t held_until_ms;    // the registrar said that it holds something of ours till then; 0: nothing said
    char *call_id, *from_tag; // where they are not of our own making (from_tag in the same block)
    char *dropped;            // contacts that may still be bound and are to go: each ended by a line feed
    struct spec *left; // a binding of an AoR with another address of ours: removed once, or left to lapse
    struct interned *left_local;
    size_t bytes;
};

// What the registrar returned, as texts ended by NUL: contacts, Service-Routes, Paths, associated URIs, then
// pub-gruu, temp-gruu and Warning, each where it is there.
struct shown {
    uint32_t bytes;
    uint32_t flow_timer_s;
    uint8_t contacts, service_routes, paths, associated;
    uint8_t foreign;  // of contacts
    bool audited : 1; // contacts are what an audit found, bound or not
    bool outbound : 1;
    bool pub_gruu : 1, temp_gruu : 1, warning : 1;
    char text[];
};

#define SHOWN_MAX_BYTES 8192 // of a registrar that sends more the rest is left out

// Times in ms are monotonic, and may be negative: before this process.
struct entry {
    uint64_t id; // first: what the table points to
    struct wheel_node timer;
    struct pacer_item item;
    uint32_t flight;              // 1 + index; 0: none
    uint32_t flow;                // of the last acceptance; 0: none, or a sweep has seen to it
    struct spec *want;            // what should be
    struct spec *bound;           // what may be bound; NULL: nothing of ours
    struct interned *account;     //
    struct interned *bound_local; // host:port that {local} was in `bound`
    struct interned *heard;       // enum heard, each ended by NUL; NULL: all empty
    struct nonces *nonces;
    struct shown *shown;
    struct extra *extra;
    uint64_t revision, bound_revision;
    uint64_t seed;        // Call-ID and From tag
    int64_t last_bind_ms; // first sending of the last request that may have bound
    int64_t expires_ms;   // end of the binding that was granted; 0: none was
    int64_t refresh_ms, retry_ms;
    int64_t unsettled_ms; // since when the state is one that is not reported at once; 0: it is
    uint64_t since_wall_ms;
    uint32_t cseq, asked_s, granted_s;
    uint32_t floor_s; // learned from 423
    uint32_t attempts, rtt_us, retry_after_s;
    uint16_t retry_delay_s, max_attempts; // 0: never give up
    uint16_t shard, code;
    uint8_t state;   // as last settled (enum status_state)
    uint8_t proof;   // enum status_proof
    uint8_t differs; // enum spec_difference between want and bound
    bool removing : 1, enabled : 1, rejected : 1, given_up : 1, retry_fixed : 1, by_local : 1, twin : 1;
    bool removal_sent : 1, was_bound : 1, ever_sent : 1, cseq_low : 1;
    bool adopted : 1; // continues from a report
    // Not ours any more: a note of that, or kept until its last news are told and have arrived.
    bool moved : 1;
    bool note : 1;     // only a revision is known of it
    bool unlisted : 1; // it was parked, and no snapshot has held it since
    bool revision_unsaid : 1;
    bool doubted : 1; // a failure came after the last acceptance: only the next one says that it is bound
    bool shaken : 1;  // a removal was sent and not proved: it may have been done
    bool unsure : 1;  // a former owner may have sent what is wanted and not have said so
    bool dirty : 1, queued : 1, deferred : 1, handover : 1, need_counted : 1, proved_reported : 1;
    bool challenge_first : 1, stagger : 1, clear_first : 1; // struct quirks
    uint8_t non_stale : 2;
    // Option tags that were refused (420, 439): left out until what is sent changes.
    bool no_outbound : 1, no_path : 1, no_gruu : 1;
    bool seen_elsewhere : 1; // the last answer said that the registrar sees us at another address than before
    bool assumed : 1;        // what is bound: for all we know a former owner asked for it
    bool keyless : 1;        // the last attempt failed because a key was missing
    bool cleared : 1;        // clear_first: done, or not needed any more
    // The registrar listed the contacts of `bound` as they were sent, and no others; with the lifetime added.
    bool as_sent : 1, as_sent_expires : 1;
};

enum flight_kind {
    FLIGHT_BIND,
    FLIGHT_REFRESH, // what is bound, as it is
    FLIGHT_UNBIND,
    FLIGHT_CLEAR, // removes what is wanted before it is bound; its verdict is nobody's concern
    FLIGHT_LEAVE, // removes extra.left, in the same way
    FLIGHT_FETCH, // an audit: asks what is bound and changes nothing
};

// One attempt: a request and what it leads to at once (challenge, redirection, longer expiry).
struct flight {
    struct wheel_node timer;
    struct entry *entry; // NULL: the slot is free
    struct spec *spec;
    struct interned *local;
    struct interned *redirect; // Request-URI after a 3xx
    struct interned *others;   // those to ask after it, if it fails: each ended by a line feed
    struct interned *asked;    // those that were asked: likewise; NULL before a 3xx
    struct pacer_ticket ticket;
    uint64_t sent_us; // the request that waits for its answer
    uint64_t revision, refresh_wanted, flush_wanted, audit_wanted;
    uint32_t index, generation;
    uint32_t asked_s, least_s; // least_s: every expiry asked for is that long at least
    uint8_t kind, challenges, redirects;
    uint8_t targets;    // gone on to, after others had failed
    uint8_t requests;   // sent
    uint8_t fresh;      // bit i: the request used nonce i, which came from the challenge just before it
    uint8_t preemptive; // bit i: it used nonce i of an earlier attempt
    bool lengthened, suspected, waits;
    bool shaken;    // the entry's, by what this attempt had sent before
    bool obsolete;  // what it sends is no longer wanted
    bool follows;   // sent because the registrar sees us at another address: not done again for its answer
    bool continues; // binds what is bound and lives
};

enum shard_state { SHARD_LOADING, SHARD_OPEN, SHARD_PARKED, SHARD_CLOSING, SHARD_DRAINING };

struct shard {
    struct wheel_node timer;
    struct table entries;
    uint32_t number;
    uint16_t index;
    enum shard_state state;
    bool dropped; // given to another: only what it touched is reported
    bool lost;    // it was parked when its end began: nothing is bound anew
    uint64_t epoch;
    double share;
    uint32_t flights;
    uint64_t unreported;
    char place[REGISTRATION_PLACE_BYTES];
};

struct mark { // a registration to be reported
    uint64_t id;
    uint16_t shard;
};

struct marks { // a growing ring
    struct mark *items;
    size_t head, count, size;
};

struct engine {
    const struct engine_ops *ops;
    void *ops_arg;
    struct engine_policy policy;
    const struct key_ring *ring;
    struct seal_opener *opener; // with that ring
    struct rng rng;
    uint64_t secret;
    struct wheel wheel;
    struct spec_home home;
    struct digest *digest;
    struct shard **shards; // by index; NULL: free
    size_t shard_count;
    struct flight **flights;
    size_t flight_count;
    uint32_t *free_flights;
    size_t free_flight_count;
    enum engine_lease lease;
    uint32_t credit;
    uint64_t seq;
    struct marks marks, deferred;
    struct sweep sweep;
    size_t bytes; // of entries and what hangs on them
    struct engine_stats stats;
    struct buf scratch[8]; // see request.c and report.c
};

static inline int64_t ms_of(struct moment now)
{
    return (int64_t)(now.us / 1000);
}

static inline uint64_t us_of(int64_t ms)
{
    return ms <= 0 ? 0 : (uint64_t)ms * 1000;
}

// ---- engine_observe.c: what is counted

void observe_start(struct engine *e, const struct entry *r, struct moment now); // its turn has come
void observe_answer(struct engine *e, const struct flight *f, const struct sip_answer *a, struct moment now);
void observe_grant(struct flight *f, uint32_t granted_s);
void observe_lapse(struct engine *e, const struct entry *r); // while it waited for its turn
void observe_state(struct engine *e, struct entry *r, enum status_state state); // sets it
// What it counts for moves with the registrar of what is wanted.
void observe_registrar(const struct entry *r, const struct spec *want);

// ---- entry.c, shown.c: life of the parts

struct entry *entry_new(struct engine *e, struct shard *s, uint64_t id, struct str account);
void entry_forget(struct engine *e, struct entry *r); // with its flight, if any; says nothing
// That it moved away, by that revision; counts as no registration.
struct entry *entry_new_note(struct engine *e, struct shard *s, uint64_t id, uint64_t revision);
struct extra *entry_extra(struct engine *e, struct entry *r);
void entry_stop_waiting(struct engine *e, struct entry *r);
void entry_set_want(struct engine *e, struct entry *r, struct spec *take);
void entry_set_bound(struct engine *e, struct entry *r, struct spec *take, struct str local);
void entry_compare(struct engine *e, struct entry *r); // sets differs, from the local address as it is now
void entry_set_dropped(struct engine *e, struct entry *r, struct str lines);
// What is bound becomes the block of what is wanted, which is the same.
void entry_share_bound(struct engine *e, struct entry *r, struct str local);
// What is bound becomes what was left behind, or (NULL) nothing is left behind any more.
void entry_set_left(struct engine *e, struct entry *r, struct spec *take, struct str local);
// Lists and Warning of an answer; the Warning alone where the lists say nothing of our binding.
struct shown_more { // what was found among them
    uint32_t foreign;
    struct str pub_gruu, temp_gruu; // without quotes
    uint32_t flow_timer_s;
    bool outbound, audited;
};
void entry_set_shown(struct engine *e, struct entry *r, const struct sip_answer *a,
                     const struct shown_more *more);
// Words of the last answers that many registrations have in common.
enum heard {
    HEARD_REASON,
    HEARD_TARGET, // "udp:192.0.2.1:5060"
    HEARD_LOCAL,
    HEARD_RECEIVED, // host:port that the registrar saw us at, where it is another than the local one
    HEARD_COUNT,
};
struct str entry_heard(const struct entry *r, enum heard what); // borrowed until one of them changes
void entry_set_heard(struct engine *e, struct entry *r, enum heard what, struct str text);
// The contacts that are not kept because they are `as_sent`, each ended by NUL. Uses scratch[2].
size_t entry_as_sent(struct engine *e, const struct entry *r, struct buf *out);
// Before another becomes what is bound: from then on they are kept.
void entry_keep_shown(struct engine *e, struct entry *r, const struct spec *next, struct str local);
void entry_set_warning(struct engine *e, struct entry *r, struct str warning);
void entry_set_names(struct engine *e, struct entry *r, struct str call_id, struct str from_tag);
void entry_count_need(struct engine *e, struct entry *r);   // tells the pacer whether it lives
void entry_uncount_need(struct engine *e, struct entry *r); // it does not, or not any more
void entry_call_id(const struct entry *r, struct buf *out);
void entry_from_tag(const struct entry *r, struct buf *out);
struct seal_context entry_seal_context(const struct entry *r);
// What {local} is now, in what is sent of `s`; empty: not needed or none.
struct str entry_local(struct engine *e, const struct entry *r, const struct spec *s);

void marks_push(struct engine *e, struct marks *m, struct mark mark);
bool marks_pop(struct engine *e, struct marks *m, struct mark *ret);
void marks_done(struct marks *m);

struct shard *shard_find(const struct engine *e, uint32_t number);
struct entry *shard_entry(const struct shard *s, uint64_t id);
struct entry *shard_each(const struct shard *s, size_t *at);

// ---- engine_shard.c

void shard_forget(struct engine *e, struct shard *s, bool (*which)(const struct entry *r));
void shard_release(struct engine *e, struct shard *s); // must be empty
void shard_timer(struct engine *e, struct shard *s, struct moment now);

// ---- accept.c

void flight_accept(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now);

// ---- attempt.c, answer.c: what is in flight

struct flight *flight_of(const struct engine *e, const struct entry *r); // or NULL
static inline uint64_t flight_token(const struct flight *f)
{
    return (uint64_t)f->generation << 32 | f->index;
}
// staggered: it had its turn as one of PACE_STAGGERED.
void flight_begin(struct engine *e, struct entry *r, enum flight_kind kind, bool staggered,
                  struct moment now);
void flight_send(struct engine *e, struct flight *f, bool again, struct moment now);
// Ends the attempt without a verdict; what it may have bound is remembered where an answer is still missing.
void flight_abandon(struct engine *e, struct flight *f, struct moment now);
void flight_end(struct engine *e, struct flight *f, enum pacer_result result, int64_t retry_after_s,
                struct moment now);
void flight_timer(struct engine *e, struct flight *f, struct moment now);
// The attempt failed: counts it, waits, marks it for a report. a: NULL for a cause of our own.
struct failure {
    const struct sip_answer *answer; // or NULL
    struct str reason;               // where our own words are better than the answer's
    bool slow;                       // rejected
    bool final;                      // rejected and not asked again
    bool by_local;
};
void flight_fail(struct engine *e, struct flight *f, const struct failure *why, struct moment now);
// Commands that the attempt served are acted on, whatever came of it.
void flight_act_on_commands(struct flight *f);
void flight_may_have_bound(struct engine *e, struct flight *f);
// What is wanted may be bound now: a binding under our former address becomes what is left behind.
void flight_leave_address(struct engine *e, struct flight *f);
// A CLEAR, LEAVE or FETCH is over, whatever came of it.
bool flight_is_aside(const struct flight *f);
void flight_end_aside(struct engine *e, struct flight *f, const struct sip_answer *a, struct moment now);

// ---- contacts.c

// Contacts as header values in one buffer, with their places.
struct contact_lines {
    struct buf *text;
    struct str items[REQUEST_MAX_CONTACTS];
    size_t count;
};
// The contacts of a spec, without parameters of ours.
void contacts_of(const struct spec *s, struct str local, struct contact_lines *ret);
// What may be bound at the registrar and is not among `keep`: contacts of `bound`, and those dropped before.
void contacts_to_drop(struct engine *e, const struct entry *r, const struct contact_lines *keep,
                      struct contact_lines *ret);
// Those of extra.left, but what of them is wanted at that registrar.
void contacts_left_behind(struct engine *e, const struct entry *r, struct contact_lines *ret);
// ---- request.c

bool request_can_answer(const struct flight *f, const struct digest_challenge *c);
bool request_names_realm(const struct flight *f, struct str realm); // has anything for it, or for any realm
// Is RFC 5626 asked for?
bool request_is_outbound(const struct flight *f);
// The least CSeq of a REGISTER of now: seconds since 2020.
uint64_t request_cseq_of(struct moment now);
// It went nowhere: its address may not be sent to.
static inline bool answer_is_unsent(const struct sip_answer *a)
{
    return a->local && a->status == 403;
}

#define REQUEST_MAX_REASON 160
// Why there is no local address to send from.
struct str request_no_interface(const struct flight *f, char ret[REQUEST_MAX_REASON]);
// Sends f's request. 0; -errno of the transport; -ENOKEY, -EBADMSG with a sentence when a secret cannot be
// opened.
must_use int request_send(struct engine *e, struct flight *f, struct moment now, struct error *err);

// ---- turn.c: what is to be done now

void entry_update(struct engine *e, struct entry *r, struct moment now); // plans, waits, settles
void entry_reset(struct entry *r); // another try from scratch: attempts, back-off, rejection
void engine_turn(struct engine *e,
                 struct moment now); // at the end of every call: sends and reports what may go
void shard_check(struct engine *e, struct shard *s, struct moment now); // a closing one that may be done

// ---- report.c

void report_mark(struct engine *e, struct entry *r);
void report_settle(struct engine *e, struct entry *r, struct moment now); // follows the state
void report_flush(struct engine *e, struct moment now);

// ---- adopt.c

// May a former owner have bound something that no report tells of?
bool entry_is_unknown(const struct entry *r, const struct desired *d, struct moment now);
// Takes it that what is wanted was sent just now by somebody unknown.
void entry_assume_bound(struct engine *e, struct entry *r, struct moment now);
// Continues from what was reported; what is wanted is set already. uncertain: the former owner may have died
// with more done than it said.
void entry_adopt(struct engine *e, struct entry *r, const struct status *last, bool uncertain,
                 struct moment now);

#endif
