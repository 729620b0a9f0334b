// See row.h.
#include "services/gateway/publish/row.h"

#include "services/gateway/publish/publisher.h"
#include "services/gateway/store/record.h"

// Far more than any that the API takes; a longer one is damage, and a registrant reads no line that long.
#define SPEC_BYTES_MAX ((size_t)256 * 1024)

bool row_read(const struct redis_value *v, struct row *ret)
{
    if (redis_type(v) != REDIS_ARRAY || redis_count(v) < 9)
        return false;
    *ret = (struct row){.id = (uint64_t)redis_int(redis_at(v, 0)),
                        .account = redis_str(redis_at(v, 1)),
                        .revision = (uint64_t)redis_int(redis_at(v, 2)),
                        .place = redis_str(redis_at(v, 3)),
                        .deleted = redis_int(redis_at(v, 4)) == 1,
                        .spec = redis_str(redis_at(v, 5)),
                        .status = redis_str(redis_at(v, 6)),
                        .twin = redis_int(redis_at(v, 7)) == 1,
                        .moved_from = redis_str(redis_at(v, 8))};
    bool fits = ret->spec.n <= SPEC_BYTES_MAX && ret->status.n <= SPEC_BYTES_MAX;
    return fits && ret->id && ret->account.n && ret->spec.n && ret->place.n < REGISTRATION_PLACE_BYTES;
}

struct str row_revision(const struct redis_value *v)
{
    return redis_str(redis_at(v, 2));
}

void row_publish_moved(struct hub *h, uint64_t id, struct str account, uint64_t revision, struct str place)
{
    if (place.n && place.n < REGISTRATION_PLACE_BYTES)
        publisher_publish(h->publisher,
                          store_change_new(STORE_OP_MOVED, id, revision, account, place, STR_NONE));
}

void row_publish(struct hub *h, const struct row *r, struct str stray)
{
    struct str rest = r->moved_from, old;
    while (str_split(&rest, ',', &old))
        row_publish_moved(h, r->id, r->account, r->revision, old);
    enum store_op op = r->deleted ? STORE_OP_REMOVE : STORE_OP_DESIRED;
    struct store_change *c = store_change_new(op, r->id, r->revision, r->account, r->place, STR_NONE);
    c->spec = str_dup(r->spec);
    struct str status = stray.p ? stray : r->status;
    c->status = status.n ? str_dup(status) : NULL;
    c->stray = stray.p != NULL;
    c->twin = r->deleted && r->twin;
    publisher_publish(h->publisher, c);
}

size_t rows_publish(struct hub *h, const struct redis_value *rows, struct str stray)
{
    size_t published = 0;
    struct row r;
    for (size_t i = 0; i < redis_count(rows); i++) {
        if (!row_read(redis_at(rows, i), &r))
            continue;
        row_publish(h, &r, stray);
        published++;
    }
    return published;
}
