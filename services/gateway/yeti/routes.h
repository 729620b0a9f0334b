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
    enum {
        ROUTE_OPEN = 1,     // needs no token and no media types
        ROUTE_ADDITION = 2, // not of Yeti's
        ROUTE_UPLOAD = 4,   // the body is read while it comes
        ROUTE_LINES = 8,    // its body or its answer is newline-delimited JSON
        ROUTE_ATOMIC = 16,  // both are documents of the atomic operations extension
        ROUTE_COMMAND = 32, // needs no body, and then no type of it
    } flags;
};

// Finds the route and fills c->route, type, relation and id_text; false: there is none.
bool routes_match(struct call *c);

// Whether it is a route with ROUTE_UPLOAD. `path` is the whole one.
bool routes_takes_upload(enum http_method method, struct str path);

#endif
