// See fetch.h.
#include "services/gateway/store/fetch.h"

#include "services/gateway/store/record.h"

#include <errno.h>

static void next_slice(struct fetch *f);

static void take_record(struct fetch *f, const struct redis_value *v)
{
    uint64_t id = f->ids[f->next - f->pending]; // answers come in the order of the questions
    struct store_record record = {0};
    struct error err;
    switch (record_read(v, f->account, id, &record, &err)) {
    case 0:
        f->take(f, &record);
        break;
    case -ENOENT: // deleted since its id was read
        break;
    default:
        store_damaged(f->s, id, &err);
        f->damaged_count++;
    }
}

static void take_error(struct fetch *f, const struct error *from_redis)
{
    struct error err;
    if (store_error(&err, from_redis) == -ENOTCONN) {
        f->err = err;
        return;
    }
    uint64_t id = f->ids[f->next - f->pending];
    error_prefix(&err, "what Redis holds of registration %llu is damaged", (unsigned long long)id);
    store_damaged(f->s, id, &err);
    f->damaged_count++;
}

static void on_record(void *arg, const struct redis_value *v, const struct error *err)
{
    struct fetch *f = arg;
    if (err)
        take_error(f, err);
    else if (!f->err.code)
        take_record(f, v);
    if (--f->pending)
        return;
    fair_give_back(&f->slice);
    if (f->err.code)
        f->done(f);
    else
        next_slice(f);
}

static void ask_slice(struct fair_ticket *t)
{
    struct fetch *f = container_of(t, struct fetch, slice);
    if (f->s->closing) {
        (void)error_set(&f->err, -ENOTCONN, "the store is closing");
        fair_give_back(t);
        f->done(f);
        return;
    }
    size_t left = f->count - f->next, most = store_slice_records(t);
    f->pending = left < most ? left : most;
    size_t from = f->next;
    f->next += f->pending;
    for (size_t i = from; i < f->next; i++)
        record_fetch(f->s->reads.redis, f->account, f->ids[i], f->with_status, on_record, f);
}

static void next_slice(struct fetch *f)
{
    if (f->next == f->count)
        f->done(f);
    else
        store_slice_begin(f->s, &f->slice, f->account, ask_slice);
}

void fetch_begin(struct fetch *f)
{
    f->err = (struct error){0};
    f->next = f->pending = f->damaged_count = 0;
    next_slice(f);
}
