// See types.h. The registrations' table stands in attributes.c, the statuses' in statuses.c.
#include "services/gateway/yeti/types.h"

#include "services/gateway/yeti/attributes.h"
#include "services/gateway/yeti/coerce.h"
#include "services/gateway/yeti/statuses.h"

static const struct attribute name_only[] = {
    {"name", KIND_TEXT, offsetof(struct object, name), coerce_required},
};
static const struct attribute node_attributes[] = {
    {"name", KIND_TEXT, offsetof(struct object, name), coerce_required},
    {"rpc-endpoint", KIND_TEXT, offsetof(struct object, rpc_endpoint), coerce_required},
};

static const struct relation node_relations[] = {
    {"pop", TYPE_POPS, INCLUDE_NODE_POP, offsetof(struct object, pop), true, false},
};

#define FILTER(text, members, of, member)                                                                    \
    {                                                                                                        \
        .name = (text), .family = (members), .kind = (of), .offset = offsetof(struct object, member)         \
    }

static const struct filter transport_filters[] = {
    FILTER("id", FILTER_ID, KIND_ID, id),
    FILTER("name", FILTER_EXACT, KIND_TEXT, name),
};
static const struct filter pop_filters[] = {
    FILTER("id", FILTER_ID, KIND_ID, id),
    FILTER("name", FILTER_EXACT, KIND_TEXT, name),
    FILTER("name", FILTER_TEXT, KIND_TEXT, name),
};
static const struct filter node_filters[] = {
    FILTER("id", FILTER_ID, KIND_ID, id),
    FILTER("id", FILTER_NUMBER, KIND_ID, id),
    FILTER("name", FILTER_TEXT, KIND_TEXT, name),
    FILTER("rpc_endpoint", FILTER_TEXT, KIND_TEXT, rpc_endpoint),
    FILTER("pop_id", FILTER_KEY, KIND_ID, pop),
};

#define ROWS(member, table) .member##s = (table), .member##_count = ARRAY_LEN(table)

static const struct type transport_protocols = {.id = TYPE_TRANSPORT_PROTOCOLS,
                                                .name = "transport-protocols",
                                                ROWS(attribute, name_only),
                                                ROWS(filter, transport_filters)};
static const struct type pops = {
    .id = TYPE_POPS, .name = "pops", ROWS(attribute, name_only), ROWS(filter, pop_filters)};
static const struct type nodes = {.id = TYPE_NODES,
                                  .name = "nodes",
                                  ROWS(attribute, node_attributes),
                                  ROWS(relation, node_relations),
                                  ROWS(filter, node_filters)};

const struct type *type_of(enum type_id id)
{
    switch (id) {
    case TYPE_TRANSPORT_PROTOCOLS:
        return &transport_protocols;
    case TYPE_POPS:
        return &pops;
    case TYPE_NODES:
        return &nodes;
    case TYPE_STATUSES:
        return statuses_type();
    case TYPE_REGISTRATIONS:
    case TYPE_COUNT:
        break;
    }
    return attributes_type();
}

// As ActiveSupport underscores: capitals fall, "-" is "_".
static char folded(char c, bool loose)
{
    if (loose && c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    return loose && c == '_' ? '-' : c;
}

static bool is_named(const char *name, struct str text, bool loose)
{
    size_t i = 0;
    while (i < text.n && name[i] && name[i] == folded(text.p[i], loose))
        i++;
    return !name[i] && i == text.n;
}

const struct type *type_by_name(struct str name, bool loose)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (is_named(type_of((enum type_id)i)->name, name, loose))
            return type_of((enum type_id)i);
    return NULL;
}

const struct attribute *type_attribute(const struct type *t, struct str name)
{
    for (size_t i = 0; i < t->attribute_count; i++)
        if (str_eq_cstr(name, t->attributes[i].name))
            return &t->attributes[i];
    return NULL;
}

bool type_attribute_is_added(const struct type *t, const struct attribute *a)
{
    return t->added_attributes >> (a - t->attributes) & 1;
}

const struct relation *type_relation(const struct type *t, struct str name)
{
    for (size_t i = 0; i < t->relation_count; i++)
        if (str_eq_cstr(name, t->relations[i].name))
            return &t->relations[i];
    return NULL;
}
