// See behind.h.
#include "services/gateway/publish/behind.h"

#include "common/base/mem.h"

#include <stdlib.h>

void behind_init(struct behind *b, uint32_t partition, uint32_t partitions)
{
    *b = (struct behind){.partition = partition, .partitions = partitions};
}

void behind_done(struct behind *b)
{
    free(b->ends);
    b->ends = NULL;
    b->size = 0;
}

bool behind_concerns(const struct behind *b, int32_t number, int32_t count)
{
    return (uint32_t)count != b->partitions || (uint32_t)number == b->partition;
}

static int64_t *end_of(struct behind *b, int32_t number)
{
    size_t need = (size_t)number + 1;
    if (b->size < need) {
        b->ends = mem_resize(b->ends, need, sizeof(*b->ends));
        while (b->size < need)
            b->ends[b->size++] = -1;
    }
    return &b->ends[number];
}

int64_t behind_left(struct behind *b, int32_t number, int64_t end, int64_t next)
{
    int64_t *first = end_of(b, number);
    // An end that falls is that of a topic which was deleted and made anew.
    if (*first < 0 || (end >= 0 && end < *first))
        *first = end;
    if (*first == 0)
        return 0;
    if (*first < 0 || next < 0)
        return -1;
    return next < *first ? *first - next : 0;
}
