// See write_call.h: from the items to the script. A large batch is prepared in slices, a loop turn each.
#include "services/gateway/store/write_call.h"

#include "common/base/mem.h"
#include "services/gateway/store/keys.h"
#include "services/gateway/store/record.h"
#include "services/gateway/store/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Ids that the sequence gives again although they are in use: only after a fail-over lost its last values.
#define MAX_USED_IDS 1000
#define ITEM_ARGS    12 // of write.lua
#define HEAD_ARGS    9  // key and what stands before the unique terms

static void ask_ids(struct write_call *c);

struct write_call *write_call_new(struct store *s, struct str account, size_t item_count,
                                  const struct store_write_context *context)
{
    struct write_call *c = mem_alloc(sizeof *c);
    c->w.s = s;
    c->account = str_dup(account);
    c->traceparent = str_dup(context->traceparent);
    c->actor = str_dup(context->actor);
    if (context->objects_version)
        buf_add_u64(&c->objects_version, *context->objects_version);
    c->items = mem_array(item_count + 1, sizeof *c->items);
    c->count = item_count;
    c->failed = item_count;
    c->ends = mem_array(item_count + 1, ITEM_ARGS * sizeof *c->ends);
    return c;
}

void write_item_refuse(struct write_call *c, size_t at, const char *why)
{
    if (c->w.err.code)
        return;
    c->failed = at;
    (void)error_set(&c->w.err, -EIO, "%s", why);
}

void write_item_update(struct write_call *c, size_t at, const struct registration *before,
                       const struct registration *after)
{
    struct write_item *item = &c->items[at];
    registration_copy(&item->given, before);
    registration_copy(&item->reg, after);
    item->reg.id = before->id;
    item->expected = before->revision;
    if (!str_eq(str_of(before->account), str_of(after->account)))
        write_item_refuse(c, at, "a registration stays in its account");
}

static void item_done(struct write_item *item)
{
    registration_done(&item->given);
    registration_done(&item->reg);
    free(item->status);
    store_change_free(item->moved);
    store_change_free(item->changed);
}

static void finish(struct store_write *w)
{
    struct write_call *c = container_of(w, struct write_call, w);
    c->answer(c);
    for (size_t i = 0; i < c->count; i++)
        item_done(&c->items[i]);
    free(c->items);
    free(c->account);
    free(c->traceparent);
    free(c->actor);
    buf_done(&c->objects_version);
    buf_done(&c->unique);
    buf_done(&c->text);
    free(c->ends);
    free(c);
}

void write_call_fail(struct write_call *c)
{
    c->w.finish = finish;
    store_write_fail(&c->w);
}

static void finish_or_ask_again(struct store_write *w)
{
    struct write_call *c = container_of(w, struct write_call, w);
    if (w->err.code == -EAGAIN && !w->s->closing && ++c->used_count < MAX_USED_IDS) {
        ask_ids(c);
        return;
    }
    if (w->err.code == -EAGAIN)
        w->err.code = -EIO;
    finish(w);
}

// ---- to Redis

static struct str argument(const struct write_call *c, size_t at)
{
    return str_slice(buf_str(&c->text), at ? c->ends[at - 1] : 0, c->ends[at]);
}

static void send(struct store_write *w)
{
    struct write_call *c = container_of(w, struct write_call, w);
    struct buf key cleanup(buf_done) = BUF_INIT, due cleanup(buf_done) = BUF_INIT,
                   unique cleanup(buf_done) = BUF_INIT;
    key_registration(&key, store_shard(str_of(c->account)), c->items[0].reg.id);
    buf_add_u64(&due, STORE_ACK_WAIT_MS);
    size_t unique_count = 0;
    struct str rest = buf_str(&c->unique), term;
    while (str_split(&rest, '\n', &term))
        unique_count++;
    buf_add_u64(&unique, unique_count);
    const struct str head[HEAD_ARGS] = {
        buf_str(&key),          str_of(c->account),           buf_str(&due),
        str_of(w->s->source),   str_of(c->traceparent),       str_of(c->key_digest),
        str_of(c->fingerprint), buf_str(&c->objects_version), buf_str(&unique)};

    size_t argc = HEAD_ARGS;
    struct str *argv = mem_array(HEAD_ARGS + unique_count + c->arg_count, sizeof *argv);
    memcpy(argv, head, sizeof head);
    for (rest = buf_str(&c->unique); str_split(&rest, '\n', &term);)
        argv[argc++] = term;
    for (size_t i = 0; i < c->arg_count; i++)
        argv[argc++] = argument(c, i);
    redis_script(store_writer(w->s), &w->s->write, write_call_on_answer, c, 1, argc, argv);
    free(argv);
}

// ---- what is to be stored

static void end_argument(struct write_call *c)
{
    c->ends[c->arg_count++] = c->text.n;
}

static void add_argument(struct write_call *c, struct str text)
{
    buf_add_str(&c->text, text);
    end_argument(c);
}

static void add_number(struct write_call *c, uint64_t value)
{
    buf_add_u64(&c->text, value);
    end_argument(c);
}

