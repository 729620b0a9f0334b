// The producer's own state, shared by its files. Only files of this folder include this.
#ifndef ROLLCALL_KAFKA_PRODUCER_H
#define ROLLCALL_KAFKA_PRODUCER_H

#include "common/kafka/client.h"

struct kafka_producer {
    struct kafka_client client;
    struct kafka_producer_params params; // its strings are not valid after kafka_producer_new
    rd_kafka_conf_t *conf;               // to open the handle again
    size_t pending;                      // accepted, not yet told of
    bool closing;
    STAILQ_HEAD(, kafka_job) again; // topics to ensure once the handle is open again
};

// topic.c: what a closed handle left undone goes to the new one, or is dropped.
void kafka_ensure_again(struct kafka_producer *p);
void kafka_ensure_drop(struct kafka_producer *p);

#endif
