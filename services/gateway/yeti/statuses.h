// The resource `registration-statuses`, an addition to Yeti's API: what the registrant reported last, as far
// as it is believed.
#ifndef ROLLCALL_GATEWAY_YETI_STATUSES_H
#define ROLLCALL_GATEWAY_YETI_STATUSES_H

#include "services/gateway/store/store.h"
#include "services/gateway/yeti/types.h"

struct status_item {
    int64_t id; // the registration's
    char *state;
    char *yeti_state;
    uint64_t since;
    struct integer code;
    char *reason, *warning;
    struct integer retry_after;
    char *initiator;
    struct integer attempt, granted_expires;
    uint64_t expires_at, next_action_at;
    struct texts contacts, service_route, path, associated_uris;
    struct integer foreign_contacts;
    uint64_t audited_at;
    char *pub_gruu, *temp_gruu;
    char *outbound; // JSON: true or false
    struct integer flow_timer;
    char *target, *local_address, *received_address;
    struct integer round_trip_time;
    char *node;
    struct integer applied_revision, revision;
    bool in_sync;
    char *last_report; // JSON
};

const struct type *statuses_type(void);

// No report yet: "pending". One that is no longer believed: "unknown", with all of it in last-report.
void status_item_of(struct status_item *ret_init, const struct store_record *record, uint64_t now_wall_ms);
void status_item_done(struct status_item *s);

#endif
