// Reading registrations, their status, and deleting them.
#include "services/gateway/yeti/registrations.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/sorting.h"
#include "services/gateway/yeti/statuses.h"

#include <stdlib.h>
#include <string.h>

// A secret whose key is missing reads as the mask: it is set, and nobody can say what it is.
void registrations_values(struct call *c, const struct registration *r, struct values *ret)
{
    char *clear = NULL;
    bool shown = c->yeti->params.clear_passwords && r->credential_count && r->credentials[0].secret &&
                 !store_open_secret(c->yeti->params.store, r, 0, &clear, NULL);
    values_of(ret, r, shown ? clear : NULL);
    if (clear)
        mem_wipe(clear, strlen(clear));
    free(clear);
}

void registrations_load(struct call *c, bool pops, bool nodes, call_fn *next)
{
    unsigned include = c->query.include;
    call_load(c, pops || include & (INCLUDE_POP | INCLUDE_NODE_POP), nodes || include & INCLUDE_NODE, next);
}

// ---- one

void registrations_answer(struct call *c, int status, const struct store_record *record)
{
    struct values values cleanup(values_done);
    struct status_item reported cleanup(status_item_done) = {.id = 0};
    struct document d = call_document(c);
    struct buf body cleanup(buf_done) = BUF_INIT, location cleanup(buf_done) = BUF_INIT;
    const struct type *t = type_of(TYPE_REGISTRATIONS);
    registrations_values(c, &record->reg, &values);
    if (c->query.include & INCLUDE_STATUS) {
        status_item_of(&reported, record, clock_wall_ms());
        d.statuses = &reported;
    }
    document_write_one(&body, &d, t, &values);
    if (status == 201)
        document_add_self(&location, &d, t, values.id);
    answer_document(c, status, buf_str(&body), buf_str(&location));
}

static void on_show(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else
        registrations_answer(c, 200, record);
}

static void show(struct call *c)
{
    store_get(c->yeti->params.store, call_account(c), c->id, on_show, c);
}

void registrations_show(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_SHOW) && call_parse_id(c, true))
        registrations_load(c, false, false, show);
}

// ---- status

static void on_status(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    struct status_item item cleanup(status_item_done) = {.id = 0};
    struct buf body cleanup(buf_done) = BUF_INIT;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    status_item_of(&item, record, clock_wall_ms());
    struct document d = call_document(c);
    document_write_one(&body, &d, type_of(TYPE_STATUSES), &item);
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

void registrations_status(struct call *c)
{
    if (call_read_query(c, type_of(TYPE_STATUSES), QUERY_SHOW) && call_parse_id(c, true))
        store_get(c->yeti->params.store, call_account(c), c->id, on_status, c);
}

// ---- delete

static void on_destroyed(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    (void)record;
    if (rc)
        answer_failure(c, rc, err);
    else
        answer_no_content(c);
}

void registrations_destroy(struct call *c)
{
    if (!call_parse_id(c, true))
        return;
    const struct store_write_context context = call_context(c);
    store_delete(c->yeti->params.store, call_account(c), c->id, 0, &context, on_destroyed, c);
}

// ---- list

struct list {
    const void **pointers;
    struct values *values;
    struct status_item *statuses;
    size_t count;
};

static void list_done(struct list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        values_done(&l->values[i]);
        if (l->statuses)
            status_item_done(&l->statuses[i]);
    }
    free(l->pointers);
    free(l->values);
    free(l->statuses);
}

static void fill_list(struct call *c, struct list *l, const struct store_record *records, size_t count)
{
    uint64_t now_ms = clock_wall_ms();
    *l = (struct list){.pointers = mem_array(count + 1, sizeof(void *)),
                       .values = mem_array(count + 1, sizeof(struct values)),
                       .count = count};
    if (c->query.include & INCLUDE_STATUS)
        l->statuses = mem_array(count + 1, sizeof(struct status_item));
    for (size_t i = 0; i < count; i++) {
        registrations_values(c, &records[i].reg, &l->values[i]);
        l->pointers[i] = &l->values[i];
        if (l->statuses)
            status_item_of(&l->statuses[i], &records[i], now_ms);
    }
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct call *c = arg;
    struct list l cleanup(list_done) = {.count = 0};
    struct buf body cleanup(buf_done) = BUF_INIT;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    fill_list(c, &l, records, count);
    struct document d = call_document(c);
    d.statuses = l.statuses;
    d.status_bytes = sizeof(struct status_item);
    document_write_list(&body, &d, c->type, l.pointers, count, total);
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

// A sealed password has no order that means anything: those that are set are equal.
static char *sort_key(const void *arg, const struct registration *r, bool *ret_is_number)
{
    struct values values cleanup(values_done);
    values_of(&values, r, NULL);
    *ret_is_number = false;
    return sorting_key(arg, &values);
}

static void index_page(struct call *c)
{
    struct sorting *sorting = mem_alloc(sizeof(*sorting));
    *sorting = sorting_of(&c->query);
    c->work = sorting;
    c->work_free = free;
    bool descending;
    bool by_id = sorting_is_by_id(sorting, &descending);
    struct store_query q = {
        .account = call_account(c),
        .offset = c->query.page_number > UINT32_MAX ? UINT64_MAX / 2
                                                    : (c->query.page_number - 1) * c->query.page_size,
        .limit = c->query.page_size,
        .descending = by_id && descending,
        .sort_key_with = by_id ? NULL : sort_key,
        .sort_arg = sorting,
    };
    uint64_t *ids = conditions_ids(&c->query, &q.id_count);
    q.ids = ids;
    store_page(c->yeti->params.store, &q, on_page, c);
    free(ids);
}

void registrations_index(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_INDEX))
        registrations_load(c, false, false, index_page);
}
