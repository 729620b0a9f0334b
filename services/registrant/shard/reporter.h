// Reports on their way to Kafka. Each SIP thread has a fixed number of credits; a delivered report gives its
// credit back, a failed one is said to the thread, which marks the registration again. So nothing queues
// while Kafka is away.
#ifndef ROLLCALL_REGISTRANT_SHARD_REPORTER_H
#define ROLLCALL_REGISTRANT_SHARD_REPORTER_H

#include "common/kafka/kafka.h"
#include "services/registrant/shard/workers.h"

struct reporter;

struct reporter_params {
    struct kafka_params kafka;
    const char *topic_prefix;
    const char *node;
    void *arg;
    const char *(*place_of)(void *arg, uint32_t shard); // name of the shard's place
    void (*on_health)(void *arg, bool up);
};
must_use int reporter_new(const struct reporter_params *p, struct reporter **ret, struct error *err);
void reporter_attach(struct reporter *r, struct workers *w); // gives every thread its credits
void reporter_free(struct reporter *r, uint32_t timeout_ms); // NULL is allowed

struct kafka_producer *reporter_producer(struct reporter *r);
void reporter_send(struct reporter *r, unsigned thread, struct sip_notice *take);
size_t reporter_pending(const struct reporter *r,
                        uint32_t shard); // reports of that shard not acknowledged yet

struct reporter_counts {
    uint64_t delivered, failed;
};
struct reporter_counts reporter_counts(const struct reporter *r);

#endif
