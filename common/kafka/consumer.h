// The consumer's own state, shared by its files. Only files of this folder include this.
#ifndef ROLLCALL_KAFKA_CONSUMER_H
#define ROLLCALL_KAFKA_CONSUMER_H

#include "common/kafka/client.h"

enum kafka_partition_state {
    PARTITION_PLACING, // assigned; its position is being looked up, the owner does not know of it yet
    PARTITION_OURS,    // told by on_assigned
    PARTITION_LEAVING, // told by on_revoked, not released yet
};

// A partition that the group gave us.
struct kafka_partition {
    TAILQ_ENTRY(kafka_partition) link;
    const char *topic; // of the client's list of topics
    int32_t number;
    enum kafka_partition_state state;
    uint64_t term;    // tells this assignment from an earlier one of the same partition
    int64_t position; // next offset that the owner will be given; negative while unknown
    int64_t end;      // of the partition just before the owner was told of it; negative: unknown
    bool placing;     // the lookup is under way
    bool wanted;      // the owner resumed it
    bool flowing;     // what librdkafka was last told
};

// A commit that the owner asked for and has no answer to.
struct kafka_commit {
    const char *topic;
    int32_t partition;
    int64_t next_offset; // negative: nothing can be sent, and the answer is this code
    uint64_t sent_us;
};
struct kafka_commits {
    TAILQ_ENTRY(kafka_commits) link;
    size_t count, size;
    struct kafka_commit *items;
};

struct kafka_consumer {
    struct kafka_client client;
    struct kafka_consumer_params params; // its strings are not valid after kafka_consumer_new
    TAILQ_HEAD(, kafka_partition) partitions;
    struct kafka_partition *last_found; // records come in runs of one partition
    uint64_t terms;
    struct kafka_batch batch;

    rd_kafka_topic_partition_list_t *leaving; // what is revoked and waits for its release; NULL: nothing
    size_t leaving_count;                     // of them, not released yet

    struct kafka_commits *commits; // of this loop turn
    TAILQ_HEAD(, kafka_commits) commits_sent;
    struct event *flush;
    bool is_static;    // has an instance id
    bool was_assigned; // once, if only nothing: before, the handle must not be destroyed
    bool resubscribed; // once: from then on it must not be destroyed either
    bool unsettled;    // an assignment came and on_rebalanced was not called since
    bool closing;
};

// consumer.c
struct kafka_partition *kafka_partition_find(struct kafka_consumer *c, const char *topic, int32_t number);
void kafka_partition_flow(struct kafka_consumer *c, struct kafka_partition *p); // pauses or resumes as is due

// Gives the consumer up, if it has to be: its session is over while commits have no answer. librdkafka keeps
// these and sends them to the next coordinator without a member id, which fences whoever has the name: us.
void kafka_consumer_outlived(struct kafka_consumer *c);

// rebalance.c
void kafka_on_rebalance(struct kafka_consumer *c, rd_kafka_event_t *ev);
void kafka_stop_leaving(struct kafka_consumer *c); // what waits for its release is gone at once
void kafka_lose_all(struct kafka_consumer *c);     // the handle is of no more use
void kafka_forget_partitions(struct kafka_consumer *c);

// position.c
// Looks up the position of every partition that has none and is not being looked up, then tells the owner.
void kafka_place_new(struct kafka_consumer *c);
void kafka_settle(struct kafka_consumer *c); // calls on_rebalanced once nothing is being looked up any more

// commit.c
void kafka_on_flush(int fd, short what, void *arg);
void kafka_on_commit_event(struct kafka_consumer *c, rd_kafka_event_t *ev);
void kafka_forget_commits(struct kafka_consumer *c);

#endif
