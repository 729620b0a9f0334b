// What a registrant reports of one registration, and what it needs to touch the existing binding again. JSON
// form: proto/schemas/status.json.
#ifndef ROLLCALL_REGISTRATION_STATUS_H
#define ROLLCALL_REGISTRATION_STATUS_H

#include "common/registration/registration.h"

enum status_state {
    STATE_DISABLED,      // not asked to be registered, and nothing is bound
    STATE_PENDING,       // not sent yet, or held back by pacing
    STATE_REGISTERING,   // a REGISTER is under way and nothing was bound before; never reported by itself
    STATE_REGISTERED,    // bound
    STATE_RETRYING,      // the last try failed, another is scheduled; an older binding may still live
    STATE_REJECTED,      // wrong credentials, 403, 404, 6xx: asked again only slowly
    STATE_GIVEN_UP,      // attempts used
    STATE_UNREGISTERING, // removal is under way
    STATE_UNREGISTERED,  // removal is proved, of a deleted registration
};
const char *status_state_name(enum status_state s); // "disabled", …

// How a deletion was proved.
enum status_proof { PROOF_NONE, PROOF_ANSWERED, PROOF_LAPSED, PROOF_NEVER_SENT, PROOF_TWIN };
const char *status_proof_name(enum status_proof p);

#define STATUS_MAX_LIST       32 // contacts, routes … kept of an answer
#define STATUS_MAX_NONCES     4  // realms remembered
#define STATUS_MAX_TEXT_BYTES 512

struct status_list {
    char *items[STATUS_MAX_LIST];
    size_t count;
};

struct status_nonce {
    char *realm, *nonce, *opaque, *algorithm, *qop; // unquoted; opaque, algorithm, qop may be NULL
    bool userhash;                                  // the hash of the user goes in its place
    bool proxy;                                     // 407
    uint32_t nc;                                    // last count used
};

// Exactly what a REGISTER needs to touch the binding again, and the SIP state that outlives a process.
struct status_bound {
    uint64_t revision; // of the specification that was sent
    struct registration
        sent; // only what is sent: scheme … credentials, contacts, route_set, registrar, transport
    char *call_id, *from_tag;
    uint32_t cseq; // last used
    struct status_nonce nonces[STATUS_MAX_NONCES];
    size_t nonce_count;
    uint32_t asked_s, granted_s;
    uint64_t last_sent_wall_ms; // first sending of the last request that could bind
    uint64_t expires_at_wall_ms;
};

struct status {
    uint64_t id;
    char *account;
    char place[REGISTRATION_PLACE_BYTES];
    uint64_t epoch, seq;
    uint64_t revision; // applied
    enum status_state state;
    uint64_t since_wall_ms;
    int code; // SIP status of the cause, 0 none
    char *reason, *warning;
    int64_t retry_after_s; // or REGISTRATION_UNSET
    bool by_local;         // who caused it
    uint32_t attempt;      // failures in a row
    uint32_t granted_s;
    uint64_t expires_at_wall_ms; // 0: nothing bound
    uint64_t next_at_wall_ms;    // 0: silent
    uint64_t next_in_ms;         // of the report; 0: silent
    // contacts: every binding that the registrar said it holds for the address of record, others' too
    struct status_list contacts, service_route, path, associated;
    uint32_t foreign;            // how many of `contacts` are none of ours
    uint64_t audited_at_wall_ms; // when it was last asked what is bound (an audit); 0: never
    char *target, *local;        // "udp:192.0.2.1:5060"
    char *received; // "203.0.113.7:40000": our address as the registrar sees it, where it is another
    char *pub_gruu, *temp_gruu; // RFC 5627, of our own contact
    bool outbound;              // the registrar keeps to RFC 5626 for this binding
    uint32_t flow_timer_s;      // its Flow-Timer; 0: none
    uint32_t rtt_us;
    char *node; // registrant's name
    uint64_t refresh_acted, flush_acted, audit_acted;
    bool handover;             // last report before a clean hand-over: nothing was in flight
    enum status_proof removed; // deletion proved
    bool has_bound;
    struct status_bound bound;
};

void status_init(struct status *s);
void status_done(struct status *s);
void status_write(struct buf *out, const struct status *s);
must_use int status_read(const struct json *object, struct status *ret_init, struct error *err);
// The same without `bound`, epoch and seq: what a REST client or an event consumer may see.
void status_write_public(struct json_writer *w, const struct status *s);
// Yeti's five (SEMS registrar_client), in its numbers: bound and no failure since; a REGISTER is under way;
// the last try failed; held back, by pacing or by a wait; else nothing is bound and nothing is wrong.
enum yeti_state { YETI_PENDING, YETI_ACTIVE, YETI_ERROR, YETI_EXPIRED, YETI_POSTPONED };
enum yeti_state status_yeti_state(const struct status *s, uint64_t now_wall_ms);
const char *yeti_state_name(enum yeti_state s); // "RegisterPending", …
// Until when the registrar holds a binding of it (wall), whatever its state; 0: it holds none.
uint64_t status_bound_until_ms(const struct status *s);
// Believed until expires_at, or next action + 60 s where nothing is bound (any more: a state other than
// `registered` outlives its old binding until the action it announced). Then reads say `unknown`. Silent
// states are believed for ever, and so is one rejected for good (no next action).
bool status_is_believed(const struct status *s, uint64_t now_wall_ms);

#endif
