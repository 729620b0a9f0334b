// Asking for offsets, in a thread that may wait.
#include "common/base/clock.h"
#include "common/kafka/client.h"

#include <errno.h>
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
