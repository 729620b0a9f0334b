// Where specifications send: what many of them share, counted, one copy. Two of the same way have the same
// block.
#ifndef ROLLCALL_REGISTRANT_CORE_WAY_H
#define ROLLCALL_REGISTRANT_CORE_WAY_H

#include "common/base/keyed_table.h"
#include "common/registration/registration.h"
#include "services/registrant/core/intern.h"
#include "services/registrant/core/pacer.h"

struct way_key { // without padding that is not zero
    struct interned *domain, *registrar, *interface;
    struct interned *routes; // joined by a line feed, which no route can hold
    uint64_t scheme, transport;
};

struct way {
    struct way_key key;
    struct pacer_target *target; // its owner's (spec.c) to set: NULL at first
    uint32_t refs;
    UT_hash_handle hh;
};

// A reference for the caller.
struct way *way_get(struct way **ways, struct intern *texts, const struct registration *r);
// Gives it back and sets it to NULL; the target with it.
void way_put(struct way **ways, struct intern *texts, struct pacer *pacer, struct way **way);

#endif
