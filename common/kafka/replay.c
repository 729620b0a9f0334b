// Reads the last part of some topics once, in a thread of its own with a consumer that joins no group, and
// hands the records to the loop in batches. It ends where the topics ended when it began.
#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/base/mem.h"
#include "common/kafka/client.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    ASK_MS = 250, // bounds how long an end is waited for
    ASKS = 20,
    END_WAIT_MS = 2000,
    OFFSETS_MS = 10000,
    POLL_MS = 200,
    STALL_MS = 30000, // without a record or an end: the broker is away
    BATCH_RECORDS = 500,
    BATCHES_AHEAD = 8, // between thread and loop: bounds the memory
};

struct kafka_replay {
    struct kafka_replay_params params; // its strings are not valid after kafka_replay
    rd_kafka_t *rk;
    char **topics;
    size_t topic_count;
    pthread_t thread;
    struct mailbox *to_loop;
    struct event *arrived;
    sem_t room; // batches that may still be pushed
    bool held;  // until kafka_replay_go_on
    struct error result;
    atomic_bool stopping;
};

struct batch {
    struct kafka_batch records;
    bool ends_part, last;
};

// ---- in the thread

static void release_message(void *owner)
{
    rd_kafka_message_destroy(owner);
}

static void batch_free(struct batch *b)
{
    kafka_batch_clear(&b->records, release_message);
    kafka_batch_done(&b->records);
    free(b);
}

static bool is_stopping(struct kafka_replay *r)
{
    return atomic_load(&r->stopping);
}

static void push(struct kafka_replay *r, struct batch *take_batch)
{
    while (!is_stopping(r) && sem_wait(&r->room) < 0)
        ;                 // interrupted
    if (is_stopping(r)) { // nobody makes room any more
        batch_free(take_batch);
        return;
    }
    if (mailbox_push(r->to_loop, take_batch) < 0)
        abort(); // `room` counts its places
}

// A topic that does not exist holds nothing to read.
static int add_topic(struct kafka_replay *r, const char *name, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(r->rk, name, NULL);
    int32_t count = handle ? -ETIMEDOUT : -EINVAL;
    for (int i = 0; i < ASKS && (count == -ETIMEDOUT || count == -ENOTCONN) && !is_stopping(r); i++)
        count = kafka_ask_partitions(r->rk, handle, ASK_MS);
    if (handle)
        rd_kafka_topic_destroy(handle);
    if (count < 0 && count != -ENOENT)
        return error_set(&r->result, count, "Kafka: cannot ask for the partitions of %s", name);
    for (int32_t i = 0; i < count; i++)
        (void)rd_kafka_topic_partition_list_add(list, name, i);
    return 0;
}

// Offsets of all partitions of `list` for a time or for one of the logical offsets.
static int ask_offsets(struct kafka_replay *r, rd_kafka_topic_partition_list_t *list, int64_t time)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = time;
    int rc = kafka_ask_offsets(r->rk, list, OFFSETS_MS, &r->stopping);
    return rc < 0 ? error_set(&r->result, rc, "Kafka: cannot ask where to read") : 0;
}

static bool any_found(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset >= 0)
            return true;
    return false;
}

// Where to begin. "None" for a time means that nothing is that young, or (the embedded broker) that the
// broker knows no times: then it finds nothing for the oldest time either, and all is read and filtered.
static int ask_starts(struct kafka_replay *r, rd_kafka_topic_partition_list_t *start)
{
    if (ask_offsets(r, start, r->params.since_ms > 0 ? r->params.since_ms : 0) < 0)
        return r->result.code;
    if (any_found(start))
        return 0;
    rd_kafka_topic_partition_list_t *oldest = rd_kafka_topic_partition_list_copy(start);
    int rc = ask_offsets(r, oldest, 0);
    bool knows_times = any_found(oldest);
    rd_kafka_topic_partition_list_destroy(oldest);
    if (rc < 0 || knows_times)
        return rc;
    return ask_offsets(r, start, RD_KAFKA_OFFSET_BEGINNING);
}

// What is to be read: partitions whose start lies before their end; `end` keeps the ends of just these.
static void keep_readable(rd_kafka_topic_partition_list_t *start, rd_kafka_topic_partition_list_t *end)
{
    for (int i = start->cnt - 1; i >= 0; i--) {
        if (start->elems[i].offset >= 0 && start->elems[i].offset < end->elems[i].offset)
            continue;
        (void)rd_kafka_topic_partition_list_del_by_idx(start, i);
        (void)rd_kafka_topic_partition_list_del_by_idx(end, i);
    }
}

