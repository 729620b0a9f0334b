// Texts that many registrations share (domain, registrar, realm, account, addresses): one copy, counted.
#ifndef ROLLCALL_REGISTRANT_CORE_INTERN_H
#define ROLLCALL_REGISTRANT_CORE_INTERN_H

#include "common/base/str.h"

struct intern; // the set; one thread
struct interned {
    uint32_t refs;
    uint32_t n;
    char *text; // NUL-terminated; not to be written to
};

struct intern *intern_new(void);
void intern_free(struct intern *set); // every text must have been given back

struct interned *intern_get(struct intern *set, struct str text); // a reference for the caller
void intern_put(struct intern *set, struct interned **i);         // gives it back and sets it to NULL

// Makes *slot hold `text` (empty: NULL), in place of what it held.
void intern_set(struct intern *set, struct interned **slot, struct str text);

struct str interned_str(const struct interned *i); // NULL gives the empty string
size_t intern_bytes(const struct intern *set);

#endif
