// One registration: what should be (design: the model behind all dialects). Plain data; the JSON form is
// `spec` in Redis and on the changes topics (proto/schemas/spec.json).
#ifndef ROLLCALL_REGISTRATION_REGISTRATION_H
#define ROLLCALL_REGISTRATION_REGISTRATION_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/json/json.h"

#include <stdint.h>

#define REGISTRATION_MAX_CONTACTS    8
#define REGISTRATION_MAX_CREDENTIALS 8
#define REGISTRATION_MAX_ROUTES      8
#define REGISTRATION_MAX_TEXT_BYTES  1024 // any one string
#define REGISTRATION_UNSET           (-1) // of the nullable integers

enum registration_scheme { SCHEME_SIP, SCHEME_SIPS };
enum registration_transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_WS };
enum registration_retry_shape { RETRY_FIXED, RETRY_GROWING };

// H(user:realm:password) in place of the password, one for each algorithm (RFC 7616 3.4.2; -sess begins from
// the same). In hexadecimal, lower case, of the algorithm's length, before it is sealed.
enum credential_ha1 { HA1_MD5, HA1_SHA256, HA1_SHA512_256, HA1_COUNT };

struct credential {
    char *realm;  // NULL: any; never where an HA1 is given
    char *user;   // NULL: none given
    char *secret; // the password: sealed text (seal.h, field "password") everywhere but in the moment of use;
                  // NULL: none
    char *ha1[HA1_COUNT]; // sealed likewise (fields "ha1-MD5", "ha1-SHA-256", "ha1-SHA-512-256"); NULL: none
    // secret and ha1 are clear text still to be sealed; never written as JSON. An HA1 beside a clear one may
    // be sealed already.
    bool clear;
};

struct contact {
    char *uri;       // name-addr or addr-spec as given; {local} stands for the registrant's own host:port
    char *q;         // "0.5", or NULL
    int64_t expires; // seconds, or REGISTRATION_UNSET
};

// What a dialect can switch in how a registrant behaves (Ribbon's server rows).
enum non_stale { NON_STALE_REJECT, NON_STALE_RETRY, NON_STALE_STOP };
struct quirks {
    bool challenge_first; // refreshes carry no credentials until they are challenged
    // A challenge to right credentials that does not say stale: rejected and asked again slowly (the model's
    // own); a failure like any other, tried again after the retry delay; never tried again until something
    // changes.
    enum non_stale non_stale;
    bool stagger;     // at least a second between two first REGISTERs or removals to one registrar
    bool clear_first; // a binding is made anew after a removal of its contacts
};

struct registration {
    uint64_t id;
    char *account;
    char *name;
    bool enabled;
    enum registration_scheme scheme;
    char *domain; // host[:port]
    char *username;
    char *display_username; // nullable, and so are all char * below
    char *aor;  // sip:user@host where it is not username@domain; {local} as its host: the registrant's own
    char *from; // third-party From; {local} as in aor. Host alone in both, without the port
    struct credential credentials[REGISTRATION_MAX_CREDENTIALS];
    size_t credential_count;
    struct contact contacts[REGISTRATION_MAX_CONTACTS];
    size_t contact_count;
    int64_t expires;         // seconds asked for, or unset: default_expires
    int64_t default_expires; // the dialect's own when expires is unset
    bool force_expire;
    char *route_set[REGISTRATION_MAX_ROUTES];
    size_t route_count;
    char *registrar; // where to send: SIP URI
    enum registration_transport transport;
    char *interface;
    int64_t retry_delay_s;
    enum registration_retry_shape retry_shape;
    int64_t max_attempts; // or unset: never give up
    struct quirks quirks;
    int64_t pop, node; // or unset
    char *labels;      // a JSON object's text; NULL: none
    uint64_t refresh_seq, flush_seq, audit_seq;
    uint64_t revision;
    uint64_t created_at_ms, updated_at_ms; // wall
};

void registration_init(struct registration *r); // zeroes and sets the defaults of the model
void registration_done(struct registration *r);
void registration_copy(struct registration *to_init, const struct registration *from);

// Compact JSON object with members in a fixed order, nulls left out: equal registrations give equal bytes.
// `revision`, `created_at` and `updated_at` are not in it (the store keeps them beside it), id and account
// are. Command counters that are 0 are left out: the store keeps them beside the text and appends them.
void registration_write(struct buf *out, const struct registration *r);
// 0, or -EINVAL naming the member. Unknown members are ignored (a newer gateway may have written them).
must_use int registration_read(const struct json *object, struct registration *ret_init, struct error *err);

// The same for what a REGISTER is made of alone, `scheme` to `interface` in the order above: `bound.sent` of
// a status. Reading leaves id, account and all else as registration_init sets them.
void registration_write_sent(struct json_writer *w, const struct registration *r);
must_use int registration_read_sent(const struct json *object, struct registration *ret_init,
                                    struct error *err);

// "node-<id>", "pop-<id>" or "any": the name of the place it is sent from. ret holds at most 32 bytes.
#define REGISTRATION_PLACE_BYTES 32
void registration_place(const struct registration *r, char ret[REGISTRATION_PLACE_BYTES]);

// "sip:user@host" as it goes into To; expands scheme, username and domain where aor is unset. {local} stays.
void registration_aor(struct buf *out, const struct registration *r);

// What stands for the registrant's own address in a Contact, an AoR and a From.
#define REGISTRATION_LOCAL STR_LIT("{local}")
// Appends `given` with each of it replaced.
void registration_replace_local(struct buf *out, struct str given, struct str local);

// expires, else default_expires, else 3600; 0 and less count as unset.
int64_t registration_expires(const struct registration *r);

// Rules that hold for every dialect: no text that would put CR, LF, NUL or another control character into
// SIP, sizes, parsable contacts, domain, routes, registrar. 0, or -EINVAL: *ret_field is the model's member
// name.
must_use int registration_check(const struct registration *r, const char **ret_field, struct error *err);

// What a credential holds: all of it, its secrets wiped; a copy of all; a new password in clear in place of
// password and HA1s (p NULL: none).
void credential_done(struct credential *c);
void credential_copy(struct credential *to_init, const struct credential *from);
void credential_set_password(struct credential *c, struct str password);
bool credential_has_ha1(const struct credential *c);

// "MD5", "SHA-256", "SHA-512-256": the member of `ha1` in JSON. The seal's field is "ha1-" and this.
const char *credential_ha1_name(enum credential_ha1 a);
const char *credential_ha1_field(enum credential_ha1 a);

const char *registration_scheme_name(enum registration_scheme s);
const char *registration_transport_name(enum registration_transport t);

#endif
