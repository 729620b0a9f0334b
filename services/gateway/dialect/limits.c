// How much one may ask: see dialect.h.
#include "common/base/clock.h"
#include "services/gateway/dialect/dialect.h"

struct throttle_answer dialect_throttle_as(const struct dialect_shared *shared, const struct dialect_call *c,
                                           struct str who, uint32_t cost)
{
    struct throttle_answer answer = throttle_request(shared->throttle, who, cost, clock_monotonic_us());
    if (!answer.passes)
        http_answer_late(c->http);
    return answer;
}

struct throttle_answer dialect_throttle(const struct dialect_shared *shared, const struct dialect_call *c,
                                        uint32_t cost)
{
    struct buf who cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&who, c->principal->account->name);
    buf_add_char(&who, '/');
    buf_add_cstr(&who, c->principal->username);
    return dialect_throttle_as(shared, c, buf_str(&who), cost);
}

static void admitted(struct fair_ticket *t)
{
    struct dialect_call *c = container_of(t, struct dialect_call, ticket);
    bool waited = c->waits;
    c->waits = false;
    if (!waited)
        http_prefer(c->http, true);
    if (waited && (fair_is_closed(t) || http_is_gone(c->http)))
        c->dropped(c);
    else
        c->admitted(c);
}

bool dialect_admit(const struct dialect_shared *shared, struct dialect_call *c, enum fair_lane lane,
                   unsigned cost, void (*run)(struct dialect_call *c), void (*drop)(struct dialect_call *c))
{
    c->admitted = run;
    c->dropped = drop;
    switch (fair_ask(shared->fair, &c->ticket, lane, str_of(c->principal->account->name), cost, admitted)) {
    case FAIR_BEGUN:
        return true; // and the call may be over
    case FAIR_QUEUED:
        c->waits = true;
        http_prefer(c->http, false);
        return true;
    case FAIR_FULL:
        http_prefer(c->http, false);
        http_answer_late(c->http);
    }
    return false;
}

struct throttle_answer dialect_throttle_login(const struct dialect_shared *shared, struct http_request *r,
                                              struct str name)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    struct str client = dialect_client(shared, r, &scratch);
    struct throttle_answer answer = throttle_login(shared->throttle, name, client, clock_monotonic_us());
    if (!answer.passes)
        http_answer_late(r);
    return answer;
}

void dialect_login_failed(const struct dialect_shared *shared, const struct http_request *r, struct str name)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    throttle_login_failed(shared->throttle, name, dialect_client(shared, r, &scratch), clock_monotonic_us());
}
