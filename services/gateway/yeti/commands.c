// Commands to the registrant that holds a registration, an addition to Yeti's API: refresh now, flush
// (unregister, then register anew), audit (ask the registrar what it holds). Each raises a counter in the
// desired state and does not wait: the answer is 202 with the status as it is, whose `in-sync` becomes true
// once the command was taken up. Refuses to repeat: one that is sent twice is two.
#include "services/gateway/yeti/registrations.h"

#include "common/base/clock.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/conditional.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/routes.h"
#include "services/gateway/yeti/statuses.h"

static void on_raised(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else
        registrations_answer_status(c, 202, record);
}

static void raise_counter(struct call *c)
{
    static const struct {
        call_fn *run;
        enum store_command command;
    } rows[] = {{registrations_refresh, STORE_REFRESH},
                {registrations_flush, STORE_FLUSH},
                {registrations_audit, STORE_AUDIT}};
    const struct store_write_context context = dialect_write_context(&c->call);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].run == c->route->run)
            store_command(call_store(c), call_account(c), c->id, rows[i].command, &context, on_raised, c);
}

static void on_judged(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else if (registrations_pass(c, record))
        raise_counter(c);
}

static void judge(struct call *c)
{
    store_get(call_store(c), call_account(c), c->id, on_judged, c);
}

// A document would be a wish that is not carried out.
static bool takes_nothing(struct call *c)
{
    const struct json *root;
    if (!call_read_body(c, &root))
        return false;
    if (!root || !json_get(root, "data"))
        return true;
    answer_error(c, PROBLEM_BAD_REQUEST, STR_LIT("A command takes no document"), STR_NONE);
    return false;
}

static void run(struct call *c)
{
    bool asks = conditional_asks(c);
    const struct type *representation = asks ? c->type : type_of(TYPE_STATUSES);
    if (!takes_nothing(c) || !call_read_query(c, representation, asks ? QUERY_WRITE : QUERY_SHOW) ||
        !call_parse_id(c, false))
        return;
    if (asks)
        registrations_load(c, false, false, judge);
    else
        raise_counter(c);
}

void registrations_refresh(struct call *c)
{
    run(c);
}

void registrations_flush(struct call *c)
{
    run(c);
}

void registrations_audit(struct call *c)
{
    run(c);
}
