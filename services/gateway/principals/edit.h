// Changing the principals file: whole or not at all, one change at a time, never a bad file and never into
// one.
#ifndef ROLLCALL_GATEWAY_PRINCIPALS_EDIT_H
#define ROLLCALL_GATEWAY_PRINCIPALS_EDIT_H

#include "common/base/error.h"
#include "common/json/json.h"
#include "services/gateway/auth/principals.h"

struct edit {
    char *path;                    // symbolic links followed
    int lock_fd;                   // the directory's, locked against another change
    struct json *root;             // NULL: the file is new
    struct principals *principals; // NULL: the same
};

// Where `may_be_new`, the file need not exist. Errors name the file. To be done in either case.
must_use int edit_open(struct edit *ret_init, const char *path, bool may_be_new, struct error *err);
void edit_done(struct edit *e);

// Adds a record (JSON) to "accounts", "users" or "keys" and puts the file in its place.
must_use int edit_add(struct edit *e, const char *list, struct str record, struct error *err);

#endif
