// No more REGISTERs within a second for one address of record than its registrar takes (Twilio: 5, challenges
// counted), whichever registrations they are of. Remembers the sends of the last second alone. Private to the
// pacer: says what has to wait, holds it in its order, and gives it back.
#ifndef ROLLCALL_REGISTRANT_CORE_AOR_RATE_H
#define ROLLCALL_REGISTRANT_CORE_AOR_RATE_H

#include "services/registrant/core/pacer_parts.h"

// May an attempt for this address begin? It takes two places, of which the second is for the answer to a
// challenge.
bool aor_has_room(const struct pacer_target *t, uint32_t aor);
// Holds an item that may not go; it is found again by aor_heap.
void aor_park(struct pacer_target *t, uint64_t key, struct pacer_item *item);
struct heap *aor_heap(struct pacer_target *t, const struct pacer_item *item); // or NULL: it is not held
void aor_unpark(struct pacer_target *t, struct pacer_item *item);

void aor_sent(struct pacer_ticket *ticket, uint32_t aor, uint64_t now_us); // the first of an attempt
void aor_sent_again(struct pacer_ticket *ticket, uint64_t now_us);         // another of the same
void aor_done(struct pacer_ticket *ticket);

// The timer of what is remembered: forgets what is older than a second, and gives back what may go now.
void aor_wake(struct pacer *p, uint64_t now_us);
void aor_forget_all(struct pacer *p);

#endif
