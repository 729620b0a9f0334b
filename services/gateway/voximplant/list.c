// GetSipRegistrations (contract voximplant 3.5): a page in ascending order of ids. `count` is how many are in
// it, `total_count` how many there are in all.
#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/filters.h"
#include "services/gateway/voximplant/handlers.h"

#include <stdlib.h>

// Each entry is written as its record comes, so that no turn of the loop writes a whole page.
struct list {
    struct filters filters;
    struct buf body;
    struct json_writer w;
};

static void list_free(void *work)
{
    struct list *l = work;
    vox_filters_done(&l->filters);
    buf_done(&l->body);
    free(l);
}

static void on_item(void *arg, const struct store_record *record)
{
    struct call *c = arg;
    struct list *l = c->work;
    vox_entry_write(&l->w, c->base.account, record, l->filters.now_wall_ms);
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct call *c = arg;
    struct list *l = c->work;
    (void)records;
    if (rc) {
        vox_answer_failure(c, rc, err);
        return;
    }
    json_end_array(&l->w);
    json_kv_u64(&l->w, "count", count);
    json_kv_u64(&l->w, "total_count", total);
    json_end_object(&l->w);
    vox_answer_json(c, buf_str(&l->body));
}

static struct list *list_new(struct call *c)
{
    struct list *l = mem_alloc(sizeof(*l));
    l->w = json_writer(&l->body);
    json_begin_object(&l->w);
    json_key(&l->w, "result");
    json_begin_array(&l->w);
    c->work = l;
    c->work_free = list_free;
    return l;
}

void vox_list_run(struct call *c)
{
    struct filters *f = &list_new(c)->filters;
    struct buf user_key cleanup(buf_done) = BUF_INIT;
    struct store_term terms[FILTERS_TERMS];
    struct store_query query;
    struct fault fault;
    if (!vox_filters_read(f, &c->params, &fault)) {
        vox_answer_fault(c, &fault);
        return;
    }
    f->account = c->base.account;
    vox_filters_query(f, vox_call_account(c), terms, &user_key, &query);
    query.each = on_item;
    store_page(vox_call_store(c), &query, on_page, c);
}
