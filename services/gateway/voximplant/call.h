// One request under way: what was read of it, who asks, and what it still waits for. Loop thread only. Freed
// by its answer.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_CALL_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_CALL_H

#include "services/gateway/voximplant/params.h"
#include "services/gateway/voximplant/voximplant.h"

struct method;

struct voximplant {
    const struct dialect_shared *shared;
    struct dialect_calls calls;
};

struct call {
    struct dialect_call base;
    struct voximplant *vox;
    const struct method *method; // NULL until it is known
    struct params params;
    uint64_t id;       // sip_registration_id; 0: not given
    unsigned attempts; // writes that met another one
    void *work;        // the method's own, freed by work_free
    void (*work_free)(void *work);
};

struct store *vox_call_store(const struct call *c);
struct str vox_call_account(const struct call *c);

void vox_call_free(struct call *c); // for answer.c

#endif
