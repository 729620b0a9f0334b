// What each method does; a call that gets here is allowed to. Each answers its call, now or later.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_HANDLERS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_HANDLERS_H

#include "services/gateway/voximplant/call.h"

void vox_create_run(struct call *c);
void vox_update_run(struct call *c);
void vox_bind_run(struct call *c);
void vox_delete_run(struct call *c);
void vox_list_run(struct call *c);

#endif
