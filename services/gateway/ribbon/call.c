// See call.h.
#include "services/gateway/ribbon/call.h"

#include "common/base/mem.h"
#include "services/gateway/ribbon/envelope.h"

#include <errno.h>
#include <string.h>

#define ATTEMPTS_MAX 20

// What a former attempt read.
static void forget(struct call *c)
{
    if (c->has_reader)
        reader_done(&c->reader);
    if (c->has_view)
        view_done(&c->view);
    if (c->has_values)
        fieldset_done(&c->values);
    if (c->has_before)
        fieldset_done(&c->before);
    c->has_reader = c->has_view = c->has_values = c->has_before = false;
    c->scope = (struct scope){.kind = SCOPE_NONE};
}

// The longest waiting writer of that account goes on.
static void end_write(struct call *c)
{
    struct call *other;
    struct ribbon *r = c->ribbon;
    if (!c->is_writing)
        return;
    TAILQ_REMOVE(&r->writers, c, link);
    c->is_writing = false;
    TAILQ_FOREACH(other, &r->writers, link) {
        if (strcmp(call_account(other), call_account(c)) != 0)
            continue;
        other->write(other);
        return;
    }
}

void ribbon_call_begin_write(struct call *c, call_fn *write)
{
    struct call *other;
    bool waits = false;
    TAILQ_FOREACH(other, &c->ribbon->writers, link)
        waits = waits || strcmp(call_account(other), call_account(c)) == 0;
    TAILQ_INSERT_TAIL(&c->ribbon->writers, c, link);
    c->is_writing = true;
    c->write = write;
    if (!waits)
        write(c);
}

void ribbon_call_write_again(struct call *c)
{
    struct error err;
    forget(c);
    if (++c->attempts < ATTEMPTS_MAX)
        c->write(c);
    else
        envelope_failure(c, error_set(&err, -ESTALE, "others write this account's objects all the time"),
                         &err);
}

void ribbon_call_free(struct call *c)
{
    store_walk_end(c->walk);
    forget(c);
    mem_wipe(c->text.p, c->text.n);
    buf_done(&c->text);
    buf_done(&c->base);
    buf_done(&c->href);
    buf_done(&c->slice);
    end_write(c); // may answer others, never this one
    dialect_call_end(&c->call, c);
}
