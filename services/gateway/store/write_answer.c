// What write.lua answered: what is stored now, what forbade it, what is to be published. A large batch is
// published in slices, a loop turn each.
#include "common/base/fault.h"
#include "common/base/mem.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/write_call.h"

#include <errno.h>
#include <stdlib.h>

// Positions in an answer of write_item in write.lua, and of delete_item.
enum written {
    W_CODE,
    W_REVISION,
    W_CREATED,
    W_UPDATED,
    W_REFRESH,
    W_FLUSH,
    W_AUDIT,
    W_STATUS,
    W_OLD_PLACE,
    W_FROM
};
enum removed { R_CODE, R_REVISION, R_PLACE, R_SPEC, R_TWIN, R_STATUS };

static uint64_t number_at(const struct redis_value *v, size_t at)
{
    return (uint64_t)redis_int(redis_at(v, at));
}

static char *text_at(const struct redis_value *v, size_t at)
{
    struct str text = redis_str(redis_at(v, at));
    return text.n ? str_dup(text) : NULL;
}

static struct store_change *change(const struct write_call *c, const struct write_item *item,
                                   enum store_op op, uint64_t revision, struct str place)
{
    return store_change_new(op, item->reg.id, revision, str_of(c->account), place, str_of(c->traceparent));
}

static void take_deleted(struct write_call *c, struct write_item *item, const struct redis_value *v)
{
    item->changed =
        change(c, item, STORE_OP_REMOVE, number_at(v, R_REVISION), redis_str(redis_at(v, R_PLACE)));
    item->changed->spec = text_at(v, R_SPEC);
    item->changed->twin = number_at(v, R_TWIN) == 1;
    item->changed->status = text_at(v, R_STATUS);
}

// To the old place first: it should be silent by the time the new one speaks. The last status goes with every
// change until the new place has reported, because the one that told of the move may not have arrived.
static void take_written(struct write_call *c, struct write_item *item, const struct redis_value *v)
{
    struct registration *r = &item->reg;
    r->revision = number_at(v, W_REVISION);
    r->created_at_ms = number_at(v, W_CREATED);
    r->updated_at_ms = number_at(v, W_UPDATED);
    r->refresh_seq = number_at(v, W_REFRESH);
    r->flush_seq = number_at(v, W_FLUSH);
    r->audit_seq = number_at(v, W_AUDIT);
    item->status = text_at(v, W_STATUS);
    if (!str_eq_cstr(redis_str(redis_at(v, W_CODE)), "ok"))
        return;
    char place[REGISTRATION_PLACE_BYTES];
    registration_place(r, place);
    struct str old_place = redis_str(redis_at(v, W_OLD_PLACE));
    if (old_place.n && !str_eq_cstr(old_place, place))
        item->moved = change(c, item, STORE_OP_MOVED, r->revision, old_place);
    item->changed = change(c, item, STORE_OP_DESIRED, r->revision, str_of(place));
    if (redis_str(redis_at(v, W_FROM)).n)
        item->changed->status = mem_dup_cstr(item->status);
}

static void publish_item(struct write_call *c, struct write_item *item)
{
    struct store *s = c->w.s;
    if (item->changed && !item->changed->spec) {
        struct buf spec = BUF_INIT;
        registration_write(&spec, &item->reg);
        item->changed->spec = buf_steal(&spec);
    }
    if (item->moved)
        s->params.on_written(s->params.arg, item->moved);
    if (item->changed)
        s->params.on_written(s->params.arg, item->changed);
    item->moved = item->changed = NULL;
}

static bool any_changed(const struct write_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].changed)
            return true;
    return false;
}

// A store that closes publishes no more: the sweep does.
static void publish_slice(struct store_later *l)
{
    struct write_call *c = container_of(l, struct write_call, w.later);
    struct store *s = c->w.s;
    size_t end = c->next + WRITE_CALL_SLICE < c->count ? c->next + WRITE_CALL_SLICE : c->count;
    while (!s->closing && c->next < end)
        publish_item(c, &c->items[c->next++]);
    if (!s->closing && c->next < c->count)
        store_run_later(s, &c->w.later, publish_slice);
    else
        store_write_answered(&c->w);
}

static void take_answers(struct write_call *c, const struct redis_value *v)
{
    FAULT_POINT("after_redis_write");
    for (size_t i = 0; i < c->count; i++) {
        struct write_item *item = &c->items[i];
        if (item->kind == STORE_ITEM_DELETE)
            take_deleted(c, item, redis_at(v, 1 + i));
        else
            take_written(c, item, redis_at(v, 1 + i));
    }
    bool changed = any_changed(c);
    c->next = 0;
    if (changed)
        c->w.s->params.on_events(c->w.s->params.arg, store_shard(str_of(c->account)));
    publish_slice(&c->w.later);
}

static const struct refusal {
    const char *code;
    int rc;
    bool of_item;
    const char *text;
} refusals[] = {
    {"absent", -ENOENT, true, "there is none in this account"},
    {"exists", -EEXIST, true, "another registration of this account has that name"},
    {"stale", -ESTALE, true, "it was written meanwhile"},
    {"used", -EAGAIN, true, "the sequence of ids gave one that is in use"},
    {"twice", -EIO, true, "it stands twice in a batch"},
    {"outdated", -ESTALE, false, "objects of the account that it follows from were changed meanwhile"},
    {"crowded", -ESTALE, false, "another registration of this account got there first"},
    {"reused", -EALREADY, false, "the idempotency key was used for another request"},
};

static void refuse(struct write_call *c, struct str code, size_t at)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        if (!str_eq_cstr(code, r->code))
            continue;
        (void)error_set(&c->w.err, r->rc, "%s", r->text);
        if (!r->of_item || at >= c->count)
            return;
        c->failed = at;
        (void)error_prefix(&c->w.err, "registration %llu", (unsigned long long)c->items[at].reg.id);
        return;
    }
    (void)error_set(&c->w.err, -EIO, "write.lua gave an answer that is none");
}

static void answered_unwritten(struct write_call *c, const struct redis_value *v)
{
    struct str code = redis_str(redis_at(v, 0));
    if (str_eq_cstr(code, "replayed"))
        c->replayed = number_at(v, 1);
    else
        refuse(c, code, (size_t)number_at(v, 1));
    store_write_answered(&c->w);
}

void write_call_on_answer(void *arg, const struct redis_value *v, const struct error *err)
{
    struct write_call *c = arg;
    if (err) {
        (void)store_error(&c->w.err, err);
        store_write_answered(&c->w);
    } else if (str_eq_cstr(redis_str(redis_at(v, 0)), "ok")) {
        take_answers(c, v);
    } else {
        answered_unwritten(c, v);
    }
}
