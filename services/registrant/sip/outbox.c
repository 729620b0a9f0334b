// See outbox.h.
#include "services/registrant/sip/outbox.h"

#include "common/base/mailbox.h"
#include "common/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

struct waiting {
    struct sip_notice *notice;
    STAILQ_ENTRY(waiting) link;
};

struct outbox {
    struct mailbox *mailbox;
    size_t capacity;
    uint64_t put;                   // SIP thread: notices ever made
    uint64_t granted;               // SIP thread: credits given to the engine and not yet used
    uint64_t held;                  // SIP thread: credits held back
    _Atomic uint64_t taken;         // main thread: notices ever taken
    STAILQ_HEAD(, waiting) waiting; // of a full mailbox: what needs no credit
};

struct outbox *outbox_new(size_t capacity_count)
{
    struct outbox *o = mem_alloc(sizeof(*o));
    o->mailbox = mailbox_new(capacity_count);
    o->capacity = capacity_count;
    STAILQ_INIT(&o->waiting);
    return o;
}

static struct sip_notice *pop_waiting(struct outbox *o)
{
    struct waiting *w = STAILQ_FIRST(&o->waiting);
    struct sip_notice *n = w->notice;
    STAILQ_REMOVE_HEAD(&o->waiting, link);
    free(w);
    return n;
}

void outbox_free(struct outbox *o)
{
    if (!o)
        return;
    void *item;
    while (mailbox_pop(o->mailbox, &item, 1))
        sip_notice_free(item);
    while (!STAILQ_EMPTY(&o->waiting))
        sip_notice_free(pop_waiting(o));
    mailbox_free(o->mailbox);
    free(o);
}

void outbox_put(struct outbox *o, struct sip_notice *take)
{
    o->put++;
    if (take->kind == SIP_REPORT && o->granted)
        o->granted--;
    if (STAILQ_EMPTY(&o->waiting) && mailbox_push(o->mailbox, take) == 0)
        return;
    struct waiting *w = mem_alloc(sizeof(*w));
    w->notice = take;
    STAILQ_INSERT_TAIL(&o->waiting, w, link);
}

uint32_t outbox_credit(struct outbox *o, uint32_t more)
{
    o->held += more;
    uint64_t used = o->put - atomic_load_explicit(&o->taken, memory_order_acquire) + o->granted;
    uint64_t room = used < o->capacity ? o->capacity - used : 0;
    uint64_t now = o->held < room ? o->held : room;
    if (now > UINT32_MAX)
        now = UINT32_MAX;
    o->held -= now;
    o->granted += now;
    return (uint32_t)now;
}

bool outbox_is_blocked(struct outbox *o)
{
    while (!STAILQ_EMPTY(&o->waiting) && mailbox_push(o->mailbox, STAILQ_FIRST(&o->waiting)->notice) == 0)
        (void)pop_waiting(o);
    return !STAILQ_EMPTY(&o->waiting) || o->held;
}

int outbox_fd(const struct outbox *o)
{
    return mailbox_fd(o->mailbox);
}

size_t outbox_take(struct outbox *o, struct sip_notice **ret, size_t max)
{
    void *items[64];
    size_t n = mailbox_pop(o->mailbox, items, max < ARRAY_LEN(items) ? max : ARRAY_LEN(items));
    for (size_t i = 0; i < n; i++)
        ret[i] = items[i];
    atomic_fetch_add_explicit(&o->taken, n, memory_order_release);
    return n;
}
