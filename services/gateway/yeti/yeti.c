// See yeti.h. The order of checks is the contract's (4.1): route, token, roles and rate, media types, then
// the handler's: query, body, record, validation.
#include "services/gateway/yeti/yeti.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/negotiate.h"
#include "services/gateway/yeti/routes.h"

#include <stdlib.h>

struct yeti *yeti_new(const struct yeti_params *p)
{
    struct yeti *y = mem_alloc(sizeof(*y));
    y->params = *p;
    dialect_calls_init(&y->calls, y, free);
    return y;
}

void yeti_not_begun(struct dialect_call *call)
{
    answer_unavailable(container_of(call, struct call, call),
                       "The request was not begun: too much is under way, or the gateway stops.");
}

void yeti_free(void *yeti)
{
    struct yeti *y = yeti;
    dialect_calls_close(&y->calls, yeti_not_begun);
}

static void set_base(struct call *c)
{
    buf_add_cstr(&c->base, dialect_scheme(c->yeti->params.shared, c->call.http));
    buf_add_cstr(&c->base, "://");
    buf_add_str(&c->base, http_host(c->call.http));
    buf_add_cstr(&c->base, YETI_PREFIX);
}

static void run(struct dialect_call *base)
{
    struct call *c = container_of(base, struct call, call);
    c->route->run(c);
}

static void take_turn(struct call *c)
{
    enum http_method m = http_method(c->call.http);
    bool reads = m == HTTP_GET || m == HTTP_HEAD, lists = c->route->run == registrations_index;
    enum fair_lane lane = c->route->flags & (ROUTE_LINES | ROUTE_ATOMIC) ? FAIR_BULK : FAIR_REQUESTS;
    unsigned cost = lists ? FAIR_LIST : reads ? FAIR_READ : FAIR_WRITE;
    if (!dialect_admit(c->yeti->params.shared, &c->call, lane, cost, run, yeti_not_begun))
        answer_unavailable(c, "Too many requests of this account wait already.");
}

void yeti_handle(void *yeti, struct http_request *r)
{
    struct yeti *y = yeti;
    struct call *c = mem_alloc(sizeof(*c));
    dialect_call_begin(&y->calls, &c->call, r);
    c->yeti = y;
    if (!routes_match(c)) {
        answer_error(c, PROBLEM_NO_ROUTE, str_of(http_method_name(http_method(r))), http_path(r));
        return;
    }
    negotiate_read(c);
    set_base(c);
    if (c->route->flags & ROUTE_OPEN)
        c->route->run(c);
    else if (negotiate_token(c) && negotiate_limits(c) && negotiate_media(c) && negotiate_query(c))
        take_turn(c);
}

bool yeti_takes_upload(void *yeti, enum http_method method, struct str path)
{
    const struct yeti *y = yeti;
    return !y->params.strict && routes_takes_upload(method, path);
}
