// What DNS said, kept for its TTL: one entry for each name and type. However many wait for an answer, it is
// asked for once. Who follows names to targets is route.h.
#ifndef ROLLCALL_REGISTRANT_RESOLVE_QUESTION_H
#define ROLLCALL_REGISTRANT_RESOLVE_QUESTION_H

#include "services/registrant/resolve/dns.h"

#include <stdbool.h>
#include <sys/queue.h>

struct questions;
struct question;

// One that waits for one answer; the caller's storage is its own until the answer is there or it unlinks.
struct question_wait {
    LIST_ENTRY(question_wait) link;
    LIST_ENTRY(question_wait) mine; // for the waiter's own list
    void *waiter;
};

// answered: called for each that waits, after it was unlinked.
struct questions *questions_new(struct dns *dns, uint64_t (*now_us)(void),
                                void (*answered)(struct question_wait *w));
void questions_free(struct questions *q); // before dns_free; NULL is allowed

// The entry, made if it is not there. NULL: there are too many.
struct question *questions_get(struct questions *all, enum dns_type type, const char *name);

// The answer where it still holds, or came since `since_us` (that is what makes a TTL of 0 usable by those
// who waited for it), else NULL. *ret_expires_us: until when it holds.
const struct dns_answer *question_answer(const struct question *q, uint64_t since_us, uint64_t now_us,
                                         uint64_t *ret_expires_us);
// Waits for it, and asks unless that is under way.
void question_wait(struct question *q, struct question_wait *w);
void question_unlink(struct question_wait *w);

// Forgets what has run out and was not used for so long, a few hundred at a call.
void questions_sweep(struct questions *all, uint64_t now_us, uint64_t unused_us);
// Ever asked of DNS, and of these, not answered.
void questions_counts(const struct questions *all, uint64_t *ret_asked, uint64_t *ret_failed);

#endif
