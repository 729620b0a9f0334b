// The keys that seal secrets: of a ring the first one seals, all open. A ring never changes; a process that
// reads its file again goes over to another one.
#ifndef ROLLCALL_REGISTRATION_KEY_RING_H
#define ROLLCALL_REGISTRATION_KEY_RING_H

#include "common/base/buf.h"
#include "common/base/error.h"

struct key_ring; // immutable once loaded: any thread. Each key_ring_ref is given back by a key_ring_free

// Text: lines "<key id> <64 hex digits>"; the first key seals, all open; '#' comments. 0 or -EINVAL with line
// and cause.
must_use int key_ring_parse(struct str text, struct key_ring **ret, struct error *err);
must_use int key_ring_load(const char *path, struct key_ring **ret, struct error *err);
// Of a file that is read again. -EINVAL, too, where a key of `present` is another one now: an id is never
// given twice, or nothing that it sealed would open.
must_use int key_ring_load_again(const char *path, const struct key_ring *present, struct key_ring **ret,
                                 struct error *err);
struct key_ring *key_ring_ref(struct key_ring *ring); // NULL gives NULL
void key_ring_free(struct key_ring *ring);            // the last one wipes it; NULL is allowed
const char *key_ring_first(const struct key_ring *ring);
// Is this what opening says of a key that the ring does not have?
bool key_ring_tells_missing(struct str sentence);
// Ids in their order, comma-separated, for a log.
void key_ring_names(const struct key_ring *ring, struct buf *out);
// The same keys, of which `first` seals. 0, or -ENOKEY with a sentence as seal_open's.
must_use int key_ring_turn(const struct key_ring *ring, struct str first, struct key_ring **ret,
                           struct error *err);

// The present ring of a process, swapped whole while others go on with the one that they took. Any thread.
struct key_ring_box;
struct key_ring_box *key_ring_box_new(struct key_ring *take_first);
void key_ring_box_free(struct key_ring_box *box);            // NULL is allowed
struct key_ring *key_ring_box_get(struct key_ring_box *box); // the caller gives it back by key_ring_free
void key_ring_box_swap(struct key_ring_box *box, struct key_ring *take_next);
static inline void key_ring_drop(struct key_ring **ring) // for cleanup()
{
    key_ring_free(*ring);
}

#endif
