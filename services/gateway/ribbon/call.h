// One request under way. Loop thread only. Freed by its answer.
#ifndef ROLLCALL_GATEWAY_RIBBON_CALL_H
#define ROLLCALL_GATEWAY_RIBBON_CALL_H

#include "services/gateway/ribbon/form.h"
#include "services/gateway/ribbon/sync.h"
#include "services/gateway/ribbon/view.h"

#include <sys/queue.h>

// Registrations of other dialects, as entries of a table that is listed nowhere (clients make ids as max +
// 1).
#define VIRTUAL_TABLE 65535

struct call;
typedef void call_fn(struct call *c);

struct ribbon {
    struct ribbon_params params;
    struct dialect_calls calls;
    TAILQ_HEAD(, call) writers; // one of an account at a time goes on: others would only meet it in Redis
};

struct call {
    struct dialect_call call;
    struct ribbon *ribbon;
    struct path path;
    struct buf base;  // "https://host"
    struct buf href;  // of what is asked for, without query
    struct str login; // name that was given; borrows from `text`
    struct buf text;  // the body of a login, decoded

    const struct resource *resource;
    bool is_collection;
    struct row_id id; // of a table: table 0
    bool details;     // of a collection; also where a filter is given
    bool runtime;     // filter=runtime

    TAILQ_ENTRY(call) link;
    bool is_writing;
    call_fn *write;
    call_fn *next; // once the session is known
    unsigned attempts;

    bool has_reader, has_view, has_values, has_before;
    struct reader reader;
    struct view view;
    struct fieldset before, values; // of a write
    struct scope scope;             // what it leaves out of step

    struct store_walk *walk; // of VIRTUAL_TABLE's collection
    bool is_streaming, is_gone;
    struct buf slice;
};

static inline struct store *call_store(const struct call *c)
{
    return c->ribbon->params.shared->store;
}

static inline const char *call_account(const struct call *c)
{
    return c->call.account->name;
}

// Runs `write` when no other write of the account is under way on this loop.
void ribbon_call_begin_write(struct call *c, call_fn *write);
// Again from its reads, because others wrote meanwhile; answers the call where that was so too often.
void ribbon_call_write_again(struct call *c);
void ribbon_call_free(struct call *c); // for envelope.c

#endif
