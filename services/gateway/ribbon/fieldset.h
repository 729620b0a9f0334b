// One object of the dialect as it is stored: a text for each field of its resource. Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_FIELDSET_H
#define ROLLCALL_GATEWAY_RIBBON_FIELDSET_H

#include "common/base/error.h"
#include "services/gateway/ribbon/fields.h"

struct fieldset {
    const struct resource *resource;
    char *text[RESOURCE_FIELDS_MAX]; // NULL: not given, the default holds; a secret is sealed
    // Contacts that another dialect wrote, which URIn alone could not give back: in the place of URIn until
    // it is written again. NULL elsewhere.
    char *contact[CONTACT_SLOTS];
    bool clear[RESOURCE_FIELDS_MAX]; // a secret still to be sealed
    // What tells the secret from the one before it, since the sealed text of one secret changes with the key.
    // NULL: it was never sealed anew.
    char *mark;
};
void fieldset_init(struct fieldset *v, const struct resource *r);
void fieldset_done(struct fieldset *v); // wipes what is clear
void fieldset_copy(struct fieldset *to_init, const struct fieldset *from);

// NULL counts as no text.
void fieldset_set(struct fieldset *v, size_t field, struct str text);
void fieldset_set_number(struct fieldset *v, size_t field, uint64_t number);

// The text that holds: given, or a fixed default. Defaults that a setting gives are written when an object is
// made.
struct str fieldset_text(const struct fieldset *v, size_t field);
uint64_t fieldset_number(const struct fieldset *v, size_t field); // 0 where it is none
bool fieldset_flag(const struct fieldset *v, size_t field);

// JSON object of what is given.
void fieldset_write(struct buf *out, const struct fieldset *v);
// 0, or -EINVAL: what is stored is damaged. Unknown members are ignored.
must_use int fieldset_read(struct str json, const struct resource *r, struct fieldset *ret_init,
                           struct error *err);

// Takes what a form says of the resource's fields; unknown names are ignored, the last of a name counts. 0,
// or the app code that refuses it; `v` is then to be thrown away. SECRET_MASK leaves a secret that is there
// unchanged.
must_use unsigned fieldset_take_form(struct fieldset *v, struct str form);
// What a create still needs: required fields, and defaults that come from a setting. 0, or the app code.
must_use unsigned fieldset_complete(struct fieldset *v, const struct limits *l);
// Rules between fields (a host for a server, a host in a static AOR …). 0, or the app code.
must_use unsigned fieldset_check(const struct fieldset *v);

#endif
