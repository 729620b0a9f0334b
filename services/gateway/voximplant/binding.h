// What a registration is bound to: an application, one of its rules, one of its users; each by id, by name or
// by both (contract voximplant 3.1, 5). Knows neither where bindings are kept nor which of them exist.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_BINDING_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_BINDING_H

#include "services/gateway/voximplant/params.h"

enum target_kind { TARGET_APPLICATION, TARGET_RULE, TARGET_USER, TARGET_COUNT };

struct target {
    uint64_t id; // 0: not known
    char *name;  // NULL: not known
};
struct binding {
    struct target of[TARGET_COUNT];
};

// What each kind is called and which errors it has.
struct target_words {
    const char *kind;      // "application"
    const char *id, *name; // parameters and members
    const char *list;      // in the catalogue of the principals file
    enum code bad_id, bad_name;
};
const struct target_words *vox_target_words(enum target_kind kind);

void vox_binding_done(struct binding *b);
void vox_binding_copy(struct binding *to_init, const struct binding *from);

bool vox_target_is_set(const struct target *t);
// The same object as far as can be told: by ids where both have one, else by names.
bool vox_target_equals(const struct target *a, const struct target *b);

// What the parameters ask for. False: an id and a name of one object, or no application where one must be
// (`needs_application`: not for what is to be unbound).
must_use bool vox_binding_read(const struct params *p, bool needs_application, struct binding *ret_init,
                               struct fault *fault);

// `held` with what `asked` names in place of what was there; another application takes its rule and user
// along.
void vox_binding_merge(struct binding *held, const struct binding *asked);
// `held` without what `asked` names: the user or the rule where one is named, all with the application alone
// or where nothing is named. What is not bound so stays.
void vox_binding_remove(struct binding *held, const struct binding *asked);

// What identifies the bound user in the account's index: "id:9", or "name:alice@12" where only names are
// known (user names are unique in an application). Empty without a user. Appends.
void vox_binding_user_key(const struct binding *b, struct buf *out);

#endif
