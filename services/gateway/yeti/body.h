// The body of a write: a JSON:API resource object or linkage (contract 3, 5.2), checked for its form against
// the type's tables. What its attributes are worth is not judged here.
#ifndef ROLLCALL_GATEWAY_YETI_BODY_H
#define ROLLCALL_GATEWAY_YETI_BODY_H

#include "services/gateway/yeti/errors.h"
#include "services/gateway/yeti/types.h"

struct linkage {
    bool given;
    int64_t id; // 0: null
};

struct body {
    const struct json *attributes;          // an object or NULL; every name in it is of the type
    struct linkage linkages[RELATIONS_MAX]; // by index in the type's table
    const struct json *id;                  // client-supplied; NULL
    struct str lid;                         // its local id; p NULL
};

struct body_params {
    const struct type *type;
    struct str url_id; // of an update; p NULL: a create
    bool client_ids;   // a create may name its id
    bool local_ids;    // `lid` may stand there
    bool strict;       // attributes that a Yeti does not know are refused
};

// root: the whole body, an object or NULL. False: *errors holds the first thing that is wrong. Borrows from
// root.
bool body_read(struct body *ret, const struct json *root, const struct body_params *p, struct errors *errors);

// The same of the resource object itself.
bool body_read_resource(struct body *ret, const struct json *data, const struct body_params *p,
                        struct errors *errors);

// The body of a write to …/relationships/X.
bool body_read_linkage(struct linkage *ret, const struct json *root, const struct relation *relation,
                       struct errors *errors);

#endif
