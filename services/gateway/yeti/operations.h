// POST /operations, an addition to Yeti's API: the atomic operations extension of JSON:API
// (https://jsonapi.org/ext/atomic) over registrations and their relationships. Up to STORE_BATCH_MAX
// operations, all or none of them; each sees what those before it did. What is shared by its files.
#ifndef ROLLCALL_GATEWAY_YETI_OPERATIONS_H
#define ROLLCALL_GATEWAY_YETI_OPERATIONS_H

#include "common/base/keyed_table.h"
#include "services/gateway/yeti/body.h"
#include "services/gateway/yeti/call.h"
#include "services/gateway/yeti/values.h"

#include <stdlib.h>

// A registration that operations are about.
struct subject {
    uint64_t id;    // 0: made here
    struct str lid; // of one made here; p NULL: it has none
    bool existed, lives;
    struct registration before, now; // where it existed; where it lives or lived
    size_t named_by;                 // the operation that gave it its name
    size_t item;                     // its place in the batch
    UT_hash_handle hh_id, hh_lid, hh_name;
};

struct action {
    enum { ACTION_ADD, ACTION_UPDATE, ACTION_REMOVE } kind;
    const struct relation *relation; // of an update of a relationship; NULL: of the resource
    struct body body;                // borrows from the call's body
    struct subject *subject;
    bool shows;          // its result has data
    struct values shown; // which is this
};

struct operations {
    struct buf text; // as it comes
    struct action *actions;
    struct subject *subjects; // room for one an action
    size_t action_count, subject_count;
    struct subject *by_id, *by_lid, *by_name; // by_name: of those that live
    bool places;                              // pops or nodes are referred to
};

// What an error of the n-th operation points to: /atomic:operations/<n>, then `member`.
void operations_point(struct errors *e, size_t n, const char *member);

// operations_read.c: the form of all operations, before anything is looked up. Borrows from root. False:
// *errors says what is wrong.
bool operations_read(struct operations *o, const struct json *root, struct errors *errors);

void operations_done(struct operations *o);

// operations_apply.c: one after the other over the subjects as they were read. False: c->errors says what the
// first that fails does.
bool operations_apply(struct call *c, struct operations *o);
void operations_forget(struct operations *o); // what apply made and what was read, for another try
// The name of the operation's registration was taken by somebody else.
void operations_refuse_name(struct call *c, size_t n);

#endif
