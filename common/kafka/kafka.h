// Kafka producer and consumer on a libevent loop, over librdkafka's event interface: no callback runs in a
// library thread. The only place, beside the embedded broker, that includes librdkafka.
#ifndef ROLLCALL_KAFKA_KAFKA_H
#define ROLLCALL_KAFKA_KAFKA_H

#include "common/base/error.h"
#include "common/base/str.h"

#include <stdint.h>

struct event_base;
struct kafka_producer;
struct kafka_consumer;

struct kafka_params {
    struct event_base *base;
    const char *bootstrap; // "host:port,…"
    const char *client_id;
    const char *extra;    // "name=value;name=value": librdkafka settings (security.protocol …); NULL
    const char *password; // sasl.password, which may hold what separates settings; NULL
    // Why a broker could not be used (refused credentials, a certificate, a connection), in librdkafka's
    // words, which hold no secret; from the loop, seldom. For a log. NULL: not wanted.
    void (*on_trouble)(const char *why);
};

struct kafka_header {
    const char *name;
    struct str value;
};

struct kafka_record {
    const char *topic;
    int32_t partition; // -1 when producing: murmur2 of the key, as Java clients do
    int64_t offset;    // consumed
    int64_t timestamp_ms;
    struct str key;
    struct str value; // p NULL: tombstone
    const struct kafka_header *headers;
    size_t header_count;
};
struct str kafka_header_get(const struct kafka_record *r, const char *name); // STR_NONE when absent

// ---- producer: acks=all, idempotent, message time-out 30 s. Loop thread only.

struct kafka_producer_params {
    struct kafka_params common;
    uint32_t linger_ms; // how long a record may wait for company in its request; 0: not at all
    void *arg;
    // Once for each accepted record: err NULL when the broker has it. `token` is what kafka_produce was
    // given.
    void (*on_delivery)(void *arg, uint64_t token, const struct error *err);
    // All brokers down / at least one up again.
    void (*on_health)(void *arg, bool up);
};
// From the loop only. NULL in any params: a callback that is not wanted (on_health, on_commit, on_fatal).
must_use int kafka_producer_new(const struct kafka_producer_params *p, struct kafka_producer **ret,
                                struct error *err);
// Delivers or fails what is under way for at most timeout_ms (on_delivery runs), then frees. Not from within
// a callback of this producer. kafka_topic_ensure callbacks that have not run by then never do.
void kafka_producer_free(struct kafka_producer *p, uint32_t timeout_ms);
// 0, -EAGAIN (queue full: nothing was accepted), -EMSGSIZE, -EINVAL. Everything is copied.
must_use int kafka_produce(struct kafka_producer *p, const struct kafka_record *r, uint64_t token);
size_t kafka_producer_pending_count(const struct kafka_producer *p);

// Makes sure a topic exists with these settings and that its metadata is known (the first record to an
// unknown topic waits a second otherwise). Answers on the loop: count of partitions (> 0), or a negative code
// when there is no broker. Where the broker has no admin API (the embedded one) the topic is made by asking
// for its metadata.
struct kafka_topic_settings {
    const char *topic;
    int32_t partitions; // wanted when it does not exist
    // -1: the broker's default, of min.insync.replicas too. From 3 on, more than half of them must be in
    // sync.
    int32_t replication;
    int64_t retention_ms;
};
typedef void kafka_topic_fn(void *arg, const char *topic, int32_t partitions_or_error);
void kafka_topic_ensure(struct kafka_producer *p, const struct kafka_topic_settings *s, kafka_topic_fn *fn,
                        void *arg);
// Names of the topics that the broker has and that begin with `prefix`, on the loop; rc negative: no broker
// answered.
typedef void kafka_topics_fn(void *arg, int rc, const char *const *topics, size_t count);
void kafka_topics(struct kafka_producer *p, const char *prefix, kafka_topics_fn *fn, void *arg);

// ---- consumer: one group; manual commit; cooperative-sticky; static membership where instance_id is given.

