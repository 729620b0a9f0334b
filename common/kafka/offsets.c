// Asking for offsets, in a thread that may wait.
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/kafka/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ASK_MS = 1000, AGAIN_MS = 50 };

// librdkafka writes its answers over the questions, so those are kept.
static rd_kafka_resp_err_t ask(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                               const rd_kafka_topic_partition_list_t *questions)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = questions->elems[i].offset;
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t e = rd_kafka_offsets_for_times(rk, list, ASK_MS);
    for (int i = 0; i < list->cnt && !e; i++)
        e = list->elems[i].err;
    return e;
}

int kafka_ask_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, uint32_t limit_ms,
                      const atomic_bool *stopping)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    uint64_t end_us = clock_monotonic_us() + limit_ms * UINT64_C(1000);
    rd_kafka_topic_partition_list_t *questions = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_resp_err_t e;
    // A leader that has just moved, as it does when a topic was made or a broker came back, is found again
    // soon.
    while ((e = ask(rk, list, questions)) && kafka_code(e) == -ENOTCONN && clock_monotonic_us() < end_us &&
           !(stopping && atomic_load(stopping)))
        (void)nanosleep(&pause, NULL);
    rd_kafka_topic_partition_list_destroy(questions);
    return kafka_code(e);
}

// ---- where not every leader answers

enum { NOBODY = -1, NOT_ASKED = -2 };

static int32_t leader_of(const rd_kafka_metadata_topic_t *t, int32_t number)
{
    for (int i = 0; i < t->partition_cnt; i++)
        if (t->partitions[i].id == number)
            return t->partitions[i].leader;
    return NOBODY;
}

// Sets the leaders of those partitions of the list that are of the topic.
static void ask_leaders_of(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list, const char *topic,
                           int32_t *leaders)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    bool told = handle && !rd_kafka_metadata(rk, 0, handle, &md, ASK_MS) && md->topic_cnt > 0;
    for (int i = 0; i < list->cnt; i++)
        if (strcmp(list->elems[i].topic, topic) == 0)
            leaders[i] = told ? leader_of(&md->topics[0], list->elems[i].partition) : NOBODY;
    if (md)
        rd_kafka_metadata_destroy(md);
    if (handle)
        rd_kafka_topic_destroy(handle);
}

static void ask_leaders(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list, int32_t *leaders)
{
    for (int i = 0; i < list->cnt; i++)
        leaders[i] = NOT_ASKED;
    for (int i = 0; i < list->cnt; i++)
        if (leaders[i] == NOT_ASKED)
            ask_leaders_of(rk, list, list->elems[i].topic, leaders);
}

// Moves the answers of one leader, the first that is left, from `questions` to `list`.
static void ask_one_leader(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                           const rd_kafka_topic_partition_list_t *questions, int32_t *leaders, int32_t leader)
{
    rd_kafka_topic_partition_list_t *its = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++)
        if (leaders[i] == leader)
            rd_kafka_topic_partition_list_add(its, list->elems[i].topic, list->elems[i].partition)->offset =
                questions->elems[i].offset;
    bool told = !kafka_ask_offsets(rk, its, 0, NULL);
    for (int i = 0, at = 0; i < list->cnt; i++) {
        if (leaders[i] != leader)
            continue;
        list->elems[i].offset = told ? its->elems[at].offset : -1;
        at++;
        leaders[i] = NOBODY; // done
    }
    rd_kafka_topic_partition_list_destroy(its);
}

void kafka_ask_known_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, uint32_t limit_ms,
                             const atomic_bool *stopping)
{
    rd_kafka_topic_partition_list_t *questions = rd_kafka_topic_partition_list_copy(list);
    int32_t *leaders = mem_array((size_t)list->cnt + 1, sizeof(*leaders));
    if (kafka_ask_offsets(rk, list, limit_ms, stopping)) {
        ask_leaders(rk, questions, leaders);
        for (int i = 0; i < list->cnt; i++) {
            list->elems[i].offset = -1;
            list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        for (int i = 0; i < list->cnt && !atomic_load(stopping); i++)
            if (leaders[i] != NOBODY)
                ask_one_leader(rk, list, questions, leaders, leaders[i]);
    }
    free(leaders);
    rd_kafka_topic_partition_list_destroy(questions);
}
