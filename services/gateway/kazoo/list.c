// GET registrations: all live bindings, of an account or of all, without paging (contract 5 and 7). Read from
// the store a slice at a time and streamed, so that a million entries are never in memory. A list that breaks
// off after its first bytes is ended by the envelope of an error: its HTTP status has left by then.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/kazoo/answer.h"
#include "services/gateway/kazoo/entry.h"
#include "services/gateway/kazoo/envelope.h"
#include "services/gateway/kazoo/handlers.h"

#include <stdlib.h>

#define CHUNK_BYTES ((size_t)65536)
#define SLICE       50 // entries written in one turn of the loop: a millisecond, in which nobody else is served

struct listing {
    struct store_walk *walk;
    const struct account *account; // whose entries are read now
    size_t next_account;           // of all, where the system asks
    struct buf text;               // not sent yet
    size_t data_at;                // where in it the data not yet in the revision begins
    struct json_writer w;
    struct revision *revision;
    struct pretty pretty;
    bool is_streaming;
};

static void listing_free(void *arg)
{
    struct listing *l = arg;
    store_walk_end(l->walk);
    if (l->revision) {
        struct buf unused cleanup(buf_done) = BUF_INIT;
        kazoo_revision_end(l->revision, &unused);
    }
    buf_done(&l->text);
    free(l);
}

static struct str in_form(struct call *c, struct buf *pretty)
{
    struct listing *l = c->work;
    if (!c->is_pretty)
        return buf_str(&l->text);
    kazoo_pretty_add(&l->pretty, buf_str(&l->text), pretty);
    return buf_str(pretty);
}

static void take_into_revision(struct listing *l)
{
    kazoo_revision_add(l->revision, str_slice(buf_str(&l->text), l->data_at, l->text.n));
    l->data_at = l->text.n;
}

// ---- the end

static void send_end(struct call *c)
{
    struct listing *l = c->work;
    struct buf pretty cleanup(buf_done) = BUF_INIT;
    struct str text = in_form(c, &pretty);
    if (l->is_streaming) {
        (void)http_stream_write(c->call.http, text);
        http_stream_end(c->call.http);
    } else {
        kazoo_answer_headers(c, false);
        http_reply(c->call.http, 200, text);
    }
    kazoo_call_free(c);
}

static void list_ends(struct call *c)
{
    struct listing *l = c->work;
    struct buf revision cleanup(buf_done) = BUF_INIT;
    json_end_array(&l->w);
    take_into_revision(l);
    kazoo_revision_end(l->revision, &revision);
    l->revision = NULL;
    kazoo_envelope_end(&l->w, c, &(struct envelope_end){.revision = buf_str(&revision)});
    send_end(c);
}

static void list_fails(struct call *c, int rc, const struct error *err)
{
    struct listing *l = c->work;
    if (!l->is_streaming) {
        kazoo_answer_failure(c, rc, err);
        return;
    }
    const char *detail;
    enum dialect_failure failure = dialect_failure_of("kazoo", 0, rc, err, true, &detail);
    const struct problem_row *row =
        kazoo_problem_row(failure == FAILURE_UNAVAILABLE ? PROBLEM_UNREACHABLE : PROBLEM_FAULT);
    json_end_array(&l->w);
    kazoo_envelope_end(&l->w, c, &(struct envelope_end){.status = row->status, .message = row->message});
    send_end(c);
}

// ---- slices

static void on_ready(void *arg)
{
    struct call *c = arg;
    struct listing *l = c->work;
    store_walk_next(l->walk);
}

static void on_gone(void *arg)
{
    kazoo_call_free(arg);
}

// False: the client is behind.
static bool send_text(struct call *c)
{
    static const struct http_stream_fns fns = {.on_ready = on_ready, .on_gone = on_gone};
    struct listing *l = c->work;
    struct buf pretty cleanup(buf_done) = BUF_INIT;
    if (!l->is_streaming) {
        kazoo_answer_headers(c, false);
        http_stream_begin(c->call.http, 200, &fns, c);
        l->is_streaming = true;
    }
    take_into_revision(l);
    bool more = http_stream_write(c->call.http, in_form(c, &pretty));
    buf_clear(&l->text);
    l->data_at = 0;
    return more;
}

static void next_account(struct call *c);

static void on_slice(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                     const struct error *err)
{
    struct call *c = arg;
    struct listing *l = c->work;
    (void)total;
    if (rc) {
        list_fails(c, rc, err);
        return;
    }
    if (!count) {
        next_account(c);
        return;
    }
    uint64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < count; i++)
        (void)kazoo_entry_write(&l->w, l->account, &records[i], now_ms);
    if (l->text.n < CHUNK_BYTES || send_text(c))
        store_walk_next(l->walk);
}

static void walk_account(struct call *c, const struct account *a)
{
    struct listing *l = c->work;
    const struct store_query q = {.account = str_of(a->name), .live_only = true, .slice = SLICE};
    store_walk_end(l->walk);
    l->account = a;
    l->walk = store_walk_begin(kazoo_call_store(c), &q, on_slice, c);
}

static void next_account(struct call *c)
{
    struct listing *l = c->work;
    const struct principals *all = dialect_principals(&c->call, c->kazoo->shared);
    if (c->call.account || l->next_account == principals_account_count(all))
        list_ends(c);
    else
        walk_account(c, principals_account_at(all, l->next_account++));
}

void kazoo_list_run(struct call *c)
{
    struct listing *l = mem_alloc(sizeof *l);
    c->work = l;
    c->work_free = listing_free;
    l->w = json_writer(&l->text);
    l->revision = kazoo_revision_new();
    kazoo_envelope_begin(&l->w, c);
    l->data_at = l->text.n;
    json_begin_array(&l->w);
    if (c->call.account)
        walk_account(c, c->call.account);
    else
        next_account(c);
}
