// See fields.h.
#include "services/gateway/ribbon/fields.h"

#include "common/sip/uri.h"
#include "services/gateway/ribbon/aor.h"
#include "services/gateway/ribbon/match.h"

#include <string.h>

#define NUMBER_MAX INT32_MAX

static bool is_host(struct str text)
{
    struct sip_uri u;
    return sip_hostport_parse(text, &u, NULL) == 0 && !u.port_text.n;
}

static bool is_contact(struct str text)
{
    struct buf user cleanup(buf_done) = BUF_INIT;
    return contact_user(text, &user);
}

#define TEXT(field_name, bytes)                                                                              \
    {                                                                                                        \
        .name = field_name, .kind = FIELD_TEXT, .otherwise = "", .max = (bytes)                              \
    }
#define NUMBER(field_name, otherwise_, min_, max_)                                                           \
    {                                                                                                        \
        .name = field_name, .kind = FIELD_NUMBER, .otherwise = (otherwise_), .min = (min_), .max = (max_)    \
    }
#define ENUM(field_name, otherwise_, choices_)                                                               \
    {                                                                                                        \
        .name = field_name, .kind = FIELD_ENUM, .otherwise = (otherwise_), .choices = (choices_)             \
    }
#define DESCRIPTION                                                                                          \
    {                                                                                                        \
        .name = "Description", .kind = FIELD_TEXT, .required = true, .otherwise = "", .max = 64              \
    }
#define SEQUENCE                                                                                             \
    {                                                                                                        \
        .name = "Sequence", .kind = FIELD_IDS, .otherwise = "", .max = 8192                                  \
    }
#define SLOT(n)                                                                                              \
    {.name = "TTL" #n, .kind = FIELD_NUMBER, .from = DEFAULT_TTL, .min = 0, .max = NUMBER_MAX},              \
        NUMBER("Q" #n, "100", 0, 100),                                                                       \
    {                                                                                                        \
        .name = "URI" #n, .kind = FIELD_TEXT, .otherwise = "", .max = 512, .rule = is_contact                \
    }

static const struct field contact_table_fields[] = {[TABLE_DESCRIPTION] = DESCRIPTION};

static const struct field listed_table_fields[] = {
    [TABLE_DESCRIPTION] = DESCRIPTION,
    [TABLE_SEQUENCE] = SEQUENCE,
};

static const struct field entry_fields[] = {
    [ENTRY_AOR_TYPE] = ENUM("AorType", "1", "0,1,2,3"),
    [ENTRY_AOR] = {.name = "AOR", .kind = FIELD_TEXT, .required = true, .otherwise = "", .max = 512},
    [ENTRY_AOR_TTL] =
        {.name = "AorTtl", .kind = FIELD_NUMBER, .from = DEFAULT_AOR_TTL, .min = 1, .max = NUMBER_MAX},
    [ENTRY_RETRY] = NUMBER("FailedRegistrationRetryTimer", "120", 30, 86400),
    SLOT(1),
    SLOT(2),
    SLOT(3),
    SLOT(4),
    SLOT(5),
    SLOT(6),
    SLOT(7),
    SLOT(8),
};

static const struct field server_fields[] = {
    [SERVER_LOOKUP] = ENUM("ServerLookup", "0", "0,1"),
    [SERVER_TYPE] = ENUM("ServerType", "0", "0,1,2"),
    [SERVER_HOST] = {.name = "Host", .kind = FIELD_TEXT, .otherwise = "", .max = 256, .rule = is_host},
    [SERVER_IP_VERSION] = ENUM("HostIpVersion", "0", "0,1"),
    [SERVER_DOMAIN] =
        {.name = "DomainName", .kind = FIELD_TEXT, .otherwise = "", .max = 256, .rule = is_host},
    [SERVER_SERVICE] = {.name = "ServiceName", .kind = FIELD_TEXT, .otherwise = "sip", .max = 64},
    [SERVER_PORT] = NUMBER("Port", "5060", 1024, 65535),
    [SERVER_PROTOCOL] = ENUM("Protocol", "1", "1,2,4"),
    [SERVER_TLS_PROFILE] = NUMBER("TLSProfileID", "0", 0, 65535),
    [SERVER_PRIORITY] = NUMBER("Priority", "0", 0, 16),
    [SERVER_WEIGHT] = NUMBER("Weight", "0", 0, 65535),
    [SERVER_CONTACT_TABLE] = {.name = "ContactRegistrantTableID",
                              .kind = FIELD_NUMBER,
                              .otherwise = "0",
                              .max = 65535,
                              .refers_to = "sipcontactregistrant",
                              .protects = APP_CONTACT_TABLE_IN_USE},
    [SERVER_AUTH_TABLE] = {.name = "RemoteAuthorizationTableID",
                           .kind = FIELD_NUMBER,
                           .otherwise = "0",
                           .max = 65535,
                           .refers_to = "sipremoteauthtable",
                           .protects = APP_AUTH_TABLE_IN_USE},
    [SERVER_STAGGER] = ENUM("StaggerRegistration", "0", "0,1"),
    [SERVER_CLEAR] = ENUM("ClearRemoteRegistrationOnStartup", "0", "0,1"),
    [SERVER_RANDOMIZER] = ENUM("ContactURIRandomizer", "0", "0,1"),
    [SERVER_AUTH_ON_REFRESH] = ENUM("AuthorizationOnRefresh", "1", "0,1"),
    [SERVER_RETRY_NON_STALE] = ENUM("RetryNonStaleNonce", "1", "0,1"),
    ENUM("SessionURIValidation", "0", "0,1"),
    // OPTIONS and sockets, not registration: kept and given back.
    TEXT("Monitor", 64),
    TEXT("KeepAliveFrequency", 64),
    TEXT("RecoverFrequency", 64),
    TEXT("LocalUserName", 256),
    TEXT("PeerUserName", 256),
    TEXT("ReuseTransport", 64),
    TEXT("ReuseTimeout", 64),
    TEXT("TransportSocket", 64),
};

static const struct field auth_fields[] = {
    [AUTH_REALM] = TEXT("Realm", 512),
    [AUTH_USER] = {.name = "User", .kind = FIELD_TEXT, .required = true, .otherwise = "", .max = 64},
    [AUTH_PASSWORD] =
        {.name = "EncryptedPassword", .kind = FIELD_SECRET, .required = true, .otherwise = "", .max = 64},
    [AUTH_MATCH] = ENUM("FromURIUserMatch", "0", "0,1"),
    [AUTH_REGEX] =
        {.name = "MatchRegex", .kind = FIELD_TEXT, .otherwise = "", .max = 128, .rule = match_compiles},
};

#define FIELDS(table) .fields = (table), .field_count = ARRAY_LEN(table)

static const struct resource resources[] = {
    {.name = "sipcontactregistrant", .child = "sipregistrantentry", FIELDS(contact_table_fields)},
    {.name = "sipregistrantentry",
     .parent = "sipcontactregistrant",
     .has_runtime = true,
     FIELDS(entry_fields)},
    {.name = "sipservertable", .child = "sipserver", FIELDS(listed_table_fields)},
    {.name = "sipserver", .parent = "sipservertable", FIELDS(server_fields)},
    {.name = "sipremoteauthtable", .child = "sipremoteauthentry", FIELDS(listed_table_fields)},
    {.name = "sipremoteauthentry", .parent = "sipremoteauthtable", FIELDS(auth_fields)},
};
_Static_assert(ARRAY_LEN(entry_fields) == 28, "contract ribbon 5.2 has 28 parameters");
_Static_assert(ARRAY_LEN(entry_fields) <= RESOURCE_FIELDS_MAX &&
                   ARRAY_LEN(server_fields) <= RESOURCE_FIELDS_MAX,
               "values hold one text a field");

#define SERVER_ROWS_MAX 99 // contract ribbon 5.3

size_t resource_count(void)
{
    return ARRAY_LEN(resources);
}

const struct resource *resource_at(size_t index)
{
    return &resources[index];
}

const struct resource *resource_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(resources); i++)
        if (str_eq_cstr(name, resources[i].name))
            return &resources[i];
    return NULL;
}

