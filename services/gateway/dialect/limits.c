// How much one may ask: see dialect.h.
#include "common/base/clock.h"
#include "services/gateway/dialect/dialect.h"

struct throttle_answer dialect_throttle(const struct dialect_shared *shared, const struct dialect_call *c,
                                        uint32_t cost)
{
    struct buf who cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&who, c->principal->account->name);
    buf_add_char(&who, '/');
    buf_add_cstr(&who, c->principal->username);
    return throttle_request(shared->throttle, buf_str(&who), cost, clock_monotonic_us());
}

struct throttle_answer dialect_throttle_login(const struct dialect_shared *shared,
                                              const struct http_request *r, struct str name)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    return throttle_login(shared->throttle, name, dialect_client(shared, r, &scratch), clock_monotonic_us());
}

void dialect_login_failed(const struct dialect_shared *shared, const struct http_request *r, struct str name)
{
    struct buf scratch cleanup(buf_done) = BUF_INIT;
    throttle_login_failed(shared->throttle, name, dialect_client(shared, r, &scratch), clock_monotonic_us());
}
