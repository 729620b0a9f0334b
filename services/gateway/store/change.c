// Changes to be published: made where Redis accepted them, freed where they were handed to Kafka.
#include "common/base/mem.h"
#include "services/gateway/store/record.h"

#include <stdlib.h>
#include <string.h>

void store_change_free(struct store_change *c)
{
    if (!c)
        return;
    free(c->account);
    free(c->spec);
    free(c->status);
    free(c->traceparent);
    free(c);
}

struct store_change *store_change_new(enum store_op op, uint64_t id, uint64_t revision, struct str account,
                                      struct str place, struct str traceparent)
{
    struct store_change *c = mem_alloc(sizeof *c);
    c->op = op;
    c->id = id;
    c->revision = revision;
    c->account = str_dup(account);
    struct str fits = str_slice(place, 0, REGISTRATION_PLACE_BYTES - 1);
    if (fits.n)
        memcpy(c->place, fits.p, fits.n);
    c->traceparent = traceparent.n ? str_dup(traceparent) : NULL;
    return c;
}

struct store_change *store_change_of_raised(const struct redis_value *row, struct str traceparent)
{
    if (redis_type(row) != REDIS_ARRAY || redis_count(row) < 7)
        return NULL;
    struct store_change *c = store_change_new(
        STORE_OP_DESIRED, (uint64_t)redis_int(redis_at(row, 0)), (uint64_t)redis_int(redis_at(row, 2)),
        redis_str(redis_at(row, 1)), redis_str(redis_at(row, 3)), traceparent);
    c->spec = str_dup(redis_str(redis_at(row, 5)));
    struct str status = redis_str(redis_at(row, 6));
    c->status = status.n ? str_dup(status) : NULL;
    return c;
}