struct kafka_consumer_params {
    struct kafka_params common;
    const char *group;
    const char *instance_id; // group.instance.id; NULL: dynamic
    const char *const *topics;
    size_t topic_count;
    bool from_beginning;         // of a partition without a committed offset: earliest, else latest
    uint32_t session_timeout_ms; // 10 000
    void *arg;
    // Records of one poll in order; borrowed. Return is ignored; use kafka_consumer_pause to stop the flow.
    void (*on_records)(void *arg, const struct kafka_record *records, size_t count);
    // A partition was given to us. It is assigned at the group's committed offset and *paused*;
    // kafka_consumer_resume lets it flow.
    void (*on_assigned)(void *arg, const char *topic, int32_t partition);
    // It is about to be taken. lost: the group already gave it away (session over). The partition stays ours
    // until kafka_consumer_release is called for it (at once when lost).
    void (*on_revoked)(void *arg, const char *topic, int32_t partition, bool lost);
    // The group has settled: on_assigned was called for all that it newly gave us. NULL: not wanted.
    void (*on_rebalanced)(void *arg);
    // Result of kafka_consumer_commit. sent_us: clock_monotonic_us at the time of the call that it answers.
    // err -ENOTCONN: no broker is reached; of a static member nothing was sent.
    // -EBUSY: the coordinator knows us but takes no offset while the group rebalances (the embedded
    // broker does so all the time that a rebalance takes); -ESTALE: we are no member (any more), or there is
    // no position.
    void (*on_commit)(void *arg, const struct error *err, uint64_t sent_us);
    void (*on_health)(void *arg, bool up);
    // The consumer is given up: every partition was told as lost, nothing more comes, and only free remains:
    // not from within this callback. A consumer of the same group and instance may be made before that.
    // The coordinator fenced its static membership, so another process may have its name; or, with -EAGAIN,
    // nobody did: its session ended while commits were on their way, see kafka_consumer_outlived.
    void (*on_fatal)(void *arg, const struct error *why);
};
must_use int kafka_consumer_new(const struct kafka_consumer_params *p, struct kafka_consumer **ret,
                                struct error *err);
// Leaves the group (at most timeout_ms) and frees. Waits, too, for what is being asked of a broker: up to a
// second or two where none answers, and not at all that long after on_fatal.
void kafka_consumer_free(struct kafka_consumer *c, uint32_t timeout_ms);

// From now on these topics in place of those it was made with; the group rebalances. 0 or a negative code.
must_use int kafka_consumer_subscribe(struct kafka_consumer *c, const char *const *topics, size_t count);

void kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition);  // topic NULL: all
void kafka_consumer_resume(struct kafka_consumer *c, const char *topic, int32_t partition); // topic NULL: all
void kafka_consumer_release(struct kafka_consumer *c, const char *topic, int32_t partition);
// Commits next offsets (last handled + 1), asynchronously; always goes to the coordinator, even when nothing
// moved. offset -1: the position as it is now.
void kafka_consumer_commit(struct kafka_consumer *c, const char *topic, int32_t partition,
                           int64_t next_offset);
// The offset that the next record would have had just before on_assigned: what was written before that has a
// lower one. -1 where the broker did not say, and once a record shows that the topic was made anew since.
int64_t kafka_consumer_end(struct kafka_consumer *c, const char *topic, int32_t partition);
int32_t kafka_consumer_partitions(struct kafka_consumer *c,
                                  const char *topic); // count in the topic, 0 unknown

// ---- how far a group has come, whoever of it reads which partition. Asked over connections of its own: on
// one that also fetches, a question waits until the broker has something to give (500 ms). Joins no group.

struct kafka_position {
    int64_t end; // the offset that the next record will have; -1: not known now (its leader is away)
    // The one that the group reads next: its committed one, or the first that is still there where that is
    // higher. -1: not known now.
    int64_t next;
};
struct kafka_progress {
    const char *topic;
    int32_t count; // of its partitions; 0: there is no such topic; negative code: not known now
    const struct kafka_position *partitions; // by number
};
// Borrowed during the callback; in the order of the question.
typedef void kafka_progress_fn(void *arg, const struct kafka_progress *topics, size_t count);

struct kafka_group;
must_use int kafka_group_new(const struct kafka_params *p, const char *group, struct kafka_group **ret,
                             struct error *err);
// About all partitions of these topics, without waiting; of a group that reads from the beginning what it has
// committed nothing of. fn runs once, on the loop: within some seconds where a broker hangs, and from within
// kafka_group_free (-ECANCELED) if that comes first.
void kafka_group_ask(struct kafka_group *g, const char *const *topics, size_t count, kafka_progress_fn *fn,
                     void *arg);
void kafka_group_free(
    struct kafka_group *g); // waits for what is being asked, a second or two; NULL is allowed

// ---- reading a topic's last minutes once, outside any group (write-back after a Redis fail-over).
// on_record for each record with a timestamp >= since_ms, up to the end as it was at the start; then on_done.
struct kafka_replay;
struct kafka_replay_params {
    struct kafka_params common;
    const char *const *topics;
    size_t topic_count;
    int64_t since_ms;
    // Partitions are read some at a time: as many as hold so many records together, or one that holds more.
    // 0: all at once.
    uint64_t part_records;
    void *arg;
    void (*on_record)(void *arg, const struct kafka_record *r);
    // Those of a part are read to their end; nothing more comes until kafka_replay_go_on. NULL: not wanted.
    void (*on_part)(void *arg);
    void (*on_done)(void *arg, const struct error *err); // the replay frees itself after this
};
must_use int kafka_replay(const struct kafka_replay_params *p, struct kafka_replay **ret, struct error *err);
void kafka_replay_go_on(struct kafka_replay *r); // once after each on_part, from within or later
// Ends one that has not called on_done, and frees it: no callback runs any more. Waits for what its thread
// asks of the broker at this moment, which takes seconds where that is away. NULL is allowed.
void kafka_replay_stop(struct kafka_replay *r);

#endif