uint64_t resource_max_id(const struct resource *r, const struct limits *l)
{
    if (!r->parent)
        return (uint64_t)l->table_ids;
    return r->fields == server_fields ? SERVER_ROWS_MAX : (uint64_t)l->entry_ids;
}

uint64_t resource_max_count(const struct resource *r, const struct limits *l)
{
    return (uint64_t)(r->parent ? l->entries : l->tables);
}

size_t field_index(const struct resource *r, struct str name)
{
    size_t i = 0;
    while (i < r->field_count && !str_eq_cstr(name, r->fields[i].name))
        i++;
    return i;
}

void field_default(const struct field *f, const struct limits *l, struct buf *out)
{
    switch (f->from) {
    case DEFAULT_FIXED:
        buf_add_cstr(out, f->otherwise);
        break;
    case DEFAULT_AOR_TTL:
        buf_add_u64(out, (uint64_t)l->aor_ttl);
        break;
    case DEFAULT_TTL:
        buf_add_u64(out, (uint64_t)l->ttl);
        break;
    }
}

bool list_has(const char *list, struct str value)
{
    struct str rest = str_of(list), one;
    while (str_split(&rest, ',', &one))
        if (str_eq(str_trim(one), value))
            return true;
    return false;
}

static bool is_number(struct str value, int64_t min, int64_t max)
{
    int64_t number;
    return value.n && value.p[0] != '-' && str_to_i64(value, &number) == 0 && number >= min && number <= max;
}

static bool is_ids(struct str value)
{
    struct str rest = value, one;
    while (str_split(&rest, ',', &one))
        if (!is_number(str_trim(one), 1, UINT32_MAX))
            return false;
    return true;
}

// What XML 1.0 cannot hold (2.2), nor a SIP header, has no place in any text.
static bool is_text(const struct field *f, struct str value)
{
    return value.n <= (size_t)f->max && sip_text_is_safe(value) && (!value.n || !f->rule || f->rule(value));
}

unsigned field_check(const struct field *f, struct str value)
{
    bool good = false;
    if (f->required && !value.n)
        return APP_EMPTY;
    switch (f->kind) {
    case FIELD_TEXT:
    case FIELD_SECRET:
        good = is_text(f, value);
        break;
    case FIELD_NUMBER:
        good = is_number(value, f->min, f->max);
        break;
    case FIELD_ENUM:
        good = list_has(f->choices, value);
        break;
    case FIELD_IDS:
        good = value.n <= (size_t)f->max && is_ids(value);
        break;
    }
    return good ? 0 : APP_RANGE;
}
