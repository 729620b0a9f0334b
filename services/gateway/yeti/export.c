// GET /registrations/export, an addition to Yeti's API: all that the filters keep, in the order of ids, one
// resource object a line, as /registrations/import takes them. Written as fast as the client reads, so that
// an account of any size needs the memory of one slice.
#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/media.h"
#include "services/gateway/yeti/registrations.h"

#include <stdlib.h>

struct export
{
    struct store_walk *walk;
    bool begun; // the answer
};

static void export_free(void *arg)
{
    struct export *e = arg;
    if (e->walk)
        store_walk_end(e->walk);
    free(e);
}

static void on_ready(void *arg)
{
    const struct export *e = ((struct call *)arg)->work;
    store_walk_next(e->walk);
}

static void on_gone(void *arg)
{
    call_free(arg);
}

static void begin_answer(struct call *c)
{
    static const struct http_stream_fns fns = {.on_ready = on_ready, .on_gone = on_gone};
    struct export *e = c->work;
    if (!e->begun)
        answer_stream(c, MEDIA_LINES, &fns);
    e->begun = true;
}

static void end_answer(struct call *c)
{
    http_stream_end(c->call.http);
    call_free(c);
}

// The status is out already: a last line says that this is not all.
static void break_off(struct call *c, int rc, const struct error *err)
{
    struct buf line cleanup(buf_done) = BUF_INIT;
    const char *detail;
    bool passes = dialect_failure_of("yeti", 0, rc, err, true, &detail) == FAILURE_UNAVAILABLE;
    errors_add(&c->errors, passes ? PROBLEM_UNAVAILABLE : PROBLEM_INTERNAL, str_of(detail), STR_NONE);
    errors_write(&line, &c->errors);
    buf_add_char(&line, '\n');
    (void)http_stream_write(c->call.http, buf_str(&line));
    end_answer(c);
}

static void add_line(struct call *c, const struct registration *r, struct buf *out)
{
    struct values values cleanup(values_done);
    struct document d = call_document(c);
    registrations_values(c, r, &values);
    document_write_bare(out, &d, c->type, &values);
    buf_add_char(out, '\n');
}

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct call *c = arg;
    struct export *e = c->work;
    struct buf lines cleanup(buf_done) = BUF_INIT;
    (void)total;
    if (rc && !e->begun) {
        answer_failure(c, rc, err);
        return;
    }
    if (rc) {
        break_off(c, rc, err);
        return;
    }
    begin_answer(c);
    if (!count) {
        end_answer(c);
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_line(c, &records[i].reg, &lines);
    if (http_stream_write(c->call.http, buf_str(&lines)))
        store_walk_next(e->walk);
}

static void walk(struct call *c)
{
    struct export *e = c->work;
    struct store_term terms[CONDITIONS_TERMS_MAX];
    struct store_query q = {.account = call_account(c)};
    registrations_filter(&c->query, &q, terms);
    e->walk = store_walk_begin(call_store(c), &q, on_slice, c);
    free((void *)(uintptr_t)q.ids);
}

// What the lines are made of is fixed: linkages always, included resources never, ascending ids.
static bool is_exportable(struct call *c)
{
    const struct query *q = &c->query;
    if (q->include)
        errors_add(&c->errors, PROBLEM_INVALID_INCLUDE, str_of(http_pairs_get(&c->params, "include")),
                   str_of("export"));
    else if (q->sort_count && (q->sorts[0].attribute || q->sorts[0].descending))
        errors_add(&c->errors, PROBLEM_INVALID_SORT, str_of(http_pairs_get(&c->params, "sort")),
                   str_of("export"));
    if (!c->errors.count)
        return true;
    answer_errors(c);
    return false;
}

void export_run(struct call *c)
{
    if (!call_read_query(c, c->type, QUERY_INDEX) || !is_exportable(c))
        return;
    c->work = mem_alloc(sizeof(struct export));
    c->work_free = export_free;
    if (http_method(c->call.http) == HTTP_GET) {
        walk(c);
        return;
    }
    begin_answer(c);
    end_answer(c);
}
