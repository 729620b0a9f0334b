// The methods and who may call them.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_METHODS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_METHODS_H

#include "services/gateway/voximplant/call.h"

struct method {
    const char *name;
    unsigned roles; // bits; one of them is enough
    bool reads;     // changes nothing
    void (*run)(struct call *c);
};

const struct method *vox_method_of(struct str name); // NULL: none; names are compared exactly
// "Owner, Admin" …: the roles of a method, for a sentence. Appends.
void vox_method_roles(const struct method *m, struct buf *out);

#endif