// The partition's next offset is `next`: drops it from `end` when nothing is left of it.
static void note_progress(rd_kafka_topic_partition_list_t *end, const rd_kafka_message_t *m, int64_t next)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    const rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_find(end, topic, m->partition);
    if (item && next >= item->offset)
        (void)rd_kafka_topic_partition_list_del(end, topic, m->partition);
}

// True when the batch took the message.
static bool take(struct kafka_replay *r, rd_kafka_topic_partition_list_t *end, rd_kafka_message_t *m,
                 struct kafka_batch *into)
{
    bool ours = false;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        note_progress(end, m, m->offset);
    } else if (!m->err) {
        const char *topic = rd_kafka_topic_name(m->rkt);
        const rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_find(end, topic, m->partition);
        ours = item && m->offset < item->offset && rd_kafka_message_timestamp(m, NULL) >= r->params.since_ms;
        if (ours) {
            kafka_batch_add(into, m);
            kafka_batch_own(into, m);
        }
        note_progress(end, m, m->offset + 1);
    }
    return ours;
}

static void read_until(struct kafka_replay *r, rd_kafka_topic_partition_list_t *end)
{
    struct batch *b = mem_alloc(sizeof(*b));
    uint64_t moved_us = clock_monotonic_us();
    while (end->cnt > 0 && r->result.code == 0 && !is_stopping(r)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, POLL_MS);
        if (m && !m->err)
            moved_us = clock_monotonic_us();
        if (m && !take(r, end, m, &b->records))
            rd_kafka_message_destroy(m);
        if (b->records.record_count >= BATCH_RECORDS || (!m && b->records.record_count)) {
            push(r, b);
            b = mem_alloc(sizeof(*b));
            moved_us = clock_monotonic_us(); // whoever takes them may have taken a long time
        }
        if (clock_monotonic_us() - moved_us > STALL_MS * UINT64_C(1000))
            (void)error_set(&r->result, -ETIMEDOUT, "Kafka: nothing was read for %d s", STALL_MS / 1000);
    }
    b->ends_part = r->result.code == 0;
    push(r, b);
}

// Moves the first partitions of two lists that belong together to the ends of two others.
static void take_part(const struct kafka_replay *r, rd_kafka_topic_partition_list_t *start,
                      rd_kafka_topic_partition_list_t *end, rd_kafka_topic_partition_list_t *part_start,
                      rd_kafka_topic_partition_list_t *part_end)
{
    uint64_t records = 0, most = r->params.part_records ? r->params.part_records : UINT64_MAX;
    do {
        const rd_kafka_topic_partition_t *from = &start->elems[0], *to = &end->elems[0];
        records += (uint64_t)(to->offset - from->offset);
        if (part_start->cnt > 0 && records > most)
            return;
        rd_kafka_topic_partition_list_add(part_start, from->topic, from->partition)->offset = from->offset;
        rd_kafka_topic_partition_list_add(part_end, to->topic, to->partition)->offset = to->offset;
        (void)rd_kafka_topic_partition_list_del_by_idx(start, 0);
        (void)rd_kafka_topic_partition_list_del_by_idx(end, 0);
    } while (start->cnt > 0);
}

static void read_part(struct kafka_replay *r, rd_kafka_topic_partition_list_t *start,
                      rd_kafka_topic_partition_list_t *end)
{
    rd_kafka_topic_partition_list_t *part_start = rd_kafka_topic_partition_list_new(64);
    rd_kafka_topic_partition_list_t *part_end = rd_kafka_topic_partition_list_new(64);
    take_part(r, start, end, part_start, part_end);
    rd_kafka_resp_err_t e = rd_kafka_assign(r->rk, part_start);
    if (e)
        (void)kafka_error_set(&r->result, e, NULL);
    else
        read_until(r, part_end);
    rd_kafka_topic_partition_list_destroy(part_start);
    rd_kafka_topic_partition_list_destroy(part_end);
}

static void read_all(struct kafka_replay *r, rd_kafka_topic_partition_list_t *start,
                     rd_kafka_topic_partition_list_t *end)
{
    while (start->cnt > 0 && r->result.code == 0 && !is_stopping(r))
        read_part(r, start, end);
}

