// Create and update: gives the id, seals, hands the whole registration to write.lua and says what came of it.
#include "common/base/fault.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/secrets.h"

#include <errno.h>
#include <stdlib.h>

// Ids that the sequence gives again although they are in use: only after a fail-over lost its last values.
#define MAX_USED_IDS 1000

struct write_call {
    struct store_write w;
    store_record_fn *fn;
    void *arg;
    bool id_used; // the sequence gave an id that is in use: ask for the next
    unsigned used_count;
    uint64_t expected; // revision; 0: create
    char *traceparent, *actor;
    struct registration given; // create: as it came, since a secret is sealed for one id
    struct registration reg;   // what is to be stored; once answered, what is stored
    char *status;
};

static void ask_id(struct write_call *c);

static void finish(struct store_write *w)
{
    struct write_call *c = container_of(w, struct write_call, w);
    if (c->id_used && ++c->used_count < MAX_USED_IDS && !w->s->closing) {
        ask_id(c);
        return;
    }
    const struct store_record record = {.reg = c->reg, .status = str_of(c->status)};
    if (w->err.code)
        c->fn(c->arg, w->err.code, NULL, &w->err);
    else
        c->fn(c->arg, 0, &record, NULL);
    free(c->traceparent);
    free(c->actor);
    free(c->status);
    registration_done(&c->given);
    registration_done(&c->reg);
    free(c);
}

// Positions in an answer of write.lua.
enum answer {
    ANSWER_CODE,
    ANSWER_REVISION,
    ANSWER_CREATED,
    ANSWER_UPDATED,
    ANSWER_REFRESH,
    ANSWER_FLUSH,
    ANSWER_AUDIT,
    ANSWER_STATUS,
    ANSWER_OLD_PLACE,
    ANSWER_MOVED_FROM
};

static uint64_t number_at(const struct redis_value *v, enum answer at)
{
    return (uint64_t)redis_int(redis_at(v, at));
}

static void take_stored(struct write_call *c, const struct redis_value *v)
{
    c->reg.revision = number_at(v, ANSWER_REVISION);
    c->reg.created_at_ms = number_at(v, ANSWER_CREATED);
    c->reg.updated_at_ms = number_at(v, ANSWER_UPDATED);
    c->reg.refresh_seq = number_at(v, ANSWER_REFRESH);
    c->reg.flush_seq = number_at(v, ANSWER_FLUSH);
    c->reg.audit_seq = number_at(v, ANSWER_AUDIT);
    struct str status = redis_str(redis_at(v, ANSWER_STATUS));
    c->status = status.n ? str_dup(status) : NULL;
}

static struct store_change *change(const struct write_call *c, enum store_op op, struct str place)
{
    return store_change_new(op, c->reg.id, c->reg.revision, str_of(c->reg.account), place,
                            str_of(c->traceparent));
}

// To the old place first: it should be silent by the time the new one speaks. The last status goes with every
// change until the new place has reported, because the one that told of the move may not have arrived.
static void publish(const struct write_call *c, const struct redis_value *v)
{
    struct str old_place = redis_str(redis_at(v, ANSWER_OLD_PLACE));
    bool may_be_new = redis_str(redis_at(v, ANSWER_MOVED_FROM)).n > 0;
    struct store *s = c->w.s;
    char place[REGISTRATION_PLACE_BYTES];
    registration_place(&c->reg, place);
    bool moved = old_place.n && !str_eq_cstr(old_place, place);
    if (moved)
        s->params.on_written(s->params.arg, change(c, STORE_OP_MOVED, old_place));

    struct store_change *desired = change(c, STORE_OP_DESIRED, str_of(place));
    struct buf spec cleanup(buf_done) = BUF_INIT;
    registration_write(&spec, &c->reg);
    desired->spec = buf_steal(&spec);
    desired->status = may_be_new ? mem_dup_cstr(c->status) : NULL;
    s->params.on_written(s->params.arg, desired);
    s->params.on_events(s->params.arg, store_shard(str_of(c->reg.account)));
}

static void refused(struct write_call *c, struct str code)
{
    struct error *err = &c->w.err;
    unsigned long long id = c->reg.id;
    if (str_eq_cstr(code, "absent"))
        (void)error_set(err, -ENOENT, "no registration %llu in this account", id);
    else if (str_eq_cstr(code, "exists"))
        (void)error_set(err, -EEXIST, "another registration of this account has that name");
    else if (str_eq_cstr(code, "stale"))
        (void)error_set(err, -ESTALE, "registration %llu was written meanwhile", id);
    else if (str_eq_cstr(code, "used"))
        (void)error_set(err, -EIO, "the sequence of ids gave %llu, which is in use", id);
    else
        (void)error_set(err, -EIO, "write.lua gave an answer that is none");
}

