// A registration as this dialect spells it: its attributes (contract 2) and the ids it is related to.
#ifndef ROLLCALL_GATEWAY_YETI_ATTRIBUTES_H
#define ROLLCALL_GATEWAY_YETI_ATTRIBUTES_H

#include "services/gateway/yeti/types.h"

// In the order of serialization.
enum attribute_index {
    ATTRIBUTE_AUTH_PASSWORD,
    ATTRIBUTE_AUTH_USER,
    ATTRIBUTE_CONTACT,
    ATTRIBUTE_DISPLAY_USERNAME,
    ATTRIBUTE_DOMAIN,
    ATTRIBUTE_ENABLED,
    ATTRIBUTE_EXPIRE,
    ATTRIBUTE_FORCE_EXPIRE,
    ATTRIBUTE_MAX_ATTEMPTS,
    ATTRIBUTE_NAME,
    ATTRIBUTE_ROUTE_SET,
    ATTRIBUTE_RETRY_DELAY,
    ATTRIBUTE_INTERFACE,
    ATTRIBUTE_USERNAME,
    ATTRIBUTE_SCHEMA,
    ATTRIBUTE_SIP, // an addition
    ATTRIBUTE_COUNT
};
const struct attribute *attribute_at(enum attribute_index index);
const struct type *attributes_type(void); // the type `registrations`

// Owns its texts.
struct values {
    int64_t id;
    char *auth_password; // the mask in place of what is not shown
    char *auth_user, *contact, *display_username, *domain;
    bool enabled;
    struct integer expire;
    bool force_expire;
    struct integer max_attempts;
    char *name;
    struct texts route_set;
    struct integer retry_delay;
    char *interface, *username;
    struct integer schema_id;
    char *sip;                    // JSON, where it is asked for
    int64_t transport, pop, node; // 0: null
    const char *state;            // as last reported, where a filter asks for it; a constant
};

#endif
