// What this dialect keeps of a registration that the model has no member for: its label "voximplant", and the
// bound user in the label "index", by which the store finds it. A registration of another dialect has none
// and reads as the defaults.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_FACTS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_FACTS_H

#include "common/registration/registration.h"
#include "services/gateway/voximplant/binding.h"

#define FACTS_USER_INDEX "vox-user"
#define FACTS_USER_FIELD "label." FACTS_USER_INDEX

struct facts {
    bool is_persistent;
    struct binding binding;
    char *proxy;          // as it was written, where that is not the domain; NULL
    char *outbound_proxy; // as it was written, where that is not what the first route shows; NULL
};

void vox_facts_of(struct facts *ret_init, const struct registration *r);
void vox_facts_done(struct facts *f);
// Puts them into r's labels; those of other dialects stay.
void vox_facts_store(const struct facts *f, struct registration *r);

// "false = register only while bound": whether it is to be enabled as far as this dialect goes.
bool vox_facts_want_enabled(const struct facts *f);

#endif
