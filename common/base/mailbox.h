// A bounded queue of pointers between threads, with an eventfd that wakes the reader's loop. Ownership moves
// with the pointer.
#ifndef ROLLCALL_BASE_MAILBOX_H
#define ROLLCALL_BASE_MAILBOX_H

#include "common/base/base.h"

struct mailbox;

struct mailbox *mailbox_new(size_t capacity_count);
void mailbox_free(struct mailbox *m); // must be empty of what needs freeing; NULL is allowed

// Any thread. 0, or -EAGAIN when full: the caller still owns the item then.
must_use int mailbox_push(struct mailbox *m, void *take_item);

int mailbox_fd(const struct mailbox *m); // readable while something may be waiting

// Reader's thread: up to `max` items in order; 0 means empty and clears the descriptor. Read until it gives
// 0.
size_t mailbox_pop(struct mailbox *m, void **ret_items, size_t max);

#endif
