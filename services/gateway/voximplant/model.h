// A request's parameters as a registration, and the other way round: which member of the model is which
// parameter (docs/dialects/voximplant.md has the table).
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_MODEL_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_MODEL_H

#include "services/gateway/dialect/dialect.h"
#include "services/gateway/voximplant/facts.h"

// What Create and Update can say of a registration itself. Borrows from the params.
struct asked {
    struct str sip_username, proxy, auth_user, outbound_proxy, password; // empty: leave as it is
    bool clears_auth_user, clears_outbound_proxy;
};
struct asked vox_asked_read(const struct params *p);

// `r` and `f`, which belong together, as they are to be. r->username empty: it is new. False: a value that
// cannot be.
must_use bool vox_model_apply(const struct dialect_shared *shared, const struct asked *a,
                              struct registration *r, struct facts *f, struct fault *fault);
// After the binding or anything else of `f` has changed: label and enabled. `wanted` is facts_want_enabled of
// before: who disabled it elsewhere keeps it disabled.
void vox_model_settle(bool wanted, const struct facts *f, struct registration *r);
// Rules of the model that no parameter breaks by itself.
must_use bool vox_model_check(const struct registration *r, struct fault *fault);

// A name that no other registration has: "alice@example.com/vox-0123456789abcdef". Replaces the one it has.
void vox_model_name(struct registration *r);

// As the API shows them; borrowed from r, f or scratch.
struct str vox_model_proxy(const struct registration *r, const struct facts *f);
struct str vox_model_outbound_proxy(const struct registration *r, const struct facts *f, struct buf *scratch);
// Disabled although it should be registered: through another dialect.
bool vox_model_is_deactivated(const struct registration *r, const struct facts *f);

#endif
