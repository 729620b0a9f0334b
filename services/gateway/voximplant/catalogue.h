// What the principals file says of an account for this dialect: the member "voximplant" of the account's
// object.
//   "voximplant": {"currency": "EUR", "balance": 12.5, "frozen": false, "subscription_price": "1.00",
//     "next_subscription_renewal": "2026-02-01", "purchase_date": "2026-01-01 09:30:00", "max_registrations":
//     100, "applications": [{"id": 12, "name": "pbx", "rules": [{"id": 5, "name": "in"}],
//                       "users": [{"id": 9, "name": "alice"}]}]}
// All of it is optional. Without `applications` any id and any name is taken as it comes.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_CATALOGUE_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_CATALOGUE_H

#include "services/gateway/auth/principals.h"
#include "services/gateway/voximplant/binding.h"

// Where the account has a catalogue: both id and name of all that `asked` names, and the application of a
// rule that is named alone. False: one of them does not exist, or is not in that application.
must_use bool vox_catalogue_resolve(const struct account *a, struct binding *asked, struct fault *fault);
// The present name of what was bound by its id; STR_NONE: not in the catalogue.
struct str vox_catalogue_name(const struct account *a, enum target_kind kind, uint64_t id);

// The constants. A value of another form than the API's is as good as none.
struct terms {
    struct str currency, balance; // balance: a JSON number's text
    bool frozen;
    struct str subscription_price;          // "0.00" where none is given
    struct str next_renewal, purchase_date; // empty: follow from the creation
    bool too_poor;                          // a balance is given, and is below the price
    uint64_t max_registrations;             // 0: no limit
};
struct terms vox_catalogue_terms(const struct account *a);

#endif
