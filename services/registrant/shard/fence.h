// What a registrant that its own group fenced does: it joins again, unless another process of its name keeps
// fencing it. Such a twin does that within moments of every joining, again and again, since it is fenced by
// that and joins again itself; a coordinator that fails does it when it fails, and not once more until it
// fails again. So it takes three in a row to tell of a twin. Pure.
#ifndef ROLLCALL_REGISTRANT_SHARD_FENCE_H
#define ROLLCALL_REGISTRANT_SHARD_FENCE_H

#include <stdbool.h>
#include <stdint.h>

struct fence {
    uint32_t fenced; // consumers in a row
    uint32_t
        cut_short; // of these, the ones that came after a fenced one and were members for less than a minute
    uint64_t joined_us; // monotonic: since when the present one is a member; 0: it is not yet
    bool away;          // no broker was reached for a time since then
};

void fence_joined(struct fence *f, uint64_t now_us);
void fence_away(struct fence *f);
// The present consumer is fenced. True: make another one after *ret_pause_ms. False: a twin does it, since
// this is the second in a row that came after a fenced one and was a member for less than a minute, with
// Kafka there all the time; or since several in a row never became one.
bool fence_again(struct fence *f, uint64_t now_us, uint32_t *ret_pause_ms);

#endif
