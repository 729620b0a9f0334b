// The resource types of this dialect as tables: attributes, relationships, filters. Documents, queries and
// sorting are driven by them, so that a new type is a table and its handlers.
#ifndef ROLLCALL_GATEWAY_YETI_TYPES_H
#define ROLLCALL_GATEWAY_YETI_TYPES_H

#include "common/json/json.h"

#include <stdint.h>

enum kind {
    KIND_TEXT,    // char *; NULL is null
    KIND_FLAG,    // bool
    KIND_INTEGER, // struct integer
    KIND_TEXTS,   // struct texts
    KIND_TIME,    // uint64_t, wall ms; 0 is null
    KIND_JSON,    // char *, JSON text; NULL is null
    KIND_ID,      // int64_t; 0 is null
};

struct integer {
    bool set; // false: null
    int64_t value;
};

struct texts {
    char **items; // NULL: null
    size_t count;
};

// Casts a JSON value as the contract's section 2.2 says and puts it at `target`, freeing what was there.
// NULL, or the message of what cannot be held; then the target is as it was.
typedef const char *coerce_fn(const struct json *v, void *target);

struct attribute {
    const char *name;
    enum kind kind;
    size_t offset;     // in the item
    coerce_fn *coerce; // NULL: cannot be written
};

enum type_id {
    TYPE_REGISTRATIONS,
    TYPE_TRANSPORT_PROTOCOLS,
    TYPE_POPS,
    TYPE_NODES,
    TYPE_STATUSES,
    TYPE_COUNT
};

// Bits of what `include` may ask for.
enum include {
    INCLUDE_TRANSPORT = 1,
    INCLUDE_POP = 2,
    INCLUDE_NODE = 4,
    INCLUDE_STATUS = 8,
    INCLUDE_NODE_POP = 16, // the pop of a node, primary or included
};

#define RELATIONS_MAX 4

struct relation {
    const char *name;
    enum type_id target;
    unsigned include; // its bit
    size_t offset;    // of the target's id in the item, int64_t; 0: null
    bool linked;      // `data` is always shown
    bool addition;    // not of Yeti's: shown only when included, with no endpoints of its own
};

// What filter[<name>] does: exact, or one of the operators that are put behind the name.
struct filter {
    const char *name; // with underscores
    enum filter_family {
        FILTER_ID,
        FILTER_EXACT,
        FILTER_TEXT,
        FILTER_NUMBER,
        FILTER_KEY,
        FILTER_FLAG
    } family;
    size_t offset;
    enum kind kind;                  // KIND_TEXT, KIND_FLAG, KIND_INTEGER or KIND_ID
    bool addition;                   // not of Yeti's
    bool folded;                     // texts are compared without regard to case
    const char *index;               // the store's, which serves an exact value; NULL
    bool (*takes)(struct str value); // NULL: any value
};

struct type {
    enum type_id id;
    const char *name; // in documents and in paths
    const struct attribute *attributes;
    size_t attribute_count;
    uint64_t added_attributes; // bits by their index: not of Yeti's, shown only where `fields` names them
    const struct relation *relations;
    size_t relation_count;
    const struct filter *filters;
    size_t filter_count;
};

const struct type *type_of(enum type_id id);

// By wire name, or with `loose` after underscoring as Yeti compares (5.2: "Registrations"). NULL: none.
const struct type *type_by_name(struct str name, bool loose);

const struct attribute *type_attribute(const struct type *t, struct str name); // NULL: none
bool type_attribute_is_added(const struct type *t, const struct attribute *a);
const struct relation *type_relation(const struct type *t, struct str name); // NULL: none

// Every item begins with its id.
static inline int64_t type_item_id(const void *item)
{
    return *(const int64_t *)item;
}

// An object of the deployment: pop, node or transport protocol.
struct object {
    int64_t id;
    char *name;
    char *rpc_endpoint; // nodes
    int64_t pop;        // nodes
};

#endif
