// Between the model and this dialect's attributes: what is read, what a write makes of the model. What the
// model cannot hold exactly is kept in its labels, under "yeti".
#ifndef ROLLCALL_GATEWAY_YETI_VALUES_H
#define ROLLCALL_GATEWAY_YETI_VALUES_H

#include "common/registration/registration.h"
#include "services/gateway/yeti/attributes.h"

// What reads show in place of a password, and what a write gives to leave it unchanged.
#define VALUES_MASK "********"

void values_init(struct values *v); // what a new registration is unless told otherwise (contract 14, 11)
void values_done(struct values *v);

// shown_password NULL: the mask where one is set.
void values_of(struct values *ret_init, const struct registration *r, const char *shown_password);

// Puts the values into r, which is what was stored before, or initialised and without a name. new_password
// false: credentials keep the secret they have; else auth_password is the new one in clear. What this dialect
// does not know stays as it is.
void values_to(const struct values *v, bool new_password, struct registration *r);

// The last of it alone: what stands in the labels. For credentials that were put there since.
void values_label(const struct values *v, struct registration *r);

#endif
