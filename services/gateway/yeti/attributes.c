// The one table of a registration's attributes (contract 2): wire name, type, where it is held, how it is
// cast. What the model makes of each is values.c's, what is allowed is validate.c's.
#include "services/gateway/yeti/attributes.h"

#include "services/gateway/yeti/coerce.h"

#define AT(member) offsetof(struct values, member)

static const struct attribute attributes[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_AUTH_PASSWORD] = {"auth-password", KIND_TEXT, AT(auth_password), coerce_text},
    [ATTRIBUTE_AUTH_USER] = {"auth-user", KIND_TEXT, AT(auth_user), coerce_text},
    [ATTRIBUTE_CONTACT] = {"contact", KIND_TEXT, AT(contact), coerce_text},
    [ATTRIBUTE_DISPLAY_USERNAME] = {"display-username", KIND_TEXT, AT(display_username), coerce_text},
    [ATTRIBUTE_DOMAIN] = {"domain", KIND_TEXT, AT(domain), coerce_text},
    [ATTRIBUTE_ENABLED] = {"enabled", KIND_FLAG, AT(enabled), coerce_flag},
    [ATTRIBUTE_EXPIRE] = {"expire", KIND_INTEGER, AT(expire), coerce_integer},
    [ATTRIBUTE_FORCE_EXPIRE] = {"force-expire", KIND_FLAG, AT(force_expire), coerce_flag},
    [ATTRIBUTE_MAX_ATTEMPTS] = {"max-attempts", KIND_INTEGER, AT(max_attempts), coerce_count},
    [ATTRIBUTE_NAME] = {"name", KIND_TEXT, AT(name), coerce_text},
    [ATTRIBUTE_ROUTE_SET] = {"route-set", KIND_TEXTS, AT(route_set), coerce_texts},
    [ATTRIBUTE_RETRY_DELAY] = {"retry-delay", KIND_INTEGER, AT(retry_delay), coerce_count},
    [ATTRIBUTE_INTERFACE] = {"sip-interface-name", KIND_TEXT, AT(interface), coerce_text},
    [ATTRIBUTE_USERNAME] = {"username", KIND_TEXT, AT(username), coerce_text},
    [ATTRIBUTE_SCHEMA] = {"sip-schema-id", KIND_INTEGER, AT(schema_id), coerce_integer},
};

static const struct relation relations[] = {
    {"transport-protocol", TYPE_TRANSPORT_PROTOCOLS, INCLUDE_TRANSPORT, AT(transport), false, false},
    {"pop", TYPE_POPS, INCLUDE_POP, AT(pop), false, false},
    {"node", TYPE_NODES, INCLUDE_NODE, AT(node), false, false},
    {"status", TYPE_STATUSES, INCLUDE_STATUS, AT(id), true, true},
};

static const struct filter filters[] = {{"id", FILTER_ID, AT(id), KIND_INTEGER}};

static const struct type type = {
    .id = TYPE_REGISTRATIONS,
    .name = "registrations",
    .attributes = attributes,
    .attribute_count = ARRAY_LEN(attributes),
    .relations = relations,
    .relation_count = ARRAY_LEN(relations),
    .filters = filters,
    .filter_count = ARRAY_LEN(filters),
};

const struct attribute *attribute_at(enum attribute_index index)
{
    return &attributes[index];
}

const struct type *attributes_type(void)
{
    return &type;
}
