// One request under way: what was read of it, who asks, and what it still waits for. Loop thread only. Freed
// by its answer.
#ifndef ROLLCALL_GATEWAY_YETI_CALL_H
#define ROLLCALL_GATEWAY_YETI_CALL_H

#include "services/gateway/yeti/document.h"
#include "services/gateway/yeti/errors.h"
#include "services/gateway/yeti/yeti.h"

struct linkage;
struct route;
struct call;
typedef void call_fn(struct call *c);

struct call {
    struct dialect_call call; // whose http, principal and account these are
    struct yeti *yeti;
    const struct route *route;
    const struct type *type;         // of the route
    const struct relation *relation; // of the route's :rel; NULL
    struct buf id_text;              // :id as it stands in the path, decoded
    uint64_t id;                     // the same as a number
    struct http_pairs params;        // the query string
    struct json *body;               // NULL: none
    struct error query_error;        // code 0, or why the query string cannot be read
    struct error body_error;         // the same of the body
    struct buf base;                 // "http://host/api/rest/admin"
    struct query query;
    struct objects pops, nodes; // where they were loaded
    bool pops_loaded, nodes_loaded, wants_pops, wants_nodes;
    call_fn *next; // after loading
    struct errors errors;
    const char *media; // type of the answer's document; NULL: JSON:API's without parameters
    unsigned attempts; // writes that met another one
    void *work;        // the handler's own, freed by work_free
    void (*work_free)(void *work);
};

struct yeti {
    struct yeti_params params;
    struct dialect_calls calls;
};

struct store *call_store(const struct call *c);
struct str call_account(const struct call *c);
struct document call_document(const struct call *c);

// Loads pops and nodes where asked for and not there yet, then runs next. Answers the call itself where the
// store cannot.
void call_load(struct call *c, bool pops, bool nodes, call_fn *next);

// The id in the path as a number. Reads refuse what is no integer literal (103), writes take it for unknown
// (404): contract 5.3. False: the call was answered.
bool call_parse_id(struct call *c, bool strict);

// Reads the query into c->query. False: the call was answered.
bool call_read_query(struct call *c, const struct type *type, enum query_scope scope);

// Takes the text as the body. What is wrong with it is kept for call_read_body.
void call_parse_body(struct call *c, struct str text);

// The body as a JSON object, NULL when it is empty. False: the call was answered.
bool call_read_body(struct call *c, const struct json **ret);

// The body as what the route's relationship is to point to. False: the call was answered.
bool call_read_linkage(struct call *c, struct linkage *ret);

void call_free(struct call *c);                 // for answer.c
void yeti_not_begun(struct dialect_call *call); // answers one that waited in vain

#endif
