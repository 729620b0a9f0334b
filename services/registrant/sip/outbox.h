// Notices of a SIP thread on their way to the main thread. The queue is bounded and nothing is dropped:
// credits that the queue has no room for are held back, so the engine makes no more reports than main can
// take.
#ifndef ROLLCALL_REGISTRANT_SIP_OUTBOX_H
#define ROLLCALL_REGISTRANT_SIP_OUTBOX_H

#include "services/registrant/sip/sip_thread.h"

struct outbox;

struct outbox *outbox_new(size_t capacity_count);
void outbox_free(struct outbox *o); // with what is in it; NULL is allowed

// SIP thread.
void outbox_put(struct outbox *o, struct sip_notice *take);
// Adds `more` and returns how many credits the engine may have now.
uint32_t outbox_credit(struct outbox *o, uint32_t more);
// Moves on what waits; true while something still does, so try again soon.
bool outbox_is_blocked(struct outbox *o);

// Main thread.
int outbox_fd(const struct outbox *o);
size_t outbox_take(struct outbox *o, struct sip_notice **ret, size_t max);

#endif
