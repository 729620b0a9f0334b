// See batch.h.
#include "services/gateway/publish/batch.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct batch *batch_new(void *owner)
{
    struct batch *b = mem_alloc(sizeof(*b));
    b->owner = owner;
    b->oldest_ms = UINT64_MAX;
    return b;
}

void batch_item_done(struct batch_item *i)
{
    HASH_DEL(i->batch->items, i);
    report_free(i->report);
    free(i);
}

void batch_free(struct batch *b)
{
    struct batch_item *i, *next;
    HASH_ITER(hh, b->items, i, next) {
        batch_item_done(i);
    }
    for (size_t n = 0; n < b->offset_count; n++)
        free(b->offsets[n].topic);
    free(b->offsets);
    free(b);
}

void batch_note_offset(struct batch *b, const struct kafka_record *r)
{
    if (r->timestamp_ms > 0 && (uint64_t)r->timestamp_ms < b->oldest_ms)
        b->oldest_ms = (uint64_t)r->timestamp_ms;
    for (size_t i = 0; i < b->offset_count; i++) {
        struct batch_offset *o = &b->offsets[i];
        if (o->partition == r->partition && !strcmp(o->topic, r->topic)) {
            o->next = r->offset + 1;
            return;
        }
    }
    b->offsets = mem_resize(b->offsets, b->offset_count + 1, sizeof(*b->offsets));
    b->offsets[b->offset_count++] = (struct batch_offset){
        .topic = mem_dup_cstr(r->topic), .partition = r->partition, .next = r->offset + 1};
}

bool batch_add(struct batch *b, struct report *take_report)
{
    struct batch_key key = {.id = take_report->status.id, .epoch = take_report->status.epoch};
    memcpy(key.place, take_report->status.place, strlen(take_report->status.place));
    struct batch_item *i;
    HASH_FIND(hh, b->items, &key, sizeof(key), i);
    if (i) {
        bool newer = report_is_above(take_report, i->report);
        report_free(newer ? i->report : take_report);
        if (newer)
            i->report = take_report;
        return true;
    }
    i = mem_alloc(sizeof(*i));
    i->key = key;
    i->batch = b;
    i->report = take_report;
    HASH_ADD(hh, b->items, key, sizeof(i->key), i);
    return false;
}

size_t batch_count(const struct batch *b)
{
    return HASH_COUNT(b->items);
}
