// Objects of the deployment ("pops", "nodes"), and whether a place is in use.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

struct list_call {
    struct store_later later;
    store_objects_fn *fn;
    void *arg;
};

static int by_id(const void *a, const void *b)
{
    const struct store_object *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void on_list(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct list_call *c = arg;
    if (redis_err) {
        struct error err;
        c->fn(c->arg, store_error(&err, redis_err), NULL, 0, &err);
        free(c);
        return;
    }
    size_t count = redis_count(v) / 2;
    struct store_object *objects = mem_array(count + 1, sizeof *objects);
    for (size_t i = 0; i < count; i++) {
        objects[i].id = (uint64_t)redis_int(redis_at(v, 2 * i));
        objects[i].json = redis_str(redis_at(v, 2 * i + 1));
    }
    qsort(objects, count, sizeof *objects, by_id);
    c->fn(c->arg, 0, objects, count, NULL);
    free(objects);
    free(c);
}

static void list_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    on_list(container_of(l, struct list_call, later), NULL, &err);
}

void store_objects(struct store *s, const char *kind, store_objects_fn *fn, void *arg)
{
    struct list_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, list_closing);
        return;
    }
    struct buf key cleanup(buf_done) = BUF_INIT;
    key_global(&key, kind);
    redis_commandl(s->reads.redis, on_list, c, STR_LIT("HGETALL"), buf_str(&key));
}

struct object_call {
    struct store_write w;
    store_done_fn *fn;
    void *arg;
    struct buf key, id;
    char *json; // NULL: delete
    bool create;
};

static void object_finish(struct store_write *w)
{
    struct object_call *c = container_of(w, struct object_call, w);
    c->fn(c->arg, w->err.code, w->err.code ? &w->err : NULL);
    buf_done(&c->key);
    buf_done(&c->id);
    free(c->json);
    free(c);
}

static void on_object(void *arg, const struct redis_value *v, const struct error *err)
{
    struct object_call *c = arg;
    bool put = redis_type(v) != REDIS_INTEGER;
    if (err)
        (void)store_error(&c->w.err, err);
    else if (put ? str_eq_cstr(redis_str(v), "absent") : redis_int(v) == 0)
        (void)error_set(&c->w.err, -ENOENT, "there is no object %s", c->id.p);
    else if (put && str_eq_cstr(redis_str(v), "exists"))
        (void)error_set(&c->w.err, -EEXIST, "there is an object %s already", c->id.p);
    store_write_answered(&c->w);
}

static void send_object(struct store_write *w)
{
    struct object_call *c = container_of(w, struct object_call, w);
    if (!c->json) {
        redis_commandl(store_writer(w->s), on_object, c, STR_LIT("HDEL"), buf_str(&c->key), buf_str(&c->id));
        return;
    }
    const struct str argv[] = {buf_str(&c->key), buf_str(&c->id), c->create ? STR_LIT("1") : STR_LIT("0"),
                               str_of(c->json)};
    redis_script(store_writer(w->s), &w->s->object, on_object, c, 1, ARRAY_LEN(argv), argv);
}

static struct object_call *object_call_new(struct store *s, const char *kind, uint64_t id, store_done_fn *fn,
                                           void *arg)
{
    struct object_call *c = mem_alloc(sizeof *c);
    c->w = (struct store_write){.s = s, .send = send_object, .finish = object_finish};
    c->fn = fn;
    c->arg = arg;
    key_global(&c->key, kind);
    buf_add_u64(&c->id, id);
    return c;
}

void store_object_put(struct store *s, const char *kind, uint64_t id, bool create, struct str json,
                      store_done_fn *fn, void *arg)
{
    struct object_call *c = object_call_new(s, kind, id, fn, arg);
    c->create = create;
    c->json = str_dup(json);
    store_write_begin(&c->w);
}

void store_object_delete(struct store *s, const char *kind, uint64_t id, store_done_fn *fn, void *arg)
{
    struct object_call *c = object_call_new(s, kind, id, fn, arg);
    store_write_begin(&c->w);
}

struct place_call {
    struct store_later later;
    void (*fn)(void *arg, int rc, bool used);
    void *arg;
    unsigned pending;
    bool used;
    int rc;
};

static void place_answered(struct place_call *c)
{
    if (--c->pending)
        return;
    c->fn(c->arg, c->rc, c->used);
    free(c);
}

static void on_place(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct place_call *c = arg;
    struct error err;
    if (redis_err)
        c->rc = store_error(&err, redis_err);
    else if (redis_int(v) > 0)
        c->used = true;
    place_answered(c);
}

static void place_closing(struct store_later *l)
{
    struct place_call *c = container_of(l, struct place_call, later);
    c->rc = -ENOTCONN;
    c->pending = 1;
    place_answered(c);
}

static void ask_shard(struct store *s, unsigned shard, const char *place, struct place_call *c)
{
    struct buf keys[STORE_BUCKETS] = {0};
    struct str argv[1 + STORE_BUCKETS] = {STR_LIT("EXISTS")};
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        key_at(&keys[i], shard, place, i);
        argv[1 + i] = buf_str(&keys[i]);
    }
    redis_command(s->reads.redis, on_place, c, ARRAY_LEN(argv), argv);
    for (unsigned i = 0; i < STORE_BUCKETS; i++)
        buf_done(&keys[i]);
}

void store_place_in_use(struct store *s, const char *place, void (*fn)(void *arg, int rc, bool used),
                        void *arg)
{
    struct place_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    c->pending = STORE_SHARDS;
    if (s->closing) {
        store_run_later(s, &c->later, place_closing);
        return;
    }
    for (unsigned shard = 0; shard < STORE_SHARDS; shard++)
        ask_shard(s, shard, place, c);
}
