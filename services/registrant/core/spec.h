// What is sent for one registration, packed: immutable, counted (what is wanted and what is bound are mostly
// the same block), one allocation, with what many share interned.
#ifndef ROLLCALL_REGISTRANT_CORE_SPEC_H
#define ROLLCALL_REGISTRANT_CORE_SPEC_H

#include "common/registration/registration.h"
#include "common/registration/seal.h"
#include "services/registrant/core/way.h"

// What blocks are made with and given back to.
struct spec_home {
    struct intern *texts;
    struct pacer *pacer;
    struct way *ways;
    size_t bytes; // of all blocks now
};

struct spec {
    uint32_t refs, text_bytes;
    struct way *way;
    uint32_t expires_s;
    uint32_t aor; // hash of the address of record, as given; never 0
    uint8_t scheme, transport, credential_count, contact_count;
    bool force_expire : 1;
    bool has_local : 1;      // a contact, the AoR or the From holds {local}
    bool local_identity : 1; // the AoR or the From does
    // What its contacts ask for: RFC 5626 (+sip.instance and reg-id), RFC 5627 (+sip.instance), RFC 6140
    // (bnc)
    bool outbound : 1, gruu : 1, bulk : 1;
    char text[]; // see spec.c
};

struct spec_view {
    struct str username, display, aor, from; // p NULL: absent
    struct {
        struct str realm, user;
        struct str secret, ha1[HA1_COUNT]; // as seal_open takes them
    } credentials[REGISTRATION_MAX_CREDENTIALS];
    struct {
        struct str uri, q;
        int64_t expires;
    } contacts[REGISTRATION_MAX_CONTACTS];
    struct str routes[REGISTRATION_MAX_ROUTES];
    size_t credential_count, contact_count, route_count;
};

struct spec *spec_new(struct spec_home *home, const struct registration *r);
struct spec *spec_ref(struct spec *s); // NULL is allowed
void spec_put(struct spec_home *home, struct spec **s);

// Borrows from the block. The texts are NUL-terminated but for secrets and routes.
void spec_open(const struct spec *s, struct spec_view *ret);

// Fills what status_bound.sent holds, borrowed from the block and from `scratch` (cleared here); {local} is
// replaced by `local`: host:port, of which the AoR and the From take the host. Not to be passed to
// registration_done.
void spec_sent(struct spec *s, struct str local, struct registration *ret, struct buf *scratch);

enum spec_difference {
    SPEC_SAME,
    SPEC_OTHER,    // sent, but the same binding: REGISTER again
    SPEC_ADDRESS,  // another binding, but only because {local} in To or From is another host in b
    SPEC_IDENTITY, // To, From, Request-URI or registrar: another binding
};
// What differs on the wire. Secrets are compared as opened, so sealing one anew is no difference.
enum spec_difference spec_compare(const struct spec *a, struct str local_a, const struct spec *b,
                                  struct str local_b, const struct key_ring *ring,
                                  const struct seal_context *context);

// Parts of a REGISTER, appended.
void spec_request_uri(const struct spec *s, struct buf *out);
void spec_to(const struct spec *s, const struct spec_view *v, struct str local, struct buf *out);
void spec_from(const struct spec *s, const struct spec_view *v, struct str local, struct str tag,
               struct buf *out);
// SIP URI: registrar, else the first loose route, else the Request-URI (RFC 3261 8.1.2).
void spec_next_hop(const struct spec *s, const struct spec_view *v, struct buf *out);

// The address of record, {local} replaced by the host of `local`.
void spec_aor(const struct spec *s, const struct spec_view *v, struct str local, struct buf *out);

// host:port without the port; brackets stay.
struct str spec_host_of(struct str hostport);

// What a registrar knows a Contact by: its URI, with instance and reg-id where it has them.
void spec_key_text(struct str contact, struct buf *out);
// Contact without the parameter reg-id.
void spec_without_flow(struct str contact, struct buf *out);

// A Contact with {local} replaced, in brackets, without the parameters q and expires.
void spec_contact_text(struct str given, struct str local, struct buf *out);

#endif
