// Objects of an account and the acceptance of jobs: what belongs together is changed by one script. Does not
// know what the objects are.
#include "common/base/mem.h"
#include "services/gateway/store/internal.h"
#include "services/gateway/store/keys.h"

#include <errno.h>
#include <stdlib.h>

struct read_call {
    struct store_later later;
    store_account_objects_fn *fn;
    void *arg;
};

static void on_read(void *arg, const struct redis_value *v, const struct error *redis_err)
{
    struct read_call *c = arg;
    if (redis_err) {
        struct error err;
        c->fn(c->arg, store_error(&err, redis_err), NULL, 0, 0, &err);
        free(c);
        return;
    }
    const struct redis_value *pairs = redis_at(v, 1);
    size_t count = redis_count(pairs) / 2;
    struct store_account_object *objects = mem_array(count + 1, sizeof *objects);
    for (size_t i = 0; i < count; i++) {
        objects[i].key = redis_str(redis_at(pairs, 2 * i));
        objects[i].json = redis_str(redis_at(pairs, 2 * i + 1));
    }
    c->fn(c->arg, 0, objects, count, (uint64_t)redis_int(redis_at(v, 0)), NULL);
    free(objects);
    free(c);
}

static void read_closing(struct store_later *l)
{
    struct error err;
    (void)error_set(&err, -ENOTCONN, "the store is closing");
    on_read(container_of(l, struct read_call, later), NULL, &err);
}

static void add_objects_key(struct buf *out, struct str account, const char *kind)
{
    key_account(out, account, "obj:");
    buf_add_cstr(out, kind);
}

// `key` NULL: the whole kind.
static void read_objects(struct store *s, struct str account, const char *kind, const struct str *key,
                         store_account_objects_fn *fn, void *arg)
{
    struct read_call *c = mem_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    if (s->closing) {
        store_run_later(s, &c->later, read_closing);
        return;
    }
    struct buf version cleanup(buf_done) = BUF_INIT, objects cleanup(buf_done) = BUF_INIT;
    key_account(&version, account, "obj-version");
    add_objects_key(&objects, account, kind);
    const struct str argv[] = {buf_str(&version), buf_str(&objects), key ? *key : STR_NONE};
    redis_script(s->reads.redis, &s->account_read, on_read, c, 2, key ? 3 : 2, argv);
}

void store_account_object(struct store *s, struct str account, const char *kind, struct str key,
                          store_account_objects_fn *fn, void *arg)
{
    read_objects(s, account, kind, &key, fn, arg);
}

void store_account_kind(struct store *s, struct str account, const char *kind, store_account_objects_fn *fn,
                        void *arg)
{
    read_objects(s, account, kind, NULL, fn, arg);
}

enum { HEAD_ARGS = 6, CHANGE_ARGS = 4 }; // of account_change.lua, the key among the first

// The arguments are owned until the write is sent, which may be after a commit that is under way.
struct change_call {
    struct store_write w;
    store_done_fn *fn;
    void *arg;
    char **texts;
    struct str *argv; // of texts
    size_t argc;
};

static void change_finish(struct store_write *w)
{
    struct change_call *c = container_of(w, struct change_call, w);
    c->fn(c->arg, w->err.code, w->err.code ? &w->err : NULL);
    for (size_t i = 0; i < c->argc; i++)
        free(c->texts[i]);
    free(c->texts);
    free(c->argv);
    free(c);
}

static void on_change(void *arg, const struct redis_value *v, const struct error *err)
{
    struct change_call *c = arg;
    if (err)
        (void)store_error(&c->w.err, err);
    else if (!str_eq_cstr(redis_str(v), "ok"))
        (void)error_set(&c->w.err, -ESTALE, "the account's objects were changed meanwhile");
    store_write_answered(&c->w);
}

static void send_change(struct store_write *w)
{
    struct change_call *c = container_of(w, struct change_call, w);
    redis_script(store_writer(w->s), &w->s->account_change, on_change, c, 1, c->argc, c->argv);
}

static void add_arg(struct change_call *c, struct str text)
{
    c->texts[c->argc] = str_dup(text);
    c->argv[c->argc] = str_of_bytes(c->texts[c->argc], text.n);
    c->argc++;
}

static void add_change(struct change_call *c, const struct store_object_change *change)
{
    const char *what = change->json.p ? "set" : change->key.n ? "remove" : "clear";
    add_arg(c, str_of(change->kind));
    add_arg(c, change->key);
    add_arg(c, str_of(what));
    add_arg(c, change->json);
}

void store_account_change(struct store *s, struct str account, uint64_t version,
                          const struct store_object_change *changes, size_t change_count,
                          const struct store_job *job, store_done_fn *fn, void *arg)
{
    struct change_call *c = mem_alloc(sizeof *c);
    c->w = (struct store_write){.s = s, .send = send_change, .finish = change_finish};
    c->fn = fn;
    c->arg = arg;
    c->texts = mem_array(HEAD_ARGS + CHANGE_ARGS * change_count, sizeof *c->texts);
    c->argv = mem_array(HEAD_ARGS + CHANGE_ARGS * change_count, sizeof *c->argv);

    struct buf key cleanup(buf_done) = BUF_INIT, wanted cleanup(buf_done) = BUF_INIT;
    key_account(&key, account, "obj-version");
    if (version != STORE_ANY_VERSION)
        buf_add_u64(&wanted, version);
    add_arg(c, buf_str(&key));
    add_arg(c, account);
    add_arg(c, buf_str(&wanted));
    add_arg(c, job ? str_of(job->kind) : STR_NONE);
    add_arg(c, job ? job->args : STR_NONE);
    add_arg(c, !job || !job->once ? STR_LIT("0") : job->unless_there ? STR_LIT("2") : STR_LIT("1"));
    for (size_t i = 0; i < change_count; i++)
        add_change(c, &changes[i]);
    store_write_begin(&c->w);
}