static void on_written(void *arg, const struct redis_value *v, const struct error *err)
{
    struct write_call *c = arg;
    if (err) {
        (void)store_error(&c->w.err, err);
        store_write_answered(&c->w);
        return;
    }
    FAULT_POINT("after_redis_write");
    struct str code = redis_str(redis_at(v, ANSWER_CODE));
    bool written = str_eq_cstr(code, "ok");
    if (written || str_eq_cstr(code, "same"))
        take_stored(c, v);
    else
        refused(c, code);
    c->id_used = str_eq_cstr(code, "used");
    if (written)
        publish(c, v);
    store_write_answered(&c->w);
}

static void add_number(struct buf *out, uint64_t value)
{
    buf_clear(out);
    buf_add_u64(out, value);
}

static void send(struct store_write *w)
{
    struct write_call *c = container_of(w, struct write_call, w);
    const struct registration *r = &c->reg;
    char place[REGISTRATION_PLACE_BYTES], digest[STORE_DIGEST_BYTES];
    registration_place(r, place);
    key_binding_digest(r, digest);
    struct buf key cleanup(buf_done) = BUF_INIT, id cleanup(buf_done) = BUF_INIT;
    struct buf expected cleanup(buf_done) = BUF_INIT, bucket cleanup(buf_done) = BUF_INIT;
    struct buf due cleanup(buf_done) = BUF_INIT;
    struct buf spec cleanup(buf_done) = BUF_INIT, event cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(r->account)), r->id);
    add_number(&id, r->id);
    add_number(&expected, c->expected);
    add_number(&bucket, key_bucket(r->id));
    add_number(&due, STORE_ACK_WAIT_MS);
    record_spec(&spec, r);
    record_event(&event, r, str_of(c->actor));
    const struct str argv[] = {
        buf_str(&key),          buf_str(&id),    str_of(r->account), buf_str(&expected),
        str_of(r->name),        str_of(place),   buf_str(&bucket),   r->enabled ? STR_LIT("1") : STR_LIT("0"),
        str_of(digest),         buf_str(&spec),  buf_str(&due),      str_of(w->s->source),
        str_of(c->traceparent), buf_str(&event),
    };
    redis_script(store_writer(w->s), &w->s->write, on_written, c, 1, ARRAY_LEN(argv), argv);
}

static void on_id(void *arg, const struct redis_value *v, const struct error *err)
{
    struct write_call *c = arg;
    int64_t id = v ? redis_int(v) : 0;
    if (err)
        (void)store_error(&c->w.err, err);
    else if (id <= 0)
        (void)error_set(&c->w.err, -EIO, "the sequence of ids is damaged: it gave %lld", (long long)id);
    if (!c->w.err.code) {
        registration_done(&c->reg);
        registration_copy(&c->reg, &c->given);
        c->reg.id = (uint64_t)id;
        if (secrets_seal(c->w.s->params.ring, NULL, &c->reg, &c->w.err))
            c->w.err.code = -EIO;
    }
    if (c->w.err.code)
        store_write_fail(&c->w);
    else
        store_write_begin(&c->w);
}

static void ask_id(struct write_call *c)
{
    c->id_used = false;
    c->w.err = (struct error){0};
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_global(&key, "seq");
    redis_commandl(c->w.s->reads.redis, on_id, c, STR_LIT("INCR"), buf_str(&key));
}

static struct write_call *write_call_new(struct store *s, const struct store_write_context *context,
                                         store_record_fn *fn, void *arg)
{
    struct write_call *c = mem_alloc(sizeof *c);
    c->w = (struct store_write){.s = s, .send = send, .finish = finish};
    c->fn = fn;
    c->arg = arg;
    c->traceparent = str_dup(context->traceparent);
    c->actor = str_dup(context->actor);
    return c;
}

void store_create(struct store *s, const struct registration *reg, const struct store_write_context *context,
                  store_record_fn *fn, void *arg)
{
    struct write_call *c = write_call_new(s, context, fn, arg);
    registration_copy(&c->given, reg);
    if (store_writable(s, &c->w.err)) // asked before an id is used up
        store_write_fail(&c->w);
    else
        ask_id(c);
}

void store_update(struct store *s, const struct registration *before, const struct registration *after,
                  const struct store_write_context *context, store_record_fn *fn, void *arg)
{
    struct write_call *c = write_call_new(s, context, fn, arg);
    registration_copy(&c->reg, after);
    c->reg.id = before->id;
    c->expected = before->revision;
    if (!str_eq(str_of(before->account), str_of(after->account)))
        (void)error_set(&c->w.err, -EIO, "a registration stays in its account");
    else if (secrets_seal(s->params.ring, before, &c->reg, &c->w.err))
        c->w.err.code = -EIO;
    if (c->w.err.code)
        store_write_fail(&c->w);
    else
        store_write_begin(&c->w);
}
