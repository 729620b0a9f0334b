// What must have been applied of a place's status topic before Redis is as new as it was when somebody asked.
// Pure.
#ifndef ROLLCALL_GATEWAY_PUBLISH_BEHIND_H
#define ROLLCALL_GATEWAY_PUBLISH_BEHIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct behind {
    uint32_t partition, partitions; // of the registrations that are asked about
    int64_t *ends;                  // by partition of the topic, as first told; -1: not told yet
    size_t size;
};

void behind_init(struct behind *b, uint32_t partition, uint32_t partitions);
void behind_done(struct behind *b);

// Whether partition `number` of a status topic of so many may hold reports on these registrations: where the
// counts are the same only one does, since registrants and gateways take the same hash.
bool behind_concerns(const struct behind *b, int32_t number, int32_t count);

// Takes in how far a partition is: where it ends, and up to where it is applied; -1: not known. Gives how
// many records that were in it when its end was first told are not applied; -1: not known.
int64_t behind_left(struct behind *b, int32_t number, int64_t end, int64_t next);

#endif
