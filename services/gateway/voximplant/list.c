// GetSipRegistrations (contract voximplant 3.5): a page in ascending order of ids. `count` is how many are in
// it, `total_count` how many there are in all.
#include "common/base/mem.h"
#include "common/json/json.h"
#include "services/gateway/voximplant/answer.h"
#include "services/gateway/voximplant/filters.h"
#include "services/gateway/voximplant/handlers.h"

#include <stdlib.h>

static void free_filters(void *work)
{
    vox_filters_done(work);
    free(work);
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct call *c = arg;
    const struct filters *f = c->work;
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct json_writer w = json_writer(&body);
    if (rc) {
        vox_answer_failure(c, rc, err);
        return;
    }
    json_begin_object(&w);
    json_key(&w, "result");
    json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        vox_entry_write(&w, c->base.account, &records[i], f->now_wall_ms);
    json_end_array(&w);
    json_kv_u64(&w, "count", count);
    json_kv_u64(&w, "total_count", total);
    json_end_object(&w);
    vox_answer_json(c, buf_str(&body));
}

void vox_list_run(struct call *c)
{
    struct filters *f = mem_alloc(sizeof(*f));
    struct buf user_key cleanup(buf_done) = BUF_INIT;
    struct store_term terms[FILTERS_TERMS];
    struct store_query query;
    struct fault fault;
    c->work = f;
    c->work_free = free_filters;
    if (!vox_filters_read(f, &c->params, &fault)) {
        vox_answer_fault(c, &fault);
        return;
    }
    f->account = c->base.account;
    vox_filters_query(f, vox_call_account(c), terms, &user_key, &query);
    store_page(vox_call_store(c), &query, on_page, c);
}
