// What a registration is related to: …/:rel, …/relationships/:rel (contract 3, 4).
#include "services/gateway/yeti/answer.h"
#include "services/gateway/yeti/handlers.h"
#include "services/gateway/yeti/registration_write.h"
#include "services/gateway/yeti/registrations.h"

// ---- reads

static void on_related(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    struct buf body cleanup(buf_done) = BUF_INIT;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    int64_t id = registrations_target(c, &record->reg);
    const struct objects *all = c->relation->target == TYPE_POPS    ? &c->pops
                                : c->relation->target == TYPE_NODES ? &c->nodes
                                                                    : objects_transports();
    struct document d = call_document(c);
    document_write_one(&body, &d, type_of(c->relation->target), id ? objects_find(all, id) : NULL);
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

static void related(struct call *c)
{
    store_get(call_store(c), call_account(c), c->id, on_related, c);
}

// The query is that of the related type.
void registrations_related(struct call *c)
{
    enum type_id target = c->relation->target;
    if (!call_read_query(c, type_of(target), QUERY_INDEX) || !call_parse_id(c, true))
        return;
    bool pops = target == TYPE_POPS || c->query.include & INCLUDE_NODE_POP;
    call_load(c, pops, target == TYPE_NODES, related);
}

static void on_linkage(void *arg, int rc, const struct store_record *record, const struct error *err)
{
    struct call *c = arg;
    struct buf body cleanup(buf_done) = BUF_INIT;
    if (rc) {
        answer_failure(c, rc, err);
        return;
    }
    struct document d = call_document(c);
    document_write_linkage(&body, &d, c->type, (int64_t)c->id, c->relation,
                           registrations_target(c, &record->reg));
    answer_document(c, 200, buf_str(&body), STR_NONE);
}

void registrations_linkage(struct call *c)
{
    if (call_parse_id(c, true))
        store_get(call_store(c), call_account(c), c->id, on_linkage, c);
}

// ---- writes

static void answer_written(struct call *c, const struct store_record *record)
{
    (void)record;
    answer_no_content(c);
}

static void write_linkage(struct call *c, struct linkage linkage)
{
    struct body body = {.attributes = NULL};
    body.linkages[c->relation - c->type->relations] = linkage;
    if (call_parse_id(c, false))
        registration_write_update(c, &body, answer_written);
}

void registrations_relink(struct call *c)
{
    struct linkage linkage;
    if (call_read_linkage(c, &linkage))
        write_linkage(c, linkage);
}

void registrations_unlink(struct call *c)
{
    write_linkage(c, (struct linkage){.given = true});
}
