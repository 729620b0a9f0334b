// Who asks: an RS256 token of a key, or an API key among the parameters (contract voximplant 2); how often;
// and whether the method is for their roles.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_LOGIN_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_LOGIN_H

#include "services/gateway/voximplant/call.h"

// Sets the call's principal and account. False: the call was answered.
bool vox_login_run(struct call *c);

#endif
