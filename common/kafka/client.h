// What producer and consumer have in common: the librdkafka handle with its settings, its events on the loop,
// the topics it knows, and whether any broker can be reached. Only files of this folder include this.
#ifndef ROLLCALL_KAFKA_CLIENT_H
#define ROLLCALL_KAFKA_CLIENT_H

#include "common/kafka/kafka.h"
#include "common/kafka/worker.h"

#include <librdkafka/rdkafka.h>

struct event;

// A handle is kept for each topic: librdkafka then has its metadata before the first record needs it.
struct kafka_topic {
    TAILQ_ENTRY(kafka_topic) link;
    char *name;
    rd_kafka_topic_t *handle;
    int32_t partitions; // 0: not known yet
};

struct kafka_client {
    struct event_base *base;
    void *arg;
    // Each event but errors. What it must keep of `ev` it copies, unless it returns true: then it took it.
    bool (*on_event)(void *arg, rd_kafka_event_t *ev);
    void (*on_drained)(void *arg); // after the last event of a turn, and on every tick
    void (*on_health)(void *arg, bool up);
    void (*on_fatal)(void *arg, const struct error *why); // librdkafka gave the handle up
    void (*on_trouble)(const char *why);

    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int wake_fd;
    struct event *wake;
    struct event *tick;
    struct kafka_worker *worker;
    TAILQ_HEAD(, kafka_topic) topics;
    enum { KAFKA_UNKNOWN, KAFKA_UP, KAFKA_DOWN } health;
    bool doubted;   // librdkafka says that all brokers are down, and no probe has found one since
    uint64_t downs; // counts, so that a probe that began before the last one is not believed
    bool probing;
    uint64_t probed_us;
    bool fatal;
    rd_kafka_resp_err_t told; // the last trouble, and when: each attempt to connect fails anew
    uint64_t told_us;
};

// Settings for any handle: bootstrap, client id, quick reconnects, then those of the caller's own kind (name,
// value, …, NULL), then `extra`, which wins. 0 or -EINVAL.
must_use int kafka_conf_new(const struct kafka_params *params, const char *const *own, rd_kafka_conf_t **ret,
                            struct error *err);

// Opens with a copy of conf. The caller has set base, arg and the callbacks; `topics` is kept over close and
// open.
must_use int kafka_client_open(struct kafka_client *c, rd_kafka_type_t type, const rd_kafka_conf_t *conf,
                               struct error *err);
// Stops the events and the worker; the handle is still there.
void kafka_client_quiet(struct kafka_client *c);
void kafka_client_close(struct kafka_client *c);
// Destroys a handle in a thread of its own, and waits for that so long at most. librdkafka never ends one
// that fetched from a topic which was deleted and made again: a thread of it goes on until the process ends.
void kafka_handle_end(rd_kafka_t *rk, int flags, uint32_t wait_ms);
// The same, but the handle ends in a thread of its own: one that was given up waits for what it has asked of
// a broker that hangs. Such a handle leaves no group.
void kafka_client_cast_off(struct kafka_client *c);
void kafka_client_forget_topics(struct kafka_client *c);

// Takes events until none is left, or so many that other work of the loop must have its turn.
void kafka_client_drain(struct kafka_client *c, int wait_ms);
// Asks for the metadata of all topics now: their counts of partitions, and the health.
void kafka_client_probe(struct kafka_client *c);

struct kafka_topic *kafka_topic_find(struct kafka_client *c, const char *name);
struct kafka_topic *kafka_topic_get(struct kafka_client *c, const char *name); // made if need be

// In the worker: count of partitions, or a negative code (-ENOENT: no such topic).
int32_t kafka_ask_partitions(rd_kafka_t *rk, rd_kafka_topic_t *handle, int timeout_ms);

// In a thread that may wait: replaces the offsets of `list` (RD_KAFKA_OFFSET_BEGINNING, _END or a time in ms)
// by those of the broker; -1 where it has none for a time. Tries again for limit_ms while no leader can be
// reached.
int kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, uint32_t limit_ms,
                      const atomic_bool *stopping);
// The same for partitions of which some may have no leader, or one that does not answer, and would take all
// others with them: these alone get -1.
void kafka_ask_known_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, uint32_t limit_ms,
                             const atomic_bool *stopping);

// The code for an error of librdkafka.
int kafka_code(rd_kafka_resp_err_t e);
int kafka_error_set(struct error *err, rd_kafka_resp_err_t e, const char *text); // text NULL: librdkafka's

// ---- records as they came

struct kafka_batch {
    struct kafka_record *records;
    struct kafka_header *headers;
    void **owners; // events or messages that hold the bytes
    size_t record_count, header_count, owner_count;
    size_t record_size, header_size, owner_size;
};
void kafka_batch_add(struct kafka_batch *b, const rd_kafka_message_t *m);
void kafka_batch_own(struct kafka_batch *b, void *owner);
const struct kafka_record *kafka_batch_records(struct kafka_batch *b); // valid until the next change
void kafka_batch_clear(struct kafka_batch *b, void (*release)(void *owner));
void kafka_batch_done(struct kafka_batch *b);

#endif
