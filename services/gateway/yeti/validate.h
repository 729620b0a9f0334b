// What a write makes of a registration: coerces the attributes, judges the whole, says what is wrong in the
// contract's words and order (2.1).
#ifndef ROLLCALL_GATEWAY_YETI_VALIDATE_H
#define ROLLCALL_GATEWAY_YETI_VALIDATE_H

#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/errors.h"
#include "services/gateway/yeti/objects.h"
#include "services/gateway/yeti/values.h"

struct draft {
    struct values values;
    const char *refused[ATTRIBUTE_COUNT]; // what coercion said; NULL
    // The write gives the text that was there before: what another dialect's rules let through may stay.
    bool stays[ATTRIBUTE_COUNT];
    bool has_record;   // there was one before
    bool has_password; // the record before has one
    bool new_password; // the write gives another
};

// What a write begins from that changes `before`.
void draft_of(struct draft *ret_init, const struct registration *before);
void draft_done(struct draft *d);

// Puts the body's attributes and relationships over d->values, which is what was there before. mask: the mask
// stands for the password that is set, and for nothing else.
void draft_apply(struct draft *d, const struct body *b, bool mask);

// pops and nodes are needed where the write sets either; else NULL. False: *errors says what is wrong.
bool draft_check(const struct draft *d, const struct objects *pops, const struct objects *nodes,
                 struct errors *errors);

// For a record that passed draft_check: the model's own rules. False, with "is invalid" for the attribute.
bool draft_check_model(const struct registration *r, struct errors *errors);

#endif