static void *thread_main(void *arg)
{
    struct kafka_replay *r = arg;
    rd_kafka_topic_partition_list_t *start = rd_kafka_topic_partition_list_new(64), *end = NULL;
    int rc = 0;
    for (size_t i = 0; i < r->topic_count && rc == 0 && !is_stopping(r); i++)
        rc = add_topic(r, r->topics[i], start);
    end = rd_kafka_topic_partition_list_copy(start);
    if (rc == 0 && start->cnt > 0) {
        rc = ask_offsets(r, end, RD_KAFKA_OFFSET_END);
        if (rc == 0)
            rc = ask_starts(r, start);
        if (rc == 0) {
            keep_readable(start, end);
            read_all(r, start, end);
        }
    }
    rd_kafka_topic_partition_list_destroy(start);
    rd_kafka_topic_partition_list_destroy(end);
    struct batch *last = mem_alloc(sizeof(*last));
    last->last = true;
    push(r, last);
    return NULL;
}

// ---- on the loop

static void release(struct kafka_replay *r)
{
    (void)rd_kafka_assign(r->rk, NULL);
    kafka_handle_end(r->rk, 0, END_WAIT_MS);
    event_free(r->arrived);
    mailbox_free(r->to_loop);
    (void)sem_destroy(&r->room);
    for (size_t i = 0; i < r->topic_count; i++)
        free(r->topics[i]);
    free(r->topics);
    free(r);
}

static void finish(struct kafka_replay *r)
{
    (void)pthread_join(r->thread, NULL);
    r->params.on_done(r->params.arg, r->result.code ? &r->result : NULL);
    release(r);
}

void kafka_replay_stop(struct kafka_replay *r)
{
    void *item;
    if (!r)
        return;
    atomic_store(&r->stopping, true);
    (void)sem_post(&r->room);
    (void)pthread_join(r->thread, NULL);
    while (mailbox_pop(r->to_loop, &item, 1))
        batch_free(item);
    release(r);
}

static void hold(struct kafka_replay *r)
{
    r->held = true;
    (void)event_del(r->arrived);
    r->params.on_part(r->params.arg);
}

void kafka_replay_go_on(struct kafka_replay *r)
{
    assert(r->held);
    r->held = false;
    (void)event_add(r->arrived, NULL);
}

static void on_arrived(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kafka_replay *r = arg;
    void *item;
    bool last = false;
    // One batch a turn of the loop, which has other work: the descriptor stays readable until it is empty.
    if (mailbox_pop(r->to_loop, &item, 1) == 0)
        return;
    struct batch *b = item;
    const struct kafka_record *records = kafka_batch_records(&b->records);
    for (size_t i = 0; i < b->records.record_count; i++)
        r->params.on_record(r->params.arg, &records[i]);
    last = b->last;
    bool ends_part = b->ends_part && r->params.on_part;
    batch_free(b);
    (void)sem_post(&r->room);
    if (last)
        finish(r);
    else if (ends_part)
        hold(r);
}

static int open_consumer(struct kafka_replay *r, const struct kafka_replay_params *p, struct error *err)
{
    // librdkafka wants a group's name although none is joined.
    const char *const own[] = {
        "group.id",
        "rollcall-replay",
        "enable.auto.commit",
        "false",
        "enable.auto.offset.store",
        "false",
        "auto.offset.reset",
        "earliest",
        "enable.partition.eof",
        "true",
        "fetch.wait.max.ms", // at the end of a part, before the next one is fetched
        "100",
        "queued.min.messages",
        "10000",
        "queued.max.messages.kbytes",
        "16384",
        NULL,
    };
    char text[256];
    rd_kafka_conf_t *conf;
    int rc = kafka_conf_new(&p->common, own, &conf, err);
    if (rc < 0)
        return rc;
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!r->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, -EINVAL, "Kafka client: %s", text);
    }
    (void)rd_kafka_poll_set_consumer(r->rk);
    return 0;
}

int kafka_replay(const struct kafka_replay_params *params, struct kafka_replay **ret, struct error *err)
{
    struct kafka_replay *r = mem_alloc(sizeof(*r));
    r->params = *params;
    int rc = open_consumer(r, params, err);
    if (rc < 0) {
        free(r);
        return rc;
    }
    r->topic_count = params->topic_count;
    r->topics = mem_array(r->topic_count + 1, sizeof(*r->topics));
    for (size_t i = 0; i < r->topic_count; i++)
        r->topics[i] = mem_dup_cstr(params->topics[i]);
    r->to_loop = mailbox_new(BATCHES_AHEAD);
    (void)sem_init(&r->room, 0, BATCHES_AHEAD);
    r->arrived = event_new(params->common.base, mailbox_fd(r->to_loop), EV_READ | EV_PERSIST, on_arrived, r);
    if (!r->arrived || event_add(r->arrived, NULL) < 0 ||
        pthread_create(&r->thread, NULL, thread_main, r) != 0)
        abort();
    *ret = r;
    return 0;
}
