// Fetches the snapshot of one partition from any gateway: incomplete or unreachable, it is asked of the next
// one, for ever, until it is whole or cancelled. Main thread only.
#ifndef ROLLCALL_REGISTRANT_SHARD_SNAPSHOT_H
#define ROLLCALL_REGISTRANT_SHARD_SNAPSHOT_H

#include "services/registrant/sip/sip_thread.h"

struct event_base;
struct snapshot;

struct snapshot_params {
    struct event_base *base;
    const char *urls; // comma-separated
    const char *token;
    const char *place;
    int32_t partition, partitions;
    void *arg;
    void (*on_entry)(void *arg, struct sip_command *take); // again from the start after an incomplete one
    void (*on_done)(void *arg);                            // whole; the snapshot frees itself after this
};
struct snapshot *snapshot_start(const struct snapshot_params *p);
void snapshot_pause(struct snapshot *s, bool paused); // push back
void snapshot_cancel(struct snapshot *s);             // on_done is not called; frees

#endif
