// What the dialect's resources are made of: one row a parameter, from which follow validation, defaults, what
// is stored, the XML and the page docs/dialects/ribbon.md (contract ribbon 5 and 6). Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_FIELDS_H
#define ROLLCALL_GATEWAY_RIBBON_FIELDS_H

#include "common/base/buf.h"
#include "services/gateway/ribbon/codes.h"

#include <stdint.h>

enum field_kind {
    FIELD_TEXT,   // max bytes
    FIELD_NUMBER, // min … max
    FIELD_ENUM,   // one of `choices`
    FIELD_IDS,    // comma-joined ids
    FIELD_SECRET, // a text that is kept sealed and read as SECRET_MASK
};
#define SECRET_MASK "********"

// Where a default comes from.
enum field_default { DEFAULT_FIXED, DEFAULT_AOR_TTL, DEFAULT_TTL };

struct field {
    const char *name; // on the wire
    enum field_kind kind;
    bool required;         // on create; never empty
    const char *otherwise; // default of DEFAULT_FIXED; "": none
    enum field_default from;
    int64_t min, max;
    const char *choices;           // "0,1,2"
    bool (*rule)(struct str text); // further syntax of a text that is not empty; NULL
    const char *refers_to;         // name of the resource whose id this is, 0 none; NULL
    unsigned protects;             // app code that forbids deleting what is referred to
};

// Choices that a deployment makes (contract ribbon 11).
struct limits {
    int64_t aor_ttl, ttl;         // defaults of AorTtl and TTLn
    int64_t table_ids, entry_ids; // highest ids
    int64_t tables, entries;      // most tables of a kind in an account, most rows in a table
};

struct resource {
    const char *name;
    const char *parent; // resource of its table; NULL: it is one
    const char *child;  // resource of its rows; NULL: it is one
    const struct field *fields;
    size_t field_count;
    bool has_runtime; // filter=runtime
};
#define RESOURCE_FIELDS_MAX 33
#define CONTACT_SLOTS       8

// NULL: there is none of that name.
const struct resource *resource_of(struct str name);
size_t resource_count(void);
const struct resource *resource_at(size_t index);
uint64_t resource_max_id(const struct resource *r, const struct limits *l);
uint64_t resource_max_count(const struct resource *r, const struct limits *l);

// Index of a field, or field_count.
size_t field_index(const struct resource *r, struct str name);
// Appends its default as text.
void field_default(const struct field *f, const struct limits *l, struct buf *out);
// 0, or the app code that refuses the value.
unsigned field_check(const struct field *f, struct str value);
// Whether `value` is one of a comma-joined list.
bool list_has(const char *list, struct str value);

// Index of the AOR's and the contacts' fields in sipregistrantentry, slot 0 … 7.
enum entry_field { ENTRY_AOR_TYPE, ENTRY_AOR, ENTRY_AOR_TTL, ENTRY_RETRY, ENTRY_SLOTS };
#define ENTRY_TTL(slot) (ENTRY_SLOTS + 3 * (slot))
#define ENTRY_Q(slot)   (ENTRY_SLOTS + 3 * (slot) + 1)
#define ENTRY_URI(slot) (ENTRY_SLOTS + 3 * (slot) + 2)

enum table_field { TABLE_DESCRIPTION, TABLE_SEQUENCE };

enum server_field {
    SERVER_LOOKUP,
    SERVER_TYPE,
    SERVER_HOST,
    SERVER_IP_VERSION,
    SERVER_DOMAIN,
    SERVER_SERVICE,
    SERVER_PORT,
    SERVER_PROTOCOL,
    SERVER_TLS_PROFILE,
    SERVER_PRIORITY,
    SERVER_WEIGHT,
    SERVER_CONTACT_TABLE,
    SERVER_AUTH_TABLE,
    SERVER_STAGGER,
    SERVER_CLEAR,
    SERVER_RANDOMIZER,
    SERVER_AUTH_ON_REFRESH,
    SERVER_RETRY_NON_STALE,
};

enum auth_field { AUTH_REALM, AUTH_USER, AUTH_PASSWORD, AUTH_MATCH, AUTH_REGEX };

#endif
