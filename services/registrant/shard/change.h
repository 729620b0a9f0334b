// A change record or a line of a snapshot (proto/topics.md) as the command that a SIP thread takes. Pure.
#ifndef ROLLCALL_REGISTRANT_SHARD_CHANGE_H
#define ROLLCALL_REGISTRANT_SHARD_CHANGE_H

#include "services/registrant/sip/sip_thread.h"

// 0 with a command that the caller owns, or -EINVAL with what is wrong: the record is to be counted and
// skipped. `key` is the record's, or STR_NONE for a snapshot line.
must_use int change_read(struct str json, struct str key, bool snapshot, struct sip_command **ret,
                         struct error *err);

// The closing line {"count":N} of a snapshot: true with the count.
bool change_is_closing(struct str json, uint64_t *ret_count);

#endif
