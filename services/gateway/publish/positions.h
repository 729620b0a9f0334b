// Up to where this gateway has applied the partitions of status topics that its group gave it. Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_POSITIONS_H
#define ROLLCALL_GATEWAY_PUBLISH_POSITIONS_H

#include <stdbool.h>
#include <stdint.h>

struct position;
struct positions {
    struct position *table;
};

void positions_done(struct positions *p);
void positions_add(struct positions *p, const char *topic, int32_t partition); // it is ours; applied: unknown
void positions_remove(struct positions *p, const char *topic, int32_t partition);
// What is below `next` is applied. False: the partition is not ours.
bool positions_set(struct positions *p, const char *topic, int32_t partition, int64_t next);
int64_t positions_get(const struct positions *p, const char *topic, int32_t partition); // -1: not known
// Each of ours of which something was applied. fn changes none.
void positions_each(const struct positions *p, void *arg,
                    void (*fn)(void *arg, const char *topic, int32_t partition, int64_t next));

#endif