static void add_deletion(struct write_call *c, const struct write_item *item)
{
    add_argument(c, STR_LIT("delete"));
    add_number(c, item->reg.id);
    add_number(c, item->expected);
    for (size_t i = 3; i < ITEM_ARGS - 2; i++)
        add_argument(c, STR_NONE);
    struct json_writer members = json_writer(&c->text); // without braces: they are the drain's
    json_kv_cstr(&members, "actor", c->actor);
    end_argument(c);
    add_argument(c, STR_NONE);
}

static const char *kind_of(const struct write_item *item)
{
    return item->kind == STORE_ITEM_CREATE ? "create" : item->quiet ? "reseal" : "update";
}

static void add_write(struct write_call *c, const struct write_item *item)
{
    const struct registration *r = &item->reg;
    char place[REGISTRATION_PLACE_BYTES], digest[STORE_DIGEST_BYTES];
    struct buf terms cleanup(buf_done) = BUF_INIT;
    registration_place(r, place);
    key_binding_digest(r, digest);
    terms_of(&terms, r);
    add_argument(c, str_of(kind_of(item)));
    add_number(c, r->id);
    add_number(c, item->expected);
    add_argument(c, str_of(r->name));
    add_argument(c, str_of(place));
    add_number(c, key_bucket(r->id));
    add_argument(c, r->enabled ? STR_LIT("1") : STR_LIT("0"));
    add_argument(c, str_of(digest));
    record_spec(&c->text, r);
    end_argument(c);
    add_argument(c, buf_str(&terms));
    record_event(&c->text, r, str_of(c->actor));
    end_argument(c);
    secrets_key(r, &c->text);
    end_argument(c);
}

static int seal(struct write_call *c, struct write_item *item)
{
    struct key_ring *ring cleanup(key_ring_drop) = key_ring_box_get(c->w.s->params.keys);
    if (item->kind == STORE_ITEM_UPDATE) {
        int rc = item->sealed ? 0 : secrets_seal(ring, &item->given, &item->reg, &c->w.err);
        item->sealed = true;
        return rc;
    }
    registration_done(&item->reg);
    registration_copy(&item->reg, &item->given);
    item->reg.id = c->first_id++;
    return secrets_seal(ring, NULL, &item->reg, &c->w.err);
}

static int prepare_item(struct write_call *c, struct write_item *item)
{
    if (item->kind == STORE_ITEM_DELETE) {
        add_deletion(c, item);
        return 0;
    }
    if (seal(c, item)) {
        c->failed = (size_t)(item - c->items);
        return c->w.err.code = -EIO;
    }
    add_write(c, item);
    return 0;
}

static void prepare_slice(struct store_later *l)
{
    struct write_call *c = container_of(l, struct write_call, w.later);
    size_t end = c->next + WRITE_CALL_SLICE < c->count ? c->next + WRITE_CALL_SLICE : c->count;
    for (; c->next < end; c->next++) {
        if (prepare_item(c, &c->items[c->next])) {
            store_write_fail(&c->w);
            return;
        }
    }
    if (c->next < c->count)
        store_run_later(c->w.s, &c->w.later, prepare_slice);
    else
        store_write_begin(&c->w);
}

static void prepare(struct write_call *c)
{
    buf_clear(&c->text);
    c->arg_count = c->next = 0;
    prepare_slice(&c->w.later);
}

static size_t creation_count(const struct write_call *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        count += c->items[i].kind == STORE_ITEM_CREATE;
    return count;
}

static void on_ids(void *arg, const struct redis_value *v, const struct error *err)
{
    struct write_call *c = arg;
    int64_t last = v ? redis_int(v) : 0, count = (int64_t)creation_count(c);
    if (err)
        (void)store_error(&c->w.err, err);
    else if (redis_type(v) == REDIS_NIL)
        (void)error_set(&c->w.err, -EBUSY, "new ids wait until what this Redis lost is written back");
    else if (last < count)
        (void)error_set(&c->w.err, -EIO, "the sequence of ids is damaged: it gave %lld", (long long)last);
    c->first_id = (uint64_t)(last - count + 1);
    if (c->w.err.code)
        store_write_fail(&c->w);
    else
        prepare(c);
}

static void ask_ids(struct write_call *c)
{
    c->w.err = (struct error){0};
    c->failed = c->count;
    struct buf key cleanup(buf_done) = BUF_INIT, count cleanup(buf_done) = BUF_INIT;
    key_global(&key, "seq");
    buf_add_u64(&count, creation_count(c));
    const struct str argv[] = {buf_str(&key), buf_str(&count)};
    redis_script(c->w.s->reads.redis, &c->w.s->ids_take, on_ids, c, 1, ARRAY_LEN(argv), argv);
}

void write_call_begin(struct write_call *c)
{
    c->w.send = send;
    c->w.finish = finish_or_ask_again;
    if (c->w.err.code || store_writable(c->w.s, &c->w.err)) // asked before an id is used up
        store_write_fail(&c->w);
    else if (creation_count(c))
        ask_ids(c);
    else
        prepare(c);
}
