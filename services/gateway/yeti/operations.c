// See operations.h: the body as it comes, reading what the operations are about, the batch, the results.
#include "services/gateway/yeti/operations.h"

#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/media.h"
#include "services/gateway/yeti/registrations.h"

#include <errno.h>

static void operations_free(void *arg)
{
    operations_done(arg);
    free(arg);
}

// ---- results

static void add_result(struct call *c, const struct action *a, struct buf *out)
{
    struct document d = call_document(c);
    if (!a->shows) {
        buf_add_cstr(out, "{}");
        return;
    }
    buf_add_cstr(out, "{\"data\":");
    document_write_resource(out, &d, type_of(TYPE_REGISTRATIONS), &a->shown);
    buf_add_char(out, '}');
}

static void answer_results(struct call *c)
{
    const struct operations *o = c->work;
    struct buf body cleanup(buf_done) = BUF_INIT;
    buf_add_cstr(&body, "{\"atomic:results\":[");
    for (size_t i = 0; i < o->action_count; i++) {
        if (i)
            buf_add_char(&body, ',');
        o->actions[i].shown.id = (int64_t)o->actions[i].subject->id;
        add_result(c, &o->actions[i], &body);
    }
    buf_add_cstr(&body, "]}");
    c->media = MEDIA_ATOMIC;
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

// ---- the batch

static void load(struct call *c);

static void refuse_taken(struct call *c, size_t item)
{
    const struct operations *o = c->work;
    for (size_t i = 0; i < o->subject_count; i++)
        if (o->subjects[i].item == item)
            operations_refuse_name(c, o->subjects[i].named_by);
    answer_errors(c);
}

static void on_written(void *arg, int rc, size_t failed, const struct store_record *records, size_t count,
                       const struct error *err)
{
    struct call *c = arg;
    struct operations *o = c->work;
    bool again = rc == -ESTALE || rc == -ENOENT; // which a second look will tell apart
    if (again && ++c->attempts < REGISTRATIONS_ATTEMPTS_MAX) {
        load(c);
        return;
    }
    if (rc == -EEXIST && failed < SIZE_MAX) {
        refuse_taken(c, failed);
        return;
    }
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    for (size_t i = 0; i < o->subject_count; i++)
        if (o->subjects[i].item < count)
            o->subjects[i].id = records[o->subjects[i].item].reg.id;
    answer_results(c);
}

// False: nothing is to be done, since it was made and removed here.
static bool make_item(struct subject *s, struct store_item *ret)
{
    bool deletes = s->existed && !s->lives;
    *ret = (struct store_item){
        .kind = deletes      ? STORE_ITEM_DELETE
                : s->existed ? STORE_ITEM_UPDATE
                             : STORE_ITEM_CREATE,
        .before = s->existed ? &s->before : NULL,
        .after = s->lives ? &s->now : NULL,
    };
    return s->existed || s->lives;
}

static void write_all(struct call *c)
{
    struct operations *o = c->work;
    struct store_item *items = mem_array(o->subject_count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < o->subject_count; i++) {
        bool writes = make_item(&o->subjects[i], &items[count]);
        o->subjects[i].item = writes ? count : SIZE_MAX;
        count += writes;
    }
    const struct store_write_context context = dialect_write_context(&c->call);
    if (count)
        store_batch(call_store(c), call_account(c), items, count, NULL, 0, &context, on_written, c);
    else
        answer_results(c);
    free(items);
}

static void apply_all(struct call *c)
{
    if (operations_apply(c, c->work))
        write_all(c);
    else
        answer_errors(c);
}

// ---- reading what they are about

static void on_loaded(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                      const struct error *err)
{
    struct call *c = arg;
    struct operations *o = c->work;
    (void)total;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct subject *s;
        HASH_FIND(hh_id, o->by_id, &records[i].reg.id, sizeof(records[i].reg.id), s);
        if (!s)
            continue;
        registration_copy(&s->before, &records[i].reg);
        registration_copy(&s->now, &records[i].reg);
        s->existed = s->lives = true;
    }
    apply_all(c);
}

static void load(struct call *c)
{
    struct operations *o = c->work;
    operations_forget(o);
    struct store_query q = {.account = call_account(c), .limit = STORE_BATCH_MAX};
    uint64_t *ids = mem_array(o->subject_count + 1, sizeof(*ids));
    for (size_t i = 0; i < o->subject_count; i++)
        if (o->subjects[i].id)
            ids[q.id_count++] = o->subjects[i].id;
    q.ids = ids;
    if (q.id_count)
        store_page(call_store(c), &q, on_loaded, c);
    else
        apply_all(c);
    free(ids);
}

// ---- the body

static void begin(struct call *c)
{
    struct operations *o = c->work;
    const struct json *root;
    call_parse_body(c, buf_str(&o->text));
    if (!call_read_body(c, &root))
        return;
    if (operations_read(o, root, &c->errors))
        call_load(c, o->places, o->places, load);
    else
        answer_errors(c);
}

static void on_data(void *arg, struct str bytes)
{
    struct call *c = arg;
    struct operations *o = c->work;
    buf_add_str(&o->text, bytes);
    if (o->text.n > c->yeti->params.operations_bytes)
        answer_error(c, PROBLEM_TOO_LARGE, STR_LIT("The operations are too long."), STR_NONE);
    else if (!http_upload_hold(c->call.http, o->text.n))
        answer_unavailable(c, "Too many long bodies are on their way.");
}

static void on_end(void *arg)
{
    begin(arg);
}

static void on_gone(void *arg)
{
    call_free(arg);
}

void operations_run(struct call *c)
{
    static const struct http_upload_fns fns = {.on_data = on_data, .on_end = on_end, .on_gone = on_gone};
    c->work = mem_alloc(sizeof(struct operations));
    c->work_free = operations_free;
    http_upload_begin(c->call.http, &fns, c);
}
