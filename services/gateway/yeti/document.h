// JSON:API documents (contract 5): member order, links, included. Driven by the tables of types; knows no
// HTTP.
#ifndef ROLLCALL_GATEWAY_YETI_DOCUMENT_H
#define ROLLCALL_GATEWAY_YETI_DOCUMENT_H

#include "services/gateway/yeti/objects.h"
#include "services/gateway/yeti/query.h"

struct document {
    struct str base; // "http://host/api/rest/admin"
    const struct query *query;
    // Where the targets of relationships are found; each may be NULL where `include` does not ask for it.
    const struct objects *pops, *nodes;
    const void
        *statuses;       // items of the type registration-statuses, one for each primary item, in their order
    size_t status_bytes; // size of one
};

// One value as its kind is written.
void document_put_value(struct json_writer *w, enum kind kind, const void *at);

// {"data":…,"included":[…]?}. item NULL gives null.
void document_write_one(struct buf *out, const struct document *d, const struct type *type, const void *item);

// {"data":[…],"included":[…]?,"meta":…,"links":…}. Items are the page that the query asked for, of `total` in
// all.
void document_write_list(struct buf *out, const struct document *d, const struct type *type,
                         const void *const *items, size_t count, uint64_t total);

// The same piece by piece. An item is needed until it is added, what its relationships lead to until the end;
// `out` stays where it is.
struct included;
struct document_list {
    struct json_writer w;
    const struct type *type;
    struct included *included;
    size_t count; // added
};
void document_list_begin(struct document_list *l, struct buf *out, const struct type *type);
void document_list_add(struct document_list *l, const struct document *d, const void *item);
void document_list_end(struct document_list *l, const struct document *d, uint64_t total);
void document_list_done(struct document_list *l); // also of one that was not ended, or is zeroed

// {"data":{type,id} or null,"links":…} of the relationship of record `id`.
void document_write_linkage(struct buf *out, const struct document *d, const struct type *type, int64_t id,
                            const struct relation *relation, int64_t target);

// One resource object, as it stands under `data`.
void document_write_resource(struct buf *out, const struct document *d, const struct type *type,
                             const void *item);

// The same without links and with all linkages, as an export writes it and an import takes it.
void document_write_bare(struct buf *out, const struct document *d, const struct type *type,
                         const void *item);

// ".../<type>/<id>"
void document_add_self(struct buf *out, const struct document *d, const struct type *type, int64_t id);

#endif
