// One parameter of a query string, its name taken apart as Rails does: base[key] or base[key][].
#ifndef ROLLCALL_GATEWAY_YETI_PARAMS_H
#define ROLLCALL_GATEWAY_YETI_PARAMS_H

#include "common/http/http.h"

struct param {
    struct str base;
    struct str key; // p NULL: there are no brackets
    bool list;      // ends in []
    struct str value;
};

// Borrows from the pair.
struct param param_of(const struct http_pair *pair);

#endif
