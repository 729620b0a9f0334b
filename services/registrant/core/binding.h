// Our own bindings in the Contacts of a 2xx to REGISTER: by instance and reg-id (RFC 5626 4.2.1), else by a
// URI parameter of our own, else by URI comparison (RFC 3261 10.2.4 and 19.1.4). Registrars rewrite hosts and
// add parameters, and other user agents' bindings stand in the same list; the text alone is never compared.
#ifndef ROLLCALL_REGISTRANT_CORE_BINDING_H
#define ROLLCALL_REGISTRANT_CORE_BINDING_H

#include "services/registrant/core/engine.h"

// Both are Contact header values.
bool binding_is_same(struct str ours, struct str theirs);
// Both are of our own, as we send them: does a registrar hold them as one binding? by_flow: it keeps to RFC
// 5626, where instance and reg-id are the key (section 6); else the URI is (RFC 3261 10.3).
bool binding_is_one(struct str a, struct str b, bool by_flow);

// How many of our contacts the answer still binds, and the shortest of their lifetimes: the contact's own
// expires, else the Expires header, else what was asked. A lifetime of 0 is not bound.
size_t binding_count(const struct str *ours, size_t count, const struct sip_answer *answer, uint32_t asked_s,
                     uint32_t *ret_shortest_s);

// Is the answer's contact i bound, and is it one of ours?
bool binding_is_ours(const struct str *ours, size_t count, const struct sip_answer *answer, size_t i);
// The longest lifetime of what is listed as ours; 0: nothing is, or no lifetime of it is told.
uint32_t binding_longest(const struct str *ours, size_t count, const struct sip_answer *answer);
bool binding_is_bound(const struct sip_answer *answer, size_t i);
// A quoted header parameter of the first of ours that is bound, without its quotes; empty: none.
struct str binding_quoted(const struct str *ours, size_t count, const struct sip_answer *answer,
                          const char *name);

#endif
