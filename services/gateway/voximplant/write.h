// One registration written, and what its binding takes away from another: a user holds at most one (contract
// voximplant 5). Both go in one batch, so that no reader ever sees the user twice or nowhere.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_WRITE_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_WRITE_H

#include "services/gateway/voximplant/call.h"
#include "services/gateway/voximplant/model.h"

struct write {
    struct asked asked;
    struct binding binding; // that is asked for, resolved
    bool unbinds;           // it is to be taken away
    bool creates;
    struct registration before; // as it was read; unless it creates
    struct registration after;
    void (*again)(struct call *c); // another write came between
    void (*written)(struct call *c, const struct store_record *record);
};

// The call's work, empty, with the binding that the parameters ask for. NULL: the call was answered.
struct write *vox_write_begin(struct call *c, bool needs_application);
// Puts `before` and a copy of it in `after` in place of those of an attempt before.
void vox_write_take(struct write *w, const struct registration *before);
// `after` goes to the store. Answers the call where that fails, else calls `written`.
void vox_write_submit(struct call *c);

// A copy of `r` without the user (or what else `binding` names); registers no longer where it only did
// because of the user.
void vox_write_unbound(struct registration *ret_init, const struct registration *r,
                       const struct binding *binding);

// Another attempt after another write came between: false after so many that the call was answered.
bool vox_write_try_again(struct call *c, const struct error *err);

#endif
