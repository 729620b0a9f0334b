// Which places exist, and that their two topics do. A place is remembered in Redis, so that every gateway
// reads the reports of all places. Refuses to know what is published there.
#ifndef ROLLCALL_GATEWAY_PUBLISH_PLACES_H
#define ROLLCALL_GATEWAY_PUBLISH_PLACES_H

#include "services/gateway/publish/hub.h"

#include <sys/queue.h>

struct place;
const char *place_changes_topic(const struct place *p);
const char *place_status_topic(const struct place *p);
bool place_is_ready(const struct place *p);  // both topics are there and their partitions known
bool place_was_ready(const struct place *p); // once since the start

bool place_name_is_valid(struct str name); // "any", "pop-<id>", "node-<id>"

struct places *places_new(struct hub *h);
void places_free(struct places *p); // waits are not called

// The place of that name; made known, and its topics ensured, where it was not. NULL for a bad name.
struct place *places_get(struct places *p, const char *name);

// Embedded by whoever waits. fn runs once, later: ready, or the topics could not be ensured this time.
struct place_wait {
    TAILQ_ENTRY(place_wait) link;
    void (*fn)(struct place_wait *w, bool ready);
};
void place_wait(struct place *p, struct place_wait *w);
// A record was not delivered: the broker may have come back without the topics. They are ensured again.
void place_doubt(struct place *p);

void places_redis_up(struct places *p); // read what other gateways remembered, remember ours

size_t places_count(const struct places *p);
struct place *places_next(const struct places *p, const struct place *after); // NULL: the first

#endif
