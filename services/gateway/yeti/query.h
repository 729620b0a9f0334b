// The query string of a request: fields, include, filter, sort, page (contract 8). Read against the tables of
// types; knows nothing of records.
#ifndef ROLLCALL_GATEWAY_YETI_QUERY_H
#define ROLLCALL_GATEWAY_YETI_QUERY_H

#include "common/http/http.h"
#include "services/gateway/yeti/errors.h"
#include "services/gateway/yeti/types.h"

#define QUERY_SORTS_MAX 16

struct fieldset {
    bool given;                     // false: all
    uint64_t attributes, relations; // bits by their index in the type's tables
};

struct sort {
    const struct attribute *attribute; // NULL: id
    bool descending;
};

enum operation {
    OPERATION_IN, // any of the values; also what a plain filter does
    OPERATION_EQ,
    OPERATION_NOT_EQ,
    OPERATION_NOT_IN,
    OPERATION_CONT,
    OPERATION_START,
    OPERATION_END,
    OPERATION_CONT_ANY,
    OPERATION_GT,
    OPERATION_GTEQ,
    OPERATION_LT,
    OPERATION_LTEQ,
};

struct condition {
    const struct filter *filter;
    enum operation operation;
    bool indexed; // the store's index serves it
    struct texts values;
};

struct query {
    const struct type *type;
    const struct http_pairs *pairs; // borrowed
    bool strict;                    // what Yeti does not know is refused
    struct fieldset fields[TYPE_COUNT];
    unsigned include; // bits of enum include
    struct condition *conditions;
    size_t condition_count;
    struct sort sorts[QUERY_SORTS_MAX];
    size_t sort_count;
    uint64_t page_number, page_size;
};

// What is read of the query: an index all, a single record fields, include and the names of filters, a write
// fields and include (contract 8.1 "scope").
enum query_scope { QUERY_INDEX, QUERY_SHOW, QUERY_WRITE };

// `pairs` and `type` outlive the query. `strict`: additions to Yeti's API are unknown. False: *errors holds
// why, in the number and order of contract 4.1. The query is to be ended in both cases.
bool query_read(struct query *ret_init, const struct type *type, enum query_scope scope, bool strict,
                const struct http_pairs *pairs, struct errors *errors);
void query_done(struct query *q);

bool query_shows_attribute(const struct query *q, const struct type *type, size_t index);
bool query_shows_relation(const struct query *q, const struct type *type, size_t index);

// The query string of another page of the same list: what was asked for with page, names sorted,
// percent-encoded.
void query_page_string(struct buf *out, const struct query *q, uint64_t page_number);

#endif
