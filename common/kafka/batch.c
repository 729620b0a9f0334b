// Records of librdkafka as records of ours, without copying: a batch holds what owns the bytes until it is
// cleared.
#include "common/base/mem.h"
#include "common/kafka/client.h"

#include <stdlib.h>
#include <string.h>

struct str kafka_header_get(const struct kafka_record *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return STR_NONE;
}

static void *grown(void *array, size_t *size, size_t used, size_t item_bytes)
{
    if (used < *size)
        return array;
    *size = *size ? *size * 2 : 64;
    return mem_resize(array, *size, item_bytes);
}

static void add_headers(struct kafka_batch *b, struct kafka_record *r, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *list;
    const char *name;
    const void *value;
    size_t bytes;
    if (rd_kafka_message_headers(m, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    while (rd_kafka_header_get_all(list, r->header_count, &name, &value, &bytes) ==
           RD_KAFKA_RESP_ERR_NO_ERROR) {
        b->headers = grown(b->headers, &b->header_size, b->header_count, sizeof(*b->headers));
        b->headers[b->header_count++] =
            (struct kafka_header){.name = name, .value = {.p = value, .n = bytes}};
        r->header_count++;
    }
}

void kafka_batch_add(struct kafka_batch *b, const rd_kafka_message_t *m)
{
    struct kafka_record r = {
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
        .key = {.p = m->key, .n = m->key_len},
        .value = {.p = m->payload, .n = m->len},
    };
    add_headers(b, &r, m);
    b->records = grown(b->records, &b->record_size, b->record_count, sizeof(*b->records));
    b->records[b->record_count++] = r;
}

void kafka_batch_own(struct kafka_batch *b, void *owner)
{
    b->owners = grown(b->owners, &b->owner_size, b->owner_count, sizeof(*b->owners));
    b->owners[b->owner_count++] = owner;
}

const struct kafka_record *kafka_batch_records(struct kafka_batch *b)
{
    // Set only now, because the array of headers moves while it grows.
    struct kafka_header *at = b->headers;
    for (size_t i = 0; i < b->record_count; i++) {
        b->records[i].headers = at;
        at += b->records[i].header_count;
    }
    return b->records;
}

void kafka_batch_clear(struct kafka_batch *b, void (*release)(void *owner))
{
    for (size_t i = 0; i < b->owner_count; i++)
        release(b->owners[i]);
    b->record_count = b->header_count = b->owner_count = 0;
}

void kafka_batch_done(struct kafka_batch *b)
{
    free(b->records);
    free(b->headers);
    free(b->owners);
    *b = (struct kafka_batch){0};
}
