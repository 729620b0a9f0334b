// Waits until Redis holds all that was reported on a partition's registrations when somebody asked: the end
// of the place's status topic and what the group of gateways has committed of it, both as Kafka says, are
// compared until the second has reached the first. All that wait are asked about together. Refuses to wait
// for longer than 5 s: an old word is better than none. Bus thread.
#ifndef ROLLCALL_GATEWAY_PUBLISH_FRESHNESS_H
#define ROLLCALL_GATEWAY_PUBLISH_FRESHNESS_H

#include "services/gateway/publish/behind.h"
#include "services/gateway/publish/hub.h"

#include <sys/queue.h>

struct freshness;

enum freshness_end {
    FRESHNESS_REACHED,
    FRESHNESS_UNKNOWN, // its time is over: reports may wait still
    FRESHNESS_LEFT,    // nobody wants to know any more
    FRESHNESS_STOPPED,
};

// Embedded by whoever waits, who sets the two functions.
struct freshness_wait {
    bool (*is_gone)(struct freshness_wait *w);
    void (*fn)(struct freshness_wait *w, enum freshness_end end); // once, later
    // freshness.c's own
    TAILQ_ENTRY(freshness_wait) link;
    char *topic;
    struct behind behind;
    uint64_t since_us;
    bool asked;   // it is in the question that is under way
    int64_t left; // reports that were not applied by the last answer; negative: it did not say
};

must_use int freshness_new(struct hub *h, struct freshness **ret, struct error *err);
void freshness_stop(struct freshness *f); // whoever waits is told so, from within, and nothing waits any more
void freshness_free(struct freshness *f); // waits for what Kafka is being asked, a second or two

void freshness_await(struct freshness *f, struct freshness_wait *w, const char *place, uint32_t partition,
                     uint32_t partitions);

#endif
