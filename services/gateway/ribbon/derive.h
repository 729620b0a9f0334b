// An entry and a server row as a registration, and a registration as an entry (contract ribbon 6). Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_DERIVE_H
#define ROLLCALL_GATEWAY_RIBBON_DERIVE_H

#include "common/registration/registration.h"
#include "services/gateway/dialect/dialect.h"
#include "services/gateway/ribbon/fieldset.h"
#include "services/gateway/ribbon/link.h"

// A row of the credentials' table.
struct auth_row {
    struct fieldset *values;
    char *password; // in clear; NULL: it cannot be opened now
};

struct derive_input {
    const struct dialect_shared *shared; // Contact of an entry without one
    struct str account;
    struct row_id entry_id, server_id;
    const struct fieldset *entry, *server;
    const struct auth_row *auth; // in the order in which they are tried
    size_t auth_count;
    const char *prefix; // for ContactURIRandomizer
};
// The registration without id and labels, and the digests of its parts. 0, or -EINVAL: what is stored cannot
// be registered (a newer gateway let it through, or a host that is none).
must_use int derive_registration(const struct derive_input *in, struct registration *ret_init,
                                 struct made *ret_made, struct error *err);

// The same at some server, for what does not depend on one: contacts, and whether an entry can be registered
// at all.
must_use int derive_anywhere(const struct dialect_shared *shared, const struct fieldset *entry,
                             const char *prefix, struct registration *ret_init, struct error *err);

// Changes those parts of `r` that are derived otherwise than `last`. Whether there were any.
bool derive_apply(struct registration *r, const struct registration *derived, const struct made *last,
                  const struct made *made);

// Overlays an entry with what a registration of it says where another dialect changed it: parts of which the
// last derivation is still the present one and which differ from it.
void derive_overlay(struct fieldset *entry, const struct registration *r, const struct made *last,
                    const struct registration *derived, const struct made *made);

// A registration of another dialect as an entry: AorType 3.
void derive_entry(const struct registration *r, struct fieldset *ret_init);
// What `entry`, made by derive_entry and changed by a client from `before`, makes of the registration. 0, or
// -EINVAL.
must_use int derive_foreign(struct registration *r, const struct dialect_shared *shared,
                            const struct fieldset *before, const struct fieldset *entry, struct error *err);

#endif
