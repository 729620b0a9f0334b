// Reading registrations, their status, and deleting them.
#include "services/gateway/yeti/registrations.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/conditional.h"
#include "services/gateway/yeti/conditions.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/sip.h"
#include "services/gateway/yeti/sorting.h"
#include "services/gateway/yeti/statuses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// A secret whose key is missing reads as the mask: it is set, and nobody can say what it is.
void registrations_values(struct call *c, const struct registration *r, struct values *ret)
{
    char *clear = NULL;
    bool shown = c->yeti->params.clear_passwords && r->credential_count && r->credentials[0].secret &&
                 !store_open_secret(call_store(c), r, 0, &clear, NULL);
    values_of(ret, r, shown ? clear : NULL);
    if (query_shows_attribute(&c->query, type_of(TYPE_REGISTRATIONS), ATTRIBUTE_SIP)) {
        struct buf sip = BUF_INIT;
        sip_show(&sip, r);
        ret->sip = buf_steal(&sip);
    }
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

// With what the query includes.
static void write_document(struct call *c, const struct store_record *record, struct buf *out)
{
    struct values values cleanup(values_done);
    struct status_item reported cleanup(status_item_done) = {.id = 0};
    struct document d = call_document(c);
    registrations_values(c, &record->reg, &values);
    if (c->query.include & INCLUDE_STATUS) {
        status_item_of(&reported, record, clock_wall_ms());
        d.statuses = &reported;
    }
    document_write_one(out, &d, type_of(TYPE_REGISTRATIONS), &values);
}

int64_t registrations_target(const struct call *c, const struct registration *r)
{
    struct values values cleanup(values_done);
    values_of(&values, r, NULL);
    return *(const int64_t *)(const void *)((const char *)&values + c->relation->offset);
}

bool registrations_pass(struct call *c, const struct store_record *record)
{
    struct buf body cleanup(buf_done) = BUF_INIT;
    struct document d = call_document(c);
    if (!conditional_asks(c))
        return true;
    if (c->relation)
        document_write_linkage(&body, &d, c->type, (int64_t)c->id, c->relation,
                               registrations_target(c, &record->reg));
    else
        write_document(c, record, &body);
    return conditional_passes(c, buf_str(&body));
}

void registrations_answer(struct call *c, int status, const struct store_record *record)
{
    struct document d = call_document(c);
    struct buf body cleanup(buf_done) = BUF_INIT, location cleanup(buf_done) = BUF_INIT;
    write_document(c, record, &body);
    if (status == 201)
        document_add_self(&location, &d, type_of(TYPE_REGISTRATIONS), (int64_t)record->reg.id);
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
    store_get(call_store(c), call_account(c), c->id, on_show, c);
}

void registrations_show(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_SHOW) && call_parse_id(c, true))
        registrations_load(c, false, false, show);
}

// ---- status

void registrations_answer_status(struct call *c, int status, const struct store_record *record)
{
    struct status_item item cleanup(status_item_done) = {.id = 0};
    struct buf body cleanup(buf_done) = BUF_INIT;
    status_item_of(&item, record, clock_wall_ms());
    struct document d = call_document(c);
    document_write_one(&body, &d, type_of(TYPE_STATUSES), &item);
    answer_document(c, status, buf_str(&body), STR_NONE);
}

static void on_status(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else
        registrations_answer_status(c, 200, record);
}

void registrations_status(struct call *c)
{
    if (call_read_query(c, type_of(TYPE_STATUSES), QUERY_SHOW) && call_parse_id(c, true))
        store_get(call_store(c), call_account(c), c->id, on_status, c);
}

// ---- delete

static void destroy_if_match(struct call *c);

static void on_destroyed(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    (void)record;
    if (rc == -ESTALE && ++c->attempts < REGISTRATIONS_ATTEMPTS_MAX)
        destroy_if_match(c);
    else if (rc)
        answer_failure(c, rc, err);
    else
        answer_no_content(c);
}

static void destroy(struct call *c, uint64_t revision)
{
    const struct store_write_context context = dialect_write_context(&c->call);
    store_delete(call_store(c), call_account(c), c->id, revision, &context, on_destroyed, c);
}

static void on_judged(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    if (rc)
        answer_failure(c, rc, err);
    else if (registrations_pass(c, record))
        destroy(c, record->reg.revision);
}

static void destroy_if_match(struct call *c)
{
    store_get(call_store(c), call_account(c), c->id, on_judged, c);
}

