// The one table of a registration's attributes (contract 2): wire name, type, where it is held, how it is
// cast. What the model makes of each is values.c's, what is allowed is validate.c's.
#include "services/gateway/yeti/attributes.h"

#include "common/registration/status.h"
#include "services/gateway/yeti/coerce.h"

#define AT(member) offsetof(struct values, member)

static const struct attribute attributes[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_AUTH_PASSWORD] = {"auth-password", KIND_TEXT, AT(auth_password), coerce_text},
    [ATTRIBUTE_AUTH_USER] = {"auth-user", KIND_TEXT, AT(auth_user), coerce_text},
    [ATTRIBUTE_CONTACT] = {"contact", KIND_TEXT, AT(contact), coerce_text},
    [ATTRIBUTE_DISPLAY_USERNAME] = {"display-username", KIND_TEXT, AT(display_username), coerce_text},
    [ATTRIBUTE_DOMAIN] = {"domain", KIND_TEXT, AT(domain), coerce_required},
    [ATTRIBUTE_ENABLED] = {"enabled", KIND_FLAG, AT(enabled), coerce_flag},
    [ATTRIBUTE_EXPIRE] = {"expire", KIND_INTEGER, AT(expire), coerce_integer},
    [ATTRIBUTE_FORCE_EXPIRE] = {"force-expire", KIND_FLAG, AT(force_expire), coerce_flag},
    [ATTRIBUTE_MAX_ATTEMPTS] = {"max-attempts", KIND_INTEGER, AT(max_attempts), coerce_count},
    [ATTRIBUTE_NAME] = {"name", KIND_TEXT, AT(name), coerce_required},
    [ATTRIBUTE_ROUTE_SET] = {"route-set", KIND_TEXTS, AT(route_set), coerce_texts},
    [ATTRIBUTE_RETRY_DELAY] = {"retry-delay", KIND_INTEGER, AT(retry_delay), coerce_count},
    [ATTRIBUTE_INTERFACE] = {"sip-interface-name", KIND_TEXT, AT(interface), coerce_text},
    [ATTRIBUTE_USERNAME] = {"username", KIND_TEXT, AT(username), coerce_required},
    [ATTRIBUTE_SCHEMA] = {"sip-schema-id", KIND_INTEGER, AT(schema_id), coerce_integer},
    [ATTRIBUTE_SIP] = {"sip", KIND_JSON, AT(sip), coerce_object},
};

static const struct relation relations[] = {
    {"transport-protocol", TYPE_TRANSPORT_PROTOCOLS, INCLUDE_TRANSPORT, AT(transport), false, false},
    {"pop", TYPE_POPS, INCLUDE_POP, AT(pop), false, false},
    {"node", TYPE_NODES, INCLUDE_NODE, AT(node), false, false},
    {"status", TYPE_STATUSES, INCLUDE_STATUS, AT(id), true, true},
};

static bool is_state(struct str name)
{
    for (int i = STATE_DISABLED; i <= STATE_UNREGISTERED; i++)
        if (str_eq_cstr(name, status_state_name((enum status_state)i)))
            return true;
    return false;
}

#define ADDED(text, members, of, member)                                                                     \
    .name = (text), .family = (members), .kind = (of), .offset = AT(member), .addition = true

// Yeti has the first alone. A domain is the same in any case of its letters. Passwords cannot be asked for.
static const struct filter filters[] = {
    {.name = "id", .family = FILTER_ID, .kind = KIND_ID, .offset = AT(id)},
    {ADDED("id", FILTER_NUMBER, KIND_ID, id)},
    {ADDED("name", FILTER_TEXT, KIND_TEXT, name), .index = "name"},
    {ADDED("domain", FILTER_TEXT, KIND_TEXT, domain), .index = "domain", .folded = true},
    {ADDED("username", FILTER_TEXT, KIND_TEXT, username), .index = "username"},
    {ADDED("auth_user", FILTER_TEXT, KIND_TEXT, auth_user)},
    {ADDED("contact", FILTER_TEXT, KIND_TEXT, contact)},
    {ADDED("display_username", FILTER_TEXT, KIND_TEXT, display_username)},
    {ADDED("sip_interface_name", FILTER_TEXT, KIND_TEXT, interface)},
    {ADDED("enabled", FILTER_FLAG, KIND_FLAG, enabled), .takes = coerce_is_flag},
    {ADDED("force_expire", FILTER_FLAG, KIND_FLAG, force_expire), .takes = coerce_is_flag},
    {ADDED("expire", FILTER_NUMBER, KIND_INTEGER, expire)},
    {ADDED("max_attempts", FILTER_NUMBER, KIND_INTEGER, max_attempts)},
    {ADDED("retry_delay", FILTER_NUMBER, KIND_INTEGER, retry_delay)},
    {ADDED("sip_schema_id", FILTER_NUMBER, KIND_INTEGER, schema_id)},
    {ADDED("transport_protocol_id", FILTER_KEY, KIND_ID, transport)},
    {ADDED("pop_id", FILTER_KEY, KIND_ID, pop)},
    {ADDED("node_id", FILTER_KEY, KIND_ID, node)},
    {ADDED("state", FILTER_KEY, KIND_TEXT, state), .index = "state", .takes = is_state},
};

static const struct type type = {
    .id = TYPE_REGISTRATIONS,
    .name = "registrations",
    .attributes = attributes,
    .attribute_count = ARRAY_LEN(attributes),
    .added_attributes = 1u << ATTRIBUTE_SIP,
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
