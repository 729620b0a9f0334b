// How the dialect writes addresses of record and contacts (contract ribbon 5.2, 6.2, 6.3). Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_AOR_H
#define ROLLCALL_GATEWAY_RIBBON_AOR_H

#include "common/base/buf.h"

enum aor_type { AOR_NONE, AOR_LOCAL, AOR_REMOTE, AOR_STATIC };

struct aor {
    bool sips;
    struct str user;     // as written
    bool escaped;        // of a URI; else a bare name
    struct str hostport; // after '@'; empty: none
    struct str text;     // the whole, where it is a URI with a host
};
// "scheme:user[@host[:port]]" or a bare user name. False: none of these.
bool aor_parse(struct str text, struct aor *ret);
// The same as the type asks for it: a host with AOR_STATIC.
bool aor_fits(struct str text, enum aor_type type);
// Appends the user without escapes, as the model holds it.
bool aor_user(const struct aor *a, struct buf *out);

// Appends the user of a contact, escaped as in a URI: "sip:user[@host]", "user[@host]", also in angle
// brackets.
bool contact_user(struct str text, struct buf *out);

#endif