// The query is Yeti's to ignore, and read only to know which representation a condition is about.
void registrations_destroy(struct call *c)
{
    bool asks = conditional_asks(c);
    if ((asks && !call_read_query(c, c->type, QUERY_WRITE)) || !call_parse_id(c, true))
        return;
    if (asks)
        registrations_load(c, false, false, destroy_if_match);
    else
        destroy(c, 0);
}

// ---- list

// A page in the making: each record is written as it comes, so that no turn of the loop writes a whole page.
struct list {
    struct sorting sorting;
    struct buf body;
    struct document_list document;
    struct status_item *statuses; // where they are included; as many as a page may have
};

static void list_free(void *arg)
{
    struct list *l = arg;
    for (size_t i = 0; l->statuses && i < l->document.count; i++)
        status_item_done(&l->statuses[i]);
    free(l->statuses);
    document_list_done(&l->document);
    buf_done(&l->body);
    free(l);
}

static struct list *list_new(struct call *c)
{
    struct list *l = mem_alloc(sizeof(*l));
    l->sorting = sorting_of(&c->query);
    document_list_begin(&l->document, &l->body, c->type);
    if (c->query.include & INCLUDE_STATUS)
        l->statuses = mem_array(c->query.page_size + 1, sizeof(struct status_item));
    c->work = l;
    c->work_free = list_free;
    return l;
}

static struct document list_document(struct call *c)
{
    const struct list *l = c->work;
    struct document d = call_document(c);
    d.statuses = l->statuses;
    d.status_bytes = sizeof(struct status_item);
    return d;
}

static void on_item(void *arg, const struct store_record *record)
{
    struct call *c = arg;
    struct list *l = c->work;
    struct values values cleanup(values_done);
    registrations_values(c, &record->reg, &values);
    if (l->statuses)
        status_item_of(&l->statuses[l->document.count], record, clock_wall_ms());
    struct document d = list_document(c);
    document_list_add(&l->document, &d, &values);
}

static void on_page(void *arg, int rc, const struct store_record *records, size_t count, uint64_t total,
                    const struct error *err)
{
    struct call *c = arg;
    struct list *l = c->work;
    (void)records;
    (void)count;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    struct document d = list_document(c);
    document_list_end(&l->document, &d, total);
    answer_document(c, 200, buf_str(&l->body), STR_NONE);
}

// A sealed password has no order that means anything: those that are set are equal.
static char *sort_key(const void *arg, const struct registration *r, bool *ret_is_number)
{
    struct values values cleanup(values_done);
    values_of(&values, r, NULL);
    *ret_is_number = false;
    return sorting_key(arg, &values);
}

static const char *reported_state(const struct store_record *record)
{
    struct dialect_status status cleanup(dialect_status_done);
    dialect_status_of(&status, record, 0);
    return status_state_name(status.has_report ? status.report.state : STATE_PENDING);
}

static bool keep(const void *arg, const struct store_record *record)
{
    const struct query *q = arg;
    struct values values cleanup(values_done);
    values_of(&values, &record->reg, NULL);
    if (conditions_judge(q, offsetof(struct values, state)))
        values.state = reported_state(record);
    return conditions_hold(q, &values);
}

void registrations_filter(struct query *q, struct store_query *ret, struct store_term *terms)
{
    ret->ids = conditions_ids(q, &ret->id_count);
    ret->terms = terms;
    ret->term_count = conditions_terms(q, terms);
    if (conditions_judge(q, CONDITIONS_ANY))
        ret->keep = keep;
    ret->keep_arg = q;
    ret->keep_reads_status = conditions_judge(q, offsetof(struct values, state));
}

static void index_page(struct call *c)
{
    const struct list *l = list_new(c);
    bool descending;
    bool by_id = sorting_is_by_id(&l->sorting, &descending);
    struct store_term terms[CONDITIONS_TERMS_MAX];
    struct store_query q = {
        .account = call_account(c),
        .offset = c->query.page_number > UINT32_MAX ? UINT64_MAX / 2
                                                    : (c->query.page_number - 1) * c->query.page_size,
        .limit = c->query.page_size,
        .descending = by_id && descending,
        .sort_key_with = by_id ? NULL : sort_key,
        .sort_arg = &l->sorting,
        .each = on_item,
    };
    registrations_filter(&c->query, &q, terms);
    store_page(call_store(c), &q, on_page, c);
    free((void *)(uintptr_t)q.ids);
}

void registrations_index(struct call *c)
{
    if (call_read_query(c, c->type, QUERY_INDEX))
        registrations_load(c, false, false, index_page);
}
