// What a write makes of a registration: coerces the attributes, judges the whole, says what is wrong in the
// contract's words and order (2.1).
#ifndef ROLLCALL_GATEWAY_YETI_VALIDATE_H
#define ROLLCALL_GATEWAY_YETI_VALIDATE_H

#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/errors.h"
#include "services/gateway/yeti/objects.h"
#include "services/gateway/yeti/sip.h"
#include "services/gateway/yeti/values.h"

struct draft {
    struct values values;
    const char *refused[ATTRIBUTE_COUNT]; // what coercion said; NULL
    // The write gives the text that was there before: what another dialect's rules let through may stay.
    bool stays[ATTRIBUTE_COUNT];
    bool has_password;                 // the record before has one, or an HA1 in its place
    bool new_password;                 // the write gives another
    const struct registration *before; // borrowed; NULL: there was none
    const struct json *attributes;     // as the write gives them; NULL: none
    struct sip_given sip;
};

// What a write begins from that changes `before`, which outlives it.
void draft_of(struct draft *ret_init, const struct registration *before);
void draft_done(struct draft *d);

// Puts the body's attributes and relationships over d->values, which is what was there before. mask: the mask
// stands for the password that is set, and for nothing else.
void draft_apply(struct draft *d, const struct body *b, bool mask);

// pops and nodes are needed where the write sets either; else NULL. False: *errors says what is wrong.
bool draft_check(struct draft *d, const struct objects *pops, const struct objects *nodes,
                 struct errors *errors);

// For a draft that passed draft_check: puts it into r, which is a copy of what was there before, or
// initialised. False: *errors says which of the model's own rules it breaks.
bool draft_to(const struct draft *d, struct registration *r, struct errors *errors);

#endif
