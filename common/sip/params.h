// One parameter after the other of ";name=value;flag". Private to common/sip.
#ifndef ROLLCALL_SIP_PARAMS_H
#define ROLLCALL_SIP_PARAMS_H

#include "common/base/str.h"

struct sip_param {
    struct str name, value; // trimmed; quotes kept
    bool has_value;         // false: a flag
};

// Cuts the next one off *rest, which starts with its semicolon or is empty. Semicolons in quotes do not
// count.
bool sip_param_next(struct str *rest, struct sip_param *ret);

// The first of that name, as names of URI parameters compare (RFC 3261 19.1.4: escapes resolved, case
// folded).
bool sip_param_find(struct str params, struct str name, struct sip_param *ret);

#endif
