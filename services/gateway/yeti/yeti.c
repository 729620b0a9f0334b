// See yeti.h. The order of checks is the contract's (4.1): route, token, media types, then the handler's:
// query, body, record, validation.
#include "services/gateway/yeti/yeti.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/negotiate.h"
#include "services/gateway/yeti/routes.h"

#include <stdlib.h>

struct yeti *yeti_new(const struct yeti_params *p)
{
    struct yeti *y = mem_alloc(sizeof(*y));
    y->params = *p;
    TAILQ_INIT(&y->calls);
    return y;
}

// The store answers what it was asked when it is freed, later; passwords are answered by nobody any more.
void yeti_free(void *yeti)
{
    struct yeti *y = yeti;
    struct call *c, *next;
    if (!y)
        return;
    y->closing = !TAILQ_EMPTY(&y->calls);
    if (!y->closing) {
        free(y);
        return;
    }
    bool last = false;
    for (c = TAILQ_FIRST(&y->calls); c && !last; c = next) {
        next = TAILQ_NEXT(c, link);
        last = !next; // with the last call the whole may be gone
        if (c->in_password_check)
            answer_unavailable(c, "The gateway is stopping.");
    }
}

static void set_base(struct call *c)
{
    buf_add_cstr(&c->base, negotiate_scheme(c));
    buf_add_cstr(&c->base, "://");
    buf_add_str(&c->base, http_host(c->http));
    buf_add_cstr(&c->base, YETI_PREFIX);
}

void yeti_handle(void *yeti, struct http_request *r)
{
    struct yeti *y = yeti;
    struct call *c = mem_alloc(sizeof(*c));
    c->yeti = y;
    c->http = r;
    TAILQ_INSERT_TAIL(&y->calls, c, link);
    if (!routes_match(c)) {
        answer_error(c, PROBLEM_NO_ROUTE, str_of(http_method_name(http_method(r))), http_path(r));
        return;
    }
    negotiate_read(c);
    set_base(c);
    bool passes = c->route->open || (negotiate_token(c) && negotiate_media(c) && negotiate_query(c));
    if (passes)
        c->route->run(c);
}
