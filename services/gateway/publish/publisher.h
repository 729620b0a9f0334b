// Publishes changes: at most one message of a registration and place is under way; a newer revision waits for
// its acknowledgement and replaces an older one that waits. What cannot be published is left to `due`.
#ifndef ROLLCALL_GATEWAY_PUBLISH_PUBLISHER_H
#define ROLLCALL_GATEWAY_PUBLISH_PUBLISHER_H

#include "services/gateway/publish/hub.h"

struct publisher *publisher_new(struct hub *h);
// After the producer: nothing is under way any more but what waits for its topics.
void publisher_free(struct publisher *p);

void publisher_publish(struct publisher *p, struct store_change *take_change);

size_t publisher_under_way(const struct publisher *p);
// All that is under way or waits for what is.
void publisher_each(const struct publisher *p, void *arg,
                    void (*fn)(void *arg, const struct store_change *c));
bool publisher_is_publishing(const struct publisher *p, uint64_t id,
                             struct str place);              // place: shorter than REGISTRATION_PLACE_BYTES
uint64_t publisher_oldest_age_us(const struct publisher *p); // of what is not acknowledged; 0: nothing is
void publisher_flush(struct publisher *p);                   // tells Redis of the acknowledgements so far

#endif
