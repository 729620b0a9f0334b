// The parts of a registration that are derived as one: digested, compared, copied. Private to the derivation.
// Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_GROUPS_H
#define ROLLCALL_GATEWAY_RIBBON_GROUPS_H

#include "common/registration/registration.h"
#include "services/gateway/ribbon/link.h"

uint32_t group_digest(struct str text); // never 0
// All but the credentials, whose digest is another's matter.
void groups_digest(const struct registration *r, struct made *ret);
// Not of GROUP_CREDENTIALS: sealed texts of one secret differ.
bool group_equal(enum group g, const struct registration *a, const struct registration *b);
void group_copy(enum group g, struct registration *to, const struct registration *from);

#endif
