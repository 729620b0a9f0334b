// Which URLs exist: one table of method, path and handler (contract 4). A path that is not in it is unknown
// before anything else is looked at.
#ifndef ROLLCALL_GATEWAY_YETI_ROUTES_H
#define ROLLCALL_GATEWAY_YETI_ROUTES_H

#include "services/gateway/yeti/call.h"

struct route {
    unsigned methods; // bits by enum http_method
    const char
        *pattern; // below YETI_PREFIX; ":id" any text, ":rel" a relationship of the type with endpoints
    enum type_id type;
    call_fn *run;
    bool open; // needs no token and no media types
};

// Finds the route and fills c->route, type, relation and id_text; false: there is none.
bool routes_match(struct call *c);

#endif
